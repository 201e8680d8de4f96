/** How important a line of the log is. */
export type LogLevel = "error" | "warning" | "info" | "debug";

/** What a thread writes its log lines to. */
export type Log = (level: LogLevel, text: string) => void;

const RANK: Record<LogLevel, number> = { error: 0, warning: 1, info: 2, debug: 3 };

/** A log that passes on what is at least as important as `threshold`. */
export function filteredLog(threshold: LogLevel, write: Log): Log {
  return (level, text) => {
    if (RANK[level] <= RANK[threshold]) write(level, text);
  };
}

/** Writes to standard error, one line each; information comes without a prefix. */
export const logToStderr: Log = (level, text) => {
  process.stderr.write(`${level === "info" || level === "debug" ? "" : `${level}: `}${text}\n`);
};
