import { lstatSync, unlinkSync } from "node:fs";
import { resolve } from "node:path";
import { OwnedFd } from "@passt-ts/linux/owned-fd";
import { AF_UNIX, SO_ACCEPTCONN, SO_DOMAIN, SO_TYPE, SOCK_STREAM, SOL_SOCKET } from "@passt-ts/linux/socket-constants";
import { SocketOptions } from "@passt-ts/linux/socket-options";
import { Errno, SystemError } from "@passt-ts/linux/system-error";
import { isConnectedUnix, listenUnix } from "@passt-ts/linux/unix-socket";
import type { CommandLine } from "./command-line.ts";
import { parseNumber } from "./number-option.ts";
import { UsageError } from "./usage-error.ts";

/** Where the front-end comes from: a path listened at, which is removed in the end, or a connected descriptor. */
export class FrontEndSocket implements Disposable {
  /** The path as it was given; null for a connected descriptor that was inherited. */
  readonly path: string | null;
  readonly #socket: OwnedFd;
  readonly #fullPath: string | null;

  constructor(socket: OwnedFd, path: string | null) {
    this.#socket = socket;
    this.path = path;
    this.#fullPath = path === null ? null : resolve(path);
  }

  /** Hands the descriptor to the caller. */
  take(): number {
    return this.#socket.take();
  }

  [Symbol.dispose](): void {
    this.#socket.close();
    if (this.#fullPath === null) return;
    try {
      unlinkSync(this.#fullPath);
    } catch {
      // Somebody else removed it, or we may not any longer: the next one to listen there takes it over.
    }
  }
}

const DEFAULT_PATHS = 64;
/** Standard streams and what the runtime may have opened are no front-end. */
const INHERITED_FD_MIN = 3;
const INHERITED_FD_MAX = 0x7fff_ffff;

/** Opens the socket that the options ask for. @throws UsageError */
export function openFrontEndSocket(line: CommandLine): FrontEndSocket {
  const fd = inheritedFd(line);
  const path = line.last("socket");
  if (fd !== null) return new FrontEndSocket(new OwnedFd(fd), null);
  if (path !== undefined) return new FrontEndSocket(listenAt(path), path);
  return firstFreePath();
}

/** The number of the connected socket that -F names; null without it, or with -s behind it. @throws UsageError when it is none. */
export function inheritedFd(line: CommandLine): number | null {
  const text = line.last("fd");
  if (text === undefined || line.lastOf("fd", "socket") === "socket") return null;
  const fd = parseNumber(text);
  if (!(fd >= INHERITED_FD_MIN && fd <= INHERITED_FD_MAX))
    throw new UsageError(`-F: '${text}' is not a descriptor from ${INHERITED_FD_MIN} on`);
  const options = new SocketOptions();
  const option = (name: number): number => options.get(fd, SOL_SOCKET, name);
  if (option(SO_DOMAIN) < 0) throw new UsageError(`-F: descriptor ${fd} is not an open socket`);
  if (option(SO_DOMAIN) !== AF_UNIX || option(SO_TYPE) !== SOCK_STREAM)
    throw new UsageError(`-F: descriptor ${fd} is not a stream socket of the UNIX domain`);
  if (option(SO_ACCEPTCONN) !== 0) throw new UsageError(`-F: descriptor ${fd} listens; a connected socket is needed`);
  if (!isConnectedUnix(fd)) throw new UsageError(`-F: descriptor ${fd} is not connected`);
  return fd;
}

function listenAt(path: string): OwnedFd {
  // The kernel would take an empty path for leave to choose an abstract name.
  if (path === "") throw new UsageError("-s: the path is empty");
  try {
    return listenUnix({ path });
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    if (error.errno === Errno.EADDRINUSE) {
      const why = isSocketPath(path) ? "is in use by another process" : "exists and is not a socket";
      throw new UsageError(`-s: ${path} ${why}`);
    }
    throw new UsageError(`-s: cannot listen at ${path}: ${error.message}`);
  }
}

function isSocketPath(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSocket() ?? true;
}

function firstFreePath(): FrontEndSocket {
  for (let number = 1; number <= DEFAULT_PATHS; number++) {
    const path = `/tmp/passt_${number}.socket`;
    try {
      return new FrontEndSocket(listenUnix({ path }), path);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
    }
  }
  throw new UsageError(`-s: none of /tmp/passt_1.socket to /tmp/passt_${DEFAULT_PATHS}.socket is free`);
}
