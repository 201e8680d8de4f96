import { isSocket, pathStatus } from "./file-status.ts";
import { lastErrno, libc, resultOf } from "./libc.ts";
import { NativeBuffer, nativeString } from "./native-buffer.ts";
import { OwnedFd } from "./owned-fd.ts";
import {
  AF_UNIX,
  SO_PEERCRED,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_SEQPACKET,
  SOCK_STREAM,
  SOL_SOCKET,
} from "./socket-constants.ts";
import { Errno, orThrow, SystemError } from "./system-error.ts";

/** How a Unix socket listens. */
export interface UnixListenOptions {
  readonly path: string;
  /** Connections that may wait; default 0 (which still lets one wait). */
  readonly backlog?: number;
  /** Permissions of the socket file; default what the umask leaves. */
  readonly mode?: number;
}

/** sun_path, with its NUL. */
const PATH_BYTES_MAX = 108;

/**
 * Listens at a path, non-blocking. A path that somebody listens at is refused with EADDRINUSE; one that nobody answers
 * at, left behind by a process that died, is removed first. Anything else at the path than a socket stays.
 *
 * @throws SystemError EADDRINUSE, EACCES, ENOENT, ENAMETOOLONG and what else bind(2) says.
 */
export function listenUnix(options: UnixListenOptions): OwnedFd {
  const { path, backlog = 0, mode } = options;
  const address = unixAddress(path);
  const socket = openUnixSocket();
  try {
    if (libc.bind(socket.fd, address.address, address.lengthBytes) === -1) {
      const errno = lastErrno();
      if (errno !== Errno.EADDRINUSE || !isStale(path, address)) throw new SystemError("bind", errno, path);
      orThrow(libc.unlink(nativeString(path).address), "unlink", path);
      orThrow(libc.bind(socket.fd, address.address, address.lengthBytes), "bind", path);
    }
    if (mode !== undefined) orThrow(libc.chmod(nativeString(path).address, mode), "chmod", path);
    orThrow(libc.listen(socket.fd, backlog), "listen", path);
    return socket;
  } catch (error) {
    socket.close();
    throw error;
  }
}

/** It is a socket and nobody answers at it; connecting to a plain file is refused in the same way. */
function isStale(path: string, address: NativeBuffer): boolean {
  using probe = openUnixSocket();
  if (libc.connect(probe.fd, address.address, address.lengthBytes) !== -1) return false;
  return lastErrno() === Errno.ECONNREFUSED && isSocket(pathStatus(path));
}

/** Connects to a path; the socket is non-blocking afterwards. @throws SystemError */
export function connectUnix(path: string): OwnedFd {
  const address = unixAddress(path);
  const socket = openUnixSocket();
  if (libc.connect(socket.fd, address.address, address.lengthBytes) === -1) {
    const errno = lastErrno();
    socket.close();
    throw new SystemError("connect", errno, path);
  }
  return socket;
}

/** Accepts one connection, non-blocking. The descriptor, or -errno: -EAGAIN when none waits. */
export function acceptUnix(listener: number): number {
  return resultOf(libc.accept4(listener, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC));
}

/** Two connected Unix sockets, non-blocking. @throws SystemError */
export function createSocketPair(type: "stream" | "seqpacket" = "stream"): [OwnedFd, OwnedFd] {
  const fds = new NativeBuffer(8);
  const kind = (type === "stream" ? SOCK_STREAM : SOCK_SEQPACKET) | SOCK_NONBLOCK | SOCK_CLOEXEC;
  orThrow(libc.socketpair(AF_UNIX, kind, 0, fds.address), "socketpair");
  return [new OwnedFd(fds.words[0]), new OwnedFd(fds.words[1])];
}

/** Who is at the other end of a Unix socket. */
export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/** The peer's process and ids as they were when it connected (SO_PEERCRED). @throws SystemError */
export function peerCredentials(fd: number): PeerCredentials {
  const out = new NativeBuffer(12);
  const length = new NativeBuffer(4);
  length.words[0] = 12;
  orThrow(libc.getsockopt(fd, SOL_SOCKET, SO_PEERCRED, out.address, length.address), "getsockopt");
  return { pid: out.words[0], uid: out.words[1], gid: out.words[2] };
}

/** Says whether a socket of the UNIX domain has another end, which may be closed by now. */
export function isConnectedUnix(fd: number): boolean {
  const out = new NativeBuffer(2 + PATH_BYTES_MAX);
  const length = new NativeBuffer(4);
  length.words[0] = out.lengthBytes;
  return resultOf(libc.getpeername(fd, out.address, length.address)) === 0;
}

function openUnixSocket(): OwnedFd {
  return new OwnedFd(orThrow(libc.socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket"));
}

/** A sockaddr_un. @throws SystemError ENAMETOOLONG */
export function unixAddress(path: string): NativeBuffer {
  const encoded = nativeString(path).bytes;
  if (encoded.length > PATH_BYTES_MAX) throw new SystemError("bind", Errno.ENAMETOOLONG, path);
  const native = new NativeBuffer(2 + encoded.length);
  native.view.setUint16(0, AF_UNIX, true);
  native.bytes.set(encoded, 2);
  return native;
}
