/** How much a line of the log matters. */
export type LogLevel = "debug" | "info" | "warning" | "error";

/** Where lines go; injected by the owner. */
export type Log = (level: LogLevel, text: string) => void;
