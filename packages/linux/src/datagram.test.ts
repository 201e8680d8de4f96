import { afterAll, expect, test } from "bun:test";
import { Iov, IovPool } from "@passt-ts/iov/iov";
import { WindowTable } from "@passt-ts/iov/windows";
import { DatagramReceiveBatch } from "./datagram-receive-batch.ts";
import { DatagramSendBatch, NotAdded } from "./datagram-send-batch.ts";
import { ErrorOrigin, ErrorQueue } from "./error-queue.ts";
import { bindSocket, connectSocket, localAddress, openSocket } from "./inet-socket.ts";
import { type MappedMemory, mapAnonymous } from "./mapped-memory.ts";
import { closeFd } from "./owned-fd.ts";
import { SocketAddress } from "./socket-address.ts";
import * as constants from "./socket-constants.ts";
import { SocketOptions } from "./socket-options.ts";
import { Errno } from "./system-error.ts";

const { AF_INET, AF_INET6, SOCK_DGRAM, SOL_IP, SOL_IPV6, SOL_UDP } = constants;
const LOOPBACK4: Uint32Array = new Uint32Array([0, 0, 0xffff, 0x7f000001]);
const LOOPBACK6: Uint32Array = new Uint32Array([0, 0, 0, 1]);
const BYTES = 1 << 20;
const SLOTS_AT = 1 << 19;
const memory: MappedMemory = mapAnonymous(BYTES);
const windows: WindowTable = new WindowTable();
const window: number = windows.add(memory.bytes(0, BYTES), memory.address);
const bytes: Uint8Array = windows.bytes[window];
const options: SocketOptions = new SocketOptions();
afterAll(() => memory.close());

/** A bound socket and its address. */
function bound(words: Uint32Array): [number, SocketAddress] {
  const address = new SocketAddress().set(words, 0);
  const socket = openSocket(address.family, SOCK_DGRAM);
  expect(bindSocket(socket, address)).toBe(0);
  expect(localAddress(socket, address)).toBe(0);
  return [socket, address];
}

function list(...entries: [offset: number, length: number][]): Iov {
  const pool = new IovPool(windows, entries.length);
  for (const [offset, length] of entries) pool.append(window, offset, length);
  return new Iov(pool, 0, entries.length);
}

function receiver(slots: number, slotBytes: number): DatagramReceiveBatch {
  return new DatagramReceiveBatch({ windows, window, offset: SLOTS_AT, slots, slotBytes });
}

for (const [name, words] of [
  ["IPv4", LOOPBACK4],
  ["IPv6", LOOPBACK6],
] as const) {
  test(`${name}: a batch goes out and comes in, each with its own length and sender; nothing else changes`, () => {
    const [server, serverAddress] = bound(words);
    const [client, clientAddress] = bound(words);
    const out = new DatagramSendBatch(8);
    const batch = receiver(4, 64);
    bytes.fill(0xa5, SLOTS_AT);
    for (let i = 0; i < 100; i++) bytes[i] = i;
    expect(out.add(list([0, 3], [10, 5]), 1, 6, serverAddress)).toBe(0);
    expect(out.add(list([0, 3]), 0, 0, serverAddress)).toBe(1);
    expect(out.add(list([0, 100]), 0, 65, serverAddress)).toBe(2);
    expect(out.send(client)).toBe(3);
    expect(batch.receive(server)).toBe(3);
    expect([0, 1, 2].map((slot) => batch.length(slot))).toEqual([6, 0, 64]);
    expect([0, 1, 2].map((slot) => batch.isTruncated(slot))).toEqual([false, false, true]);
    expect([...bytes.subarray(batch.offset(0), batch.offset(0) + 7)]).toEqual([1, 2, 10, 11, 12, 13, 0xa5]);
    expect(bytes[batch.offset(1)]).toBe(0xa5);
    expect(bytes[batch.offset(2) + 63]).toBe(63);
    expect(bytes[batch.offset(3)]).toBe(0xa5);
    const source = new Uint32Array(4);
    for (let slot = 0; slot < 3; slot++) {
      expect(batch.source(slot, source)).toBe(true);
      expect([...source]).toEqual([...words]);
      expect(batch.sourcePort(slot)).toBe(clientAddress.port);
      expect(batch.hopLimit(slot)).toBe(-1);
      expect(batch.segmentBytes(slot)).toBe(0);
      expect(batch.destination(slot, source)).toBe(false);
    }
    expect(batch.receive(server)).toBe(-Errno.EAGAIN);
    expect(batch.count).toBe(0);

    out.clear();
    expect(connectSocket(client, serverAddress)).toBe(0);
    for (let i = 0; i < 8; i++) expect(out.add(list([i, 1]), 0, 1)).toBe(i);
    expect(out.add(list([0, 1]), 0, 1)).toBe(NotAdded.full);
    expect(out.send(client, 2)).toBe(6);
    expect(batch.receive(server, 2)).toBe(2);
    expect(bytes[batch.offset(1)]).toBe(3);
    expect(batch.receive(server)).toBe(4);
    expect(batch.length(3)).toBe(1);
    closeFd(server);
    closeFd(client);
  });

  test(`${name}: hop limit, destination, interface and source address travel as control messages`, () => {
    const ipVersion = words === LOOPBACK4 ? 4 : 6;
    const [server, serverAddress] = bound(words);
    const [client] = bound(words);
    if (ipVersion === 4) {
      options.set(server, SOL_IP, constants.IP_RECVTTL, 1);
      options.set(server, SOL_IP, constants.IP_PKTINFO, 1);
    } else {
      options.set(server, SOL_IPV6, constants.IPV6_RECVHOPLIMIT, 1);
      options.set(server, SOL_IPV6, constants.IPV6_RECVPKTINFO, 1);
    }
    const out = new DatagramSendBatch(2);
    out.add(list([0, 4]), 0, 4, serverAddress);
    out.setHopLimit(0, ipVersion, 33);
    out.setSource(0, words);
    expect(() => out.setHopLimit(1, ipVersion, 1)).toThrow(RangeError);
    expect(out.send(client)).toBe(1);
    const batch = receiver(2, 64);
    expect(batch.receive(server)).toBe(1);
    expect(batch.hopLimit(0)).toBe(33);
    expect(batch.interfaceIndex(0)).toBe(1);
    const destination = new Uint32Array(5);
    expect(batch.destination(0, destination, 1)).toBe(true);
    expect([...destination]).toEqual([0, ...words]);
    closeFd(server);
    closeFd(client);
  });

  test(`${name}: the error queue says which datagram was refused by whom`, () => {
    const [closed, closedAddress] = bound(words);
    closeFd(closed);
    const [client] = bound(words);
    const isV4 = words === LOOPBACK4;
    options.set(client, isV4 ? SOL_IP : SOL_IPV6, isV4 ? constants.IP_RECVERR : constants.IPV6_RECVERR, 1);
    const out = new DatagramSendBatch(1);
    for (let i = 0; i < 8; i++) bytes[i] = i + 1;
    out.add(list([0, 8]), 0, 8, closedAddress);
    expect(out.send(client)).toBe(1);
    const queue = new ErrorQueue(64);
    expect(queue.receive(client)).toBe(8);
    expect([...queue.payload.subarray(0, 9)]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 0]);
    expect(queue.errno).toBe(Errno.ECONNREFUSED);
    expect([queue.origin, queue.type, queue.code]).toEqual(isV4 ? [ErrorOrigin.icmp, 3, 3] : [ErrorOrigin.icmp6, 1, 4]);
    expect(queue.hasOffender).toBe(true);
    expect([...queue.offender]).toEqual([...words]);
    expect([...queue.destination]).toEqual([...words]);
    expect(queue.destinationPort).toBe(closedAddress.port);
    expect(queue.receive(client)).toBe(-Errno.EAGAIN);
    closeFd(client);
  });
}

test("segmentation offload: one message becomes many datagrams, and UDP_GRO joins them again", () => {
  const [server, serverAddress] = bound(LOOPBACK4);
  const [client] = bound(LOOPBACK4);
  expect(options.set(server, SOL_UDP, constants.UDP_GRO, 1)).toBe(0);
  const out = new DatagramSendBatch(1);
  for (let i = 0; i < 2500; i++) bytes[i] = i % 253;
  out.add(list([0, 1200], [1200, 1300]), 0, 2500, serverAddress);
  out.setSegmentBytes(0, 1000);
  expect(out.send(client)).toBe(1);
  const batch = receiver(4, 65535);
  expect(batch.receive(server)).toBe(1);
  expect(batch.length(0)).toBe(2500);
  expect(batch.segmentBytes(0)).toBe(1000);
  expect(bytes.slice(batch.offset(0), batch.offset(0) + 2500)).toEqual(bytes.slice(0, 2500));
  closeFd(server);
  closeFd(client);
});

test("a datagram in more than 1024 entries, or outside its windows, is said to be so and leaves the batch as it was", () => {
  const [server, serverAddress] = bound(LOOPBACK4);
  const out = new DatagramSendBatch(4, 2000);
  const ones = (count: number): Iov => list(...Array.from({ length: count }, (_, i): [number, number] => [i, 1]));
  expect(out.add(ones(1025), 0, 1025, serverAddress)).toBe(NotAdded.tooManyEntries);
  expect(out.add(list([BYTES - 1, 2]), 0, 2, serverAddress)).toBe(NotAdded.badRange);
  expect(out.add(list([0, 4]), 0, 5, serverAddress)).toBe(NotAdded.badRange);
  expect(out.count).toBe(0);
  expect(out.add(ones(1024), 0, 1024, serverAddress)).toBe(0);
  expect(out.add(ones(1000), 0, 1000, serverAddress)).toBe(NotAdded.full);
  expect(out.add(ones(900), 0, 900, serverAddress)).toBe(1);
  expect(out.send(server)).toBe(2);
  expect(new DatagramSendBatch(1, 8).add(ones(9), 0, 9, serverAddress)).toBe(NotAdded.tooManyEntries);
  closeFd(server);
});

test("a send that fails in the middle says how many went, then why the next one did not", () => {
  const [server, serverAddress] = bound(LOOPBACK4);
  const out = new DatagramSendBatch(3);
  out.add(list([0, 10]), 0, 10, serverAddress);
  out.add(list([0, 65536]), 0, 65536, serverAddress);
  out.add(list([0, 11]), 0, 11, serverAddress);
  expect(out.send(server)).toBe(1);
  expect(out.send(server, 1)).toBe(-Errno.EMSGSIZE);
  expect(out.send(server, 2)).toBe(1);
  expect(out.send(server, 3)).toBe(0);
  const batch = receiver(4, 64);
  expect(batch.receive(server)).toBe(2);
  expect([batch.length(0), batch.length(1)]).toEqual([10, 11]);
  closeFd(server);
});

test("slots that do not lie inside their window are refused", () => {
  const plain = windows.add(new Uint8Array(1 << 16));
  expect(() => receiver(1, BYTES)).toThrow(RangeError);
  expect(() => new DatagramReceiveBatch({ windows, window: plain, offset: 0, slots: 1, slotBytes: 64 })).toThrow(
    RangeError,
  );
  windows.remove(plain);
});

test("a dual-stack socket gives IPv4 senders as mapped addresses and sends back to them", () => {
  const server = openSocket(AF_INET6, SOCK_DGRAM);
  options.set(server, SOL_IPV6, constants.IPV6_V6ONLY, 0);
  const any = new SocketAddress().set(new Uint32Array(4), 0);
  expect(bindSocket(server, any)).toBe(0);
  localAddress(server, any);
  const client = openSocket(AF_INET, SOCK_DGRAM);
  expect(connectSocket(client, new SocketAddress().set(LOOPBACK4, any.port))).toBe(0);
  const out = new DatagramSendBatch(1);
  out.add(list([0, 5]), 0, 5);
  expect(out.send(client)).toBe(1);
  const batch = receiver(1, 64);
  expect(batch.receive(server)).toBe(1);
  const source = new Uint32Array(4);
  expect(batch.source(0, source)).toBe(true);
  expect([...source]).toEqual([...LOOPBACK4]);
  out.clear();
  out.add(list([0, 5]), 0, 5, new SocketAddress().setIpv6(source, batch.sourcePort(0)));
  expect(out.send(server)).toBe(1);
  expect(batch.receive(client)).toBe(1);
  closeFd(server);
  closeFd(client);
});
