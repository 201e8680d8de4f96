import { ptr } from "bun:ffi";
import { libc, resultOf } from "./libc.ts";
import { OwnedFd } from "./owned-fd.ts";
import { AF_UNIX, MSG_DONTWAIT, MSG_NOSIGNAL, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK } from "./socket-constants.ts";
import { Errno, orThrow } from "./system-error.ts";
import { unixAddress } from "./unix-socket.ts";

/** Connects a Unix datagram socket to a path, non-blocking. @throws SystemError ENOENT, ECONNREFUSED, EPROTOTYPE, EACCES */
export function connectUnixDatagram(path: string): OwnedFd {
  return openAt(path, "connect");
}

/** Receives datagrams at a path, non-blocking; the path must be free. @throws SystemError EADDRINUSE, EACCES, ENOENT */
export function bindUnixDatagram(path: string): OwnedFd {
  return openAt(path, "bind");
}

/** Sends one datagram of all of `bytes`. Bytes, or -errno: -EAGAIN when the receiver does not keep up. */
export function sendUnixDatagram(fd: number, bytes: Uint8Array): number {
  return resultOf(libc.send(fd, ptr(bytes), bytes.length, MSG_NOSIGNAL | MSG_DONTWAIT));
}

/** Receives one datagram to the start of `bytes`; what does not fit is lost. Bytes, or -errno: -EAGAIN for none. */
export function receiveUnixDatagram(fd: number, bytes: Uint8Array): number {
  if (bytes.length === 0) return -Errno.EINVAL;
  return resultOf(libc.recv(fd, ptr(bytes), bytes.length, MSG_DONTWAIT));
}

function openAt(path: string, call: "bind" | "connect"): OwnedFd {
  const address = unixAddress(path);
  const type = SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
  const socket = new OwnedFd(orThrow(libc.socket(AF_UNIX, type, 0), "socket"));
  try {
    orThrow(libc[call](socket.fd, address.address, address.lengthBytes), call, path);
    return socket;
  } catch (error) {
    socket.close();
    throw error;
  }
}
