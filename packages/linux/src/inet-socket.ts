/**
 * Internet sockets: plain descriptor numbers, results 0 or more, failures -errno. Everything opened here is
 * non-blocking and close-on-exec.
 */
import { libc, resultOf } from "./libc.ts";
import type { SocketAddress } from "./socket-address.ts";
import { SOCK_CLOEXEC, SOCK_NONBLOCK } from "./socket-constants.ts";

/** Opens a socket: AF_*, SOCK_*, IPPROTO_*. The descriptor, or -errno. */
export function openSocket(family: number, type: number, protocol = 0): number {
  return resultOf(libc.socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
}

/** Gives the socket its local address. 0 or -errno. */
export function bindSocket(fd: number, address: SocketAddress): number {
  return resultOf(libc.bind(fd, address.address, address.lengthBytes));
}

/** Connects, or sets the peer of a datagram socket. 0, or -errno: -EINPROGRESS is how a TCP connection begins. */
export function connectSocket(fd: number, address: SocketAddress): number {
  return resultOf(libc.connect(fd, address.address, address.lengthBytes));
}

/** Makes a bound TCP socket accept connections. 0 or -errno. */
export function listenSocket(fd: number, backlog: number): number {
  return resultOf(libc.listen(fd, backlog));
}

/** Accepts one connection and fills in its peer. The descriptor, or -errno: -EAGAIN when none waits. */
export function acceptSocket(fd: number, peer: SocketAddress): number {
  peer.expect();
  return resultOf(libc.accept4(fd, peer.address, peer.lengthAddress, SOCK_NONBLOCK | SOCK_CLOEXEC));
}

/** Fills in the socket's own address. 0 or -errno. */
export function localAddress(fd: number, out: SocketAddress): number {
  out.expect();
  return resultOf(libc.getsockname(fd, out.address, out.lengthAddress));
}

/** Fills in the address of the socket's peer. 0 or -errno. */
export function peerAddress(fd: number, out: SocketAddress): number {
  out.expect();
  return resultOf(libc.getpeername(fd, out.address, out.lengthAddress));
}

/** Ends one or both directions: SHUT_*. 0 or -errno. */
export function shutdownSocket(fd: number, how: number): number {
  return resultOf(libc.shutdown(fd, how));
}
