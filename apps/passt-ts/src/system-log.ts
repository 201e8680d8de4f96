import type { OwnedFd } from "@passt-ts/linux/owned-fd";
import { SystemError } from "@passt-ts/linux/system-error";
import { connectUnixDatagram, sendUnixDatagram } from "@passt-ts/linux/unix-datagram";
import type { LogLevel } from "./log.ts";

const DEFAULT_PATH = "/dev/log";
/** LOG_DAEMON, and the severities of syslog(3). */
const DAEMON_FACILITY = 3 << 3;
const SEVERITY: Record<LogLevel, number> = { error: 3, warning: 4, info: 6, debug: 7, trace: 7 };
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** What the system log is reached by, and who writes to it. */
export interface SystemLogOptions {
  /** The program's name in each line. */
  readonly program: string;
  readonly pid: number;
  /** Default: /dev/log. */
  readonly path?: string;
  /** The time of day now. */
  readonly now?: () => Date;
}

/**
 * The host's log, written as syslog(3) of the C library does (RFC 3164 without the host name). Where there is none, or
 * it does not keep up, lines are lost; one that comes up later is found.
 */
export class SystemLog {
  readonly #options: SystemLogOptions;
  #socket: OwnedFd | null = null;

  constructor(options: SystemLogOptions) {
    this.#options = options;
    this.#connect();
  }

  write(level: LogLevel, text: string): void {
    for (const line of text.split("\n")) this.#send(this.#formatted(level, line));
  }

  close(): void {
    this.#socket?.close();
    this.#socket = null;
  }

  #send(line: string): void {
    const bytes = new TextEncoder().encode(line);
    if (this.#socket !== null && sendUnixDatagram(this.#socket.fd, bytes) >= 0) return;
    // The log was started anew: its old socket refuses what comes.
    this.#connect();
    if (this.#socket !== null) sendUnixDatagram(this.#socket.fd, bytes);
  }

  #connect(): void {
    this.close();
    try {
      this.#socket = connectUnixDatagram(this.#options.path ?? DEFAULT_PATH);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
    }
  }

  #formatted(level: LogLevel, line: string): string {
    const { program, pid, now = () => new Date() } = this.#options;
    const date = now();
    const two = (value: number) => String(value).padStart(2, "0");
    const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
    const day = `${MONTHS[date.getMonth()]} ${String(date.getDate()).padStart(2, " ")}`;
    return `<${DAEMON_FACILITY | SEVERITY[level]}>${day} ${time} ${program}[${pid}]: ${line}`;
  }
}
