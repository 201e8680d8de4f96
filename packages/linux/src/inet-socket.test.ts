import { expect, test } from "bun:test";
import { writeBytes } from "./file-io.ts";
import {
  acceptSocket,
  bindSocket,
  connectSocket,
  listenSocket,
  localAddress,
  openSocket,
  peerAddress,
  shutdownSocket,
} from "./inet-socket.ts";
import { closeFd } from "./owned-fd.ts";
import { SocketAddress, sockaddrFamily, writeSockaddrIn, writeSockaddrIn6 } from "./socket-address.ts";
import * as constants from "./socket-constants.ts";
import { SocketOptions } from "./socket-options.ts";
import { Errno } from "./system-error.ts";
import { TcpInfo, TcpState } from "./tcp-info.ts";
import { openFileCount } from "./testing/open-files.ts";

const { AF_INET, AF_INET6, SOCK_DGRAM, SOCK_STREAM, SOL_IPV6, SOL_SOCKET } = constants;
const LOOPBACK4: Uint32Array = new Uint32Array([0, 0, 0xffff, 0x7f000001]);
const LOOPBACK6: Uint32Array = new Uint32Array([0, 0, 0, 1]);

/** A connected pair on loopback: [listener, client, server]. */
function connected(words: Uint32Array): [number, number, number] {
  const address = new SocketAddress().set(words, 0);
  const listener = openSocket(address.family, SOCK_STREAM);
  expect(bindSocket(listener, address)).toBe(0);
  expect(listenSocket(listener, 8)).toBe(0);
  expect(localAddress(listener, address)).toBe(0);
  const client = openSocket(address.family, SOCK_STREAM);
  expect(connectSocket(client, address)).toBe(-Errno.EINPROGRESS);
  const server = acceptSocket(listener, address);
  expect(server).toBeGreaterThan(0);
  return [listener, client, server];
}

test("a native address holds exactly what sockaddr_in and sockaddr_in6 say", () => {
  const view = new DataView(new Uint8Array(34).fill(0xa5).buffer);
  const words = new Uint32Array([0xfe800000, 0x01020304, 0x05060708, 0x090a0b0c]);
  expect(writeSockaddrIn6(view, 2, words, 0, 0x1234, 7)).toBe(28);
  const expected = [10, 0, 0x12, 0x34, 0, 0, 0, 0, 0xfe, 0x80, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 7, 0, 0, 0];
  expect([...new Uint8Array(view.buffer)]).toEqual([0xa5, 0xa5, ...expected, 0xa5, 0xa5, 0xa5, 0xa5]);
  expect(writeSockaddrIn(view, 2, LOOPBACK4, 0, 80)).toBe(16);
  expect([...new Uint8Array(view.buffer, 2, 16)]).toEqual([2, 0, 0, 80, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
  expect(sockaddrFamily(view, 2)).toBe(AF_INET);

  const address = new SocketAddress();
  const out = new Uint32Array(5);
  expect(address.lengthBytes).toBe(0);
  expect(address.words(out)).toBe(false);
  expect(address.setIpv6(LOOPBACK4, 9).family).toBe(AF_INET6);
  expect(address.words(out, 1)).toBe(true);
  expect([...out]).toEqual([0, ...LOOPBACK4]);
  expect(address.set(words, 65535, 7).scopeId).toBe(7);
  expect(address.set(LOOPBACK4, 65535, 7).scopeId).toBe(0);
  expect(address.lengthBytes).toBe(16);
});

for (const [name, words] of [
  ["IPv4", LOOPBACK4],
  ["IPv6", LOOPBACK6],
] as const) {
  test(`TCP over ${name}: connect, accept, addresses, state, acknowledged bytes, FIN`, () => {
    const before = openFileCount();
    const [listener, client, server] = connected(words);
    const options = new SocketOptions();
    const address = new SocketAddress();
    const out = new Uint32Array(4);
    expect(options.takeError(client)).toBe(0);
    localAddress(client, address);
    const clientPort = address.port;
    peerAddress(server, address);
    expect(address.port).toBe(clientPort);
    address.words(out);
    expect([...out]).toEqual([...words]);

    expect(writeBytes(client, new Uint8Array(1000), 0, 1000)).toBe(1000);
    expect(options.unread(server)).toBe(1000);
    expect(options.unacknowledged(client)).toBe(0);
    const info = new TcpInfo();
    expect(options.tcpInfo(client, info)).toBe(0);
    expect(info.state).toBe(TcpState.established);
    expect(info.bytesAcknowledged).toBe(1001);
    expect(info.sendWindowBytes).toBeGreaterThan(1000);
    expect(info.sendMss).toBeGreaterThan(500);
    expect(options.tcpInfo(server, info)).toBe(0);
    expect(info.bytesReceived).toBe(1000);
    expect(info.bytesAcknowledged).toBe(0);
    expect(shutdownSocket(client, constants.SHUT_WR)).toBe(0);
    options.tcpInfo(server, info);
    expect(info.state).toBe(TcpState.closeWait);
    for (const fd of [listener, client, server]) expect(closeFd(fd)).toBe(0);
    expect(openFileCount()).toBe(before);
  });
}

test("a close with reset reaches the peer as ECONNRESET", () => {
  const [listener, client, server] = connected(LOOPBACK4);
  const options = new SocketOptions();
  expect(options.closeWithReset(server)).toBe(0);
  expect(options.takeError(client)).toBe(-Errno.ECONNRESET);
  expect(options.takeError(client)).toBe(0);
  closeFd(listener);
  closeFd(client);
});

test("a refused connection is found in SO_ERROR", () => {
  const address = new SocketAddress().set(LOOPBACK4, 0);
  const unused = openSocket(AF_INET, SOCK_STREAM);
  bindSocket(unused, address);
  localAddress(unused, address);
  const client = openSocket(AF_INET, SOCK_STREAM);
  const result = connectSocket(client, address);
  expect(result === -Errno.EINPROGRESS ? new SocketOptions().takeError(client) : result).toBe(-Errno.ECONNREFUSED);
  closeFd(unused);
  closeFd(client);
});

test("options are set and read; wrong ones are error numbers", () => {
  const options = new SocketOptions();
  const socket = openSocket(AF_INET6, SOCK_DGRAM);
  expect(options.set(socket, SOL_IPV6, constants.IPV6_V6ONLY, 1)).toBe(0);
  expect(options.get(socket, SOL_IPV6, constants.IPV6_V6ONLY)).toBe(1);
  expect(options.get(socket, SOL_SOCKET, constants.SO_DOMAIN)).toBe(AF_INET6);
  expect(options.get(socket, SOL_SOCKET, 9999)).toBe(-Errno.ENOPROTOOPT);
  expect(options.bindToDevice(socket, "no-such-device")).toBe(-Errno.ENODEV);
  expect(options.bindToDevice(socket, "lo")).toBe(0);
  // Giving an interface up again takes CAP_NET_RAW.
  expect([0, -Errno.EPERM]).toContain(options.bindToDevice(socket, ""));
  closeFd(socket);
  expect(options.unread(socket)).toBe(-Errno.EBADF);
  expect(options.tcpInfo(socket, new TcpInfo())).toBe(-Errno.EBADF);
  expect(openSocket(9999, SOCK_STREAM)).toBe(-Errno.EAFNOSUPPORT);
});

test("an accept when nobody waits, and a listener on a taken port", () => {
  const [listener, client, server] = connected(LOOPBACK4);
  const address = new SocketAddress();
  expect(acceptSocket(listener, address)).toBe(-Errno.EAGAIN);
  localAddress(listener, address);
  const second = openSocket(AF_INET, SOCK_STREAM);
  expect(bindSocket(second, address)).toBe(-Errno.EADDRINUSE);
  for (const fd of [listener, client, server, second]) closeFd(fd);
});
