import { afterAll, expect, test } from "bun:test";
import { readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Iov, IovPool } from "@passt-ts/iov/iov";
import { WindowTable } from "@passt-ts/iov/windows";
import { OpenMode, openFile, readBytes, syncFile, writeBytes } from "./file-io.ts";
import {
  acceptSocket,
  bindSocket,
  connectSocket,
  listenSocket,
  localAddress,
  openSocket,
  shutdownSocket,
} from "./inet-socket.ts";
import { CALL_ENTRIES_MAX } from "./iovec-table.ts";
import { type MappedMemory, mapAnonymous, mapFile } from "./mapped-memory.ts";
import { createMemoryFile } from "./memory-file.ts";
import { closeFd } from "./owned-fd.ts";
import { SocketAddress } from "./socket-address.ts";
import { AF_INET, AF_INET6, MSG_PEEK, SHUT_WR, SOCK_STREAM } from "./socket-constants.ts";
import { SocketOptions } from "./socket-options.ts";
import { StreamIo } from "./stream-io.ts";
import { Errno } from "./system-error.ts";
import { createSocketPair } from "./unix-socket.ts";

const BYTES = 1 << 20;
const memory: MappedMemory = mapAnonymous(BYTES);
const windows: WindowTable = new WindowTable();
const window: number = windows.add(memory.bytes(0, BYTES), memory.address);
const bytes: Uint8Array = windows.bytes[window];
const io: StreamIo = new StreamIo();
afterAll(() => {
  io.close();
  memory.close();
});

function list(...entries: [offset: number, length: number][]): Iov {
  const pool = new IovPool(windows, entries.length);
  for (const [offset, length] of entries) pool.append(window, offset, length);
  return new Iov(pool, 0, entries.length);
}

function tcpPair(family: number): [number, number] {
  const address = new SocketAddress();
  const words = family === AF_INET ? new Uint32Array([0, 0, 0xffff, 0x7f000001]) : new Uint32Array([0, 0, 0, 1]);
  const listener = openSocket(family, SOCK_STREAM);
  bindSocket(listener, address.set(words, 0));
  listenSocket(listener, 1);
  localAddress(listener, address);
  const client = openSocket(family, SOCK_STREAM);
  connectSocket(client, address);
  const server = acceptSocket(listener, address);
  closeFd(listener);
  return [client, server];
}

test("bytes go out of and into scattered entries at an offset, and nothing around them changes", () => {
  const [left, right] = createSocketPair();
  bytes.fill(0xa5);
  for (let i = 0; i < 100; i++) bytes[i] = i;
  const from = list([0, 10], [50, 0], [20, 10], [40, 30]);
  expect(io.send(left.fd, from, 5, 40)).toBe(40);
  const to = list([1000, 3], [2000, 0], [2000, 60]);
  expect(io.receive(right.fd, to, 1, 62)).toBe(40);
  const sent = [
    5,
    6,
    7,
    8,
    9,
    ...Array.from({ length: 10 }, (_, i) => 20 + i),
    ...Array.from({ length: 25 }, (_, i) => 40 + i),
  ];
  expect([...bytes.subarray(1000, 1003)]).toEqual([0xa5, ...sent.slice(0, 2)]);
  expect([...bytes.subarray(2000, 2039)]).toEqual([...sent.slice(2), 0xa5]);
  expect(bytes[1003]).toBe(0xa5);
  expect(io.send(left.fd, from, 45, 100)).toBe(5);
  expect(io.send(left.fd, from, 50, 1)).toBe(0);
  expect(io.receive(right.fd, to, 0, 4)).toBe(4);
  expect(io.receive(right.fd, to, 0, 4)).toBe(1);
  expect(io.receive(right.fd, to, 0, 4)).toBe(-Errno.EAGAIN);
  expect(io.receive(right.fd, to, 63, 4)).toBe(-Errno.EINVAL);
  left.close();
  expect(io.receive(right.fd, to, 0, 4)).toBe(0);
  expect(io.send(right.fd, from, 0, 4)).toBe(-Errno.EPIPE);
  right.close();
});

test("a list of more than 1024 entries goes in several calls", () => {
  const [left, right] = createSocketPair();
  const from = list(...Array.from({ length: 1500 }, (_, i): [number, number] => [i, 1]));
  for (let i = 0; i < 1500; i++) bytes[i] = i % 251;
  expect(io.send(left.fd, from, 0, 1500)).toBe(CALL_ENTRIES_MAX);
  expect(io.send(left.fd, from, 1024, 476)).toBe(476);
  const to = list(...Array.from({ length: 1500 }, (_, i): [number, number] => [10000 + i, 1]));
  expect(io.receive(right.fd, to, 0, 1500)).toBe(CALL_ENTRIES_MAX);
  expect(io.receive(right.fd, to, 1024, 476)).toBe(476);
  expect(bytes.slice(10000, 11500)).toEqual(bytes.slice(0, 1500));
  left.close();
  right.close();
});

test("entries that are stale, out of range or without an address are refused, and nothing is sent", () => {
  const [left, right] = createSocketPair();
  const table = new WindowTable();
  const plain = table.add(new Uint8Array(64));
  const gone = table.add(memory.bytes(0, 4096), memory.address);
  table.remove(gone);
  const scratch = mapAnonymous(4096);
  const closed = table.add(scratch.bytes(0, 4096), scratch.address);
  scratch.close();
  for (const [index, offset, length] of [
    [plain, 0, 8],
    [gone, 0, 8],
    [closed, 0, 8],
    [77, 0, 8],
  ] as const) {
    const pool = new IovPool(table, 1);
    pool.append(index, offset, length);
    expect(io.send(left.fd, new Iov(pool, 0, 1), 0, 8)).toBe(-Errno.EFAULT);
    expect(io.receive(right.fd, new Iov(pool, 0, 1), 0, 8)).toBe(-Errno.EFAULT);
  }
  for (const entry of [
    [BYTES - 4, 8],
    [-4, 8],
    [0, BYTES + 1],
  ] as [number, number][]) {
    expect(io.send(left.fd, list([0, 4], entry), 0, BYTES * 2)).toBe(-Errno.EFAULT);
  }
  expect(io.receive(right.fd, list([0, 8]), 0, 8)).toBe(-Errno.EAGAIN);
  left.close();
  right.close();
});

for (const family of [AF_INET, AF_INET6]) {
  test(`TCP family ${family}: peek behind what was peeked, consume without a copy, SO_PEEK_OFF`, () => {
    const [client, server] = tcpPair(family);
    for (let i = 0; i < 3000; i++) bytes[i] = i % 241;
    expect(io.send(client, list([0, 3000]), 0, 3000)).toBe(3000);
    const to = list([100_000, 400], [200_000, 4000]);
    expect(io.receiveBehind(server, 1000, to, 0, 4400, MSG_PEEK)).toBe(2000);
    expect(bytes.slice(100_000, 100_400)).toEqual(bytes.slice(1000, 1400));
    expect(bytes.slice(200_000, 201_600)).toEqual(bytes.slice(1400, 3000));
    expect(io.receiveBehind(server, 3000, to, 0, 4400, MSG_PEEK)).toBe(-Errno.EAGAIN);
    expect(io.receiveBehind(server, 0, to, 0, 4400, MSG_PEEK)).toBe(3000);
    expect(io.receiveBehind(server, 2 ** 30, to, 0, 4400, MSG_PEEK)).toBe(-Errno.EINVAL);
    expect(io.consume(server, 1000)).toBe(1000);
    expect(io.receive(server, to, 0, 1, MSG_PEEK)).toBe(1);
    expect(bytes[100_000]).toBe(1000 % 241);

    const options = new SocketOptions();
    if (options.setPeekOffset(server, 0) === 0) {
      expect(io.receive(server, to, 0, 500, MSG_PEEK)).toBe(500);
      expect(io.receive(server, to, 0, 4400, MSG_PEEK)).toBe(1500);
      expect(io.receive(server, to, 0, 4400, MSG_PEEK)).toBe(-Errno.EAGAIN);
    } else {
      expect(family).toBe(AF_INET6); // Linux has it for TCP over IPv4 since 6.9, over IPv6 a little later.
    }
    expect(io.consume(server, 100_000)).toBe(2000);
    shutdownSocket(client, SHUT_WR);
    expect(io.receive(server, to, 0, 10)).toBe(0);
    expect(io.receiveBehind(server, 10, to, 0, 10, MSG_PEEK)).toBe(0);
    closeFd(client);
    closeFd(server);
  });
}

test("files: vectors and bytes are written and read, a frame in too many entries is refused", () => {
  const path = join(tmpdir(), `stream-io-${process.pid}`);
  for (let i = 0; i < 64; i++) bytes[i] = i;
  using file = openFile(path, OpenMode.replace);
  expect(io.write(file.fd, list([0, 4], [8, 4]), 2, 6)).toBe(6);
  expect(writeBytes(file.fd, bytes, 60, 4)).toBe(4);
  expect(writeBytes(file.fd, bytes, BYTES - 1, 2)).toBe(-Errno.EINVAL);
  expect(syncFile(file.fd)).toBe(0);
  const many = list(...Array.from({ length: 1025 }, (_, i): [number, number] => [i, 1]));
  expect(io.write(file.fd, many, 0, 1025, true)).toBe(-Errno.EMSGSIZE);
  expect([...readFileSync(path)]).toEqual([2, 3, 8, 9, 10, 11, 60, 61, 62, 63]);
  expect(() => openFile(path, OpenMode.createNew)).toThrow("EEXIST");
  {
    using appended = openFile(path, OpenMode.append);
    expect(writeBytes(appended.fd, bytes, 0, 1)).toBe(1);
    expect(readBytes(appended.fd, bytes, 0, 1)).toBe(-Errno.EBADF);
  }
  using reader = openFile(path, OpenMode.read);
  expect(io.read(reader.fd, list([300, 2], [400, 100]), 1, 100)).toBe(11);
  expect(bytes[301]).toBe(2);
  expect(bytes[409]).toBe(0);
  expect(readBytes(reader.fd, bytes, 0, 10)).toBe(0);
  rmSync(path);
});

test("a full disk or pipe is told as what was written so far", () => {
  using full = openFile("/dev/full", OpenMode.append);
  expect(writeBytes(full.fd, bytes, 0, 10)).toBe(-Errno.ENOSPC);
});

test("a file is sent by its pages, from an offset on; 0 behind its end, and no more than the socket takes", () => {
  using file = createMemoryFile("pages", 3 << 20);
  using mapped = mapFile({ fd: file.fd, offset: 0, lengthBytes: 3 << 20 });
  mapped.bytes(0, 100).fill(7);
  mapped.bytes(40, 3).set([1, 2, 3]);
  const [left, right] = tcpPair(AF_INET);
  expect(io.sendFile(left, file.fd, 40, 10)).toBe(10);
  expect(io.receive(right, list([0, 100]), 0, 100)).toBe(10);
  expect([...bytes.subarray(0, 10)]).toEqual([1, 2, 3, 7, 7, 7, 7, 7, 7, 7]);
  expect(io.sendFile(left, file.fd, 3 << 20, 10)).toBe(0);
  let result = 0;
  for (let i = 0; i < 100 && result >= 0; i++) result = io.sendFile(left, file.fd, 0, 3 << 20);
  expect(result).toBe(-Errno.EAGAIN);
  closeFd(left);
  closeFd(right);
});
