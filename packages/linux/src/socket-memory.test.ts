import { expect, test } from "bun:test";
import { writeBytes } from "./file-io.ts";
import {
  acceptSocket,
  bindSocket,
  connectSocket,
  listenSocket,
  localAddress,
  openSocket,
  shutdownSocket,
} from "./inet-socket.ts";
import { closeFd } from "./owned-fd.ts";
import { SocketAddress } from "./socket-address.ts";
import { AF_INET, SHUT_WR, SO_SNDBUF, SOCK_STREAM, SOL_SOCKET } from "./socket-constants.ts";
import { SocketMemory } from "./socket-memory.ts";
import { SocketOptions } from "./socket-options.ts";
import { Errno } from "./system-error.ts";

test("a socket is writable until its peer stops reading; a FIN that waits counts as one unacknowledged byte", () => {
  const address = new SocketAddress();
  const listener = openSocket(AF_INET, SOCK_STREAM);
  bindSocket(listener, address.set(new Uint32Array([0, 0, 0xffff, 0x7f000001]), 0));
  listenSocket(listener, 1);
  localAddress(listener, address);
  const client = openSocket(AF_INET, SOCK_STREAM);
  const options = new SocketOptions();
  options.set(client, SOL_SOCKET, SO_SNDBUF, 65536);
  connectSocket(client, address);
  const server = acceptSocket(listener, address);
  const memory = new SocketMemory();
  expect(memory.read(client)).toBe(0);
  expect(memory.sendBufferBytes).toBe(131072);
  expect(memory.sendQueuedBytes).toBe(0);
  expect(memory.receiveBufferBytes).toBeGreaterThan(0);
  expect(memory.isWritable(client)).toBe(true);
  const block = new Uint8Array(65536);
  while (writeBytes(client, block, 0, block.length) > 0);
  expect(memory.isWritable(client)).toBe(false);
  memory.read(client);
  expect(memory.sendQueuedBytes).toBeGreaterThan(0);
  const waiting = options.unacknowledged(client);
  expect(waiting).toBeGreaterThan(0);
  shutdownSocket(client, SHUT_WR);
  expect(options.unacknowledged(client)).toBe(waiting + 1);
  for (const fd of [listener, client, server]) closeFd(fd);
  expect(memory.read(client)).toBe(-Errno.EBADF);
});
