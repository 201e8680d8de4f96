import { writeSync } from "node:fs";

/** How important a line of the log is. */
export type LogLevel = "error" | "warning" | "info" | "debug" | "trace";

/** What a thread writes its log lines to. */
export type Log = (level: LogLevel, text: string) => void;

const RANK: Record<LogLevel, number> = { error: 0, warning: 1, info: 2, debug: 3, trace: 4 };

/** Whether a line of `level` is at least as important as `threshold`. */
export const isShown = (threshold: LogLevel, level: LogLevel): boolean => RANK[level] <= RANK[threshold];

/** A log that passes on what is at least as important as `threshold`. */
export function filteredLog(threshold: LogLevel, write: Log): Log {
  return (level, text) => {
    if (isShown(threshold, level)) write(level, text);
  };
}

const STANDARD_ERROR = 2;

/**
 * Writes to standard error, one line each; information comes without a prefix. Straight to the descriptor: the runtime's
 * own stream would keep a duplicate of it open, and who started us in the background would wait for its end.
 */
export const logToStderr: Log = (level, text) => {
  const prefix = level === "error" || level === "warning" ? `${level}: ` : "";
  try {
    writeSync(STANDARD_ERROR, `${prefix}${text}\n`);
  } catch {
    // A reader that went away, or does not keep up, costs it a line and must not end us.
  }
};
