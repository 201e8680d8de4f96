import { expect, test } from "bun:test";
import { loopback4 } from "@passt-ts/address-map/address";
import { TcpCounter } from "./counters.ts";
import { offeredMss } from "./handshake.ts";
import { synWaitsMs } from "./syn-schedule.ts";
import { EngineRig, GATEWAY4, GUEST6, OUR_LINK_LOCAL, REMOTE4, REMOTE6 } from "./testing/engine-rig.ts";
import { F } from "./testing/frames.ts";
import { GuestEnd, openOutbound, synOptions } from "./testing/guest-end.ts";

const REFUSED = -111;

test("the MSS that is offered: the MTU without headers, whole pages above one page", () => {
  expect([offeredMss(65520, 4), offeredMss(65520, 6)]).toEqual([61440, 61440]);
  expect([offeredMss(1500, 4), offeredMss(1500, 6), offeredMss(9000, 4), offeredMss(4136, 4)]).toEqual([
    1460, 1440, 8192, 4096,
  ]);
});

test("outbound IPv4: SYN connects, and only a connected socket brings SYN,ACK", () => {
  const rig = new EngineRig();
  rig.input({ flags: F.syn, sequence: 1000, options: synOptions(1460, 7), window: 64240 });
  const socket = rig.sockets.last;
  expect([socket.address, socket.port]).toEqual([[...REMOTE4], 80]);
  expect(rig.settle()).toEqual([]);
  rig.input({ flags: F.syn, sequence: 1000, options: synOptions(1460, 7), window: 64240 });
  expect(rig.settle()).toEqual([]);
  expect(rig.sockets.sockets.length).toBe(1);
  rig.sockets.complete(socket);
  const [answer, ...rest] = rig.settle();
  expect(rest).toEqual([]);
  expect(answer).toMatchObject({
    source: [8, 8, 4, 4],
    destination: [10, 0, 0, 2],
    sourcePort: 80,
    destinationPort: 40000,
    acknowledgment: 1001,
    flags: F.syn | F.ack,
    window: 65535,
    options: [2, 4, 0xf0, 0, 1, 3, 3, 8],
    payload: [],
  });
  const { bytes } = answer.frame;
  expect([...bytes.subarray(0, 14)]).toEqual([255, 255, 255, 255, 255, 255, 0x9a, 0x55, 0x9a, 0x55, 0x9a, 0x55, 8, 0]);
  // tos 0, id 0, DF, ttl 255
  expect([bytes[15], bytes[18], bytes[19], bytes[20], bytes[21], bytes[22]]).toEqual([0, 0, 0, 0x40, 0, 255]);
});

test("a guest without window scale gets no such option, and a small SYN window", () => {
  const rig = new EngineRig();
  rig.input({ flags: F.syn, options: synOptions(1460) });
  rig.sockets.last.sendBufferBytes = 5000;
  rig.sockets.complete(rig.sockets.last);
  expect(rig.settle()[0]).toMatchObject({ options: [2, 4, 0xf0, 0], window: 5000 });
});

test("outbound IPv6, to our link-local address: the host's loopback, with a flow label", () => {
  const rig = new EngineRig();
  rig.sockets.incoming();
  rig.input({ source: GUEST6, destination: OUR_LINK_LOCAL, flags: F.syn, options: synOptions(1440, 7) });
  expect(rig.sockets.last.address).toEqual([0, 0, 0, 1]);
  rig.sockets.complete(rig.sockets.last);
  const [answer] = rig.settle();
  expect(answer).toMatchObject({ ipVersion: 6, flags: F.syn | F.ack, options: [2, 4, 0xf0, 0, 1, 3, 3, 8] });
  // hop limit 255, flow label the number of the socket
  expect([answer.frame.bytes[17], answer.frame.bytes[21]]).toEqual([1, 255]);
});

test("the gateway is the host's loopback", () => {
  const rig = new EngineRig();
  rig.input({ destination: GATEWAY4, flags: F.syn });
  expect(rig.sockets.last.address).toEqual([...loopback4()]);
});

test("a lost SYN,ACK is sent again as SYN,ACK with the same number; at 19 s both sides are reset", () => {
  const rig = new EngineRig();
  rig.input({ flags: F.syn, sequence: 7 });
  rig.sockets.complete(rig.sockets.last);
  const start = rig.nowMs;
  const seen = [...rig.settle().map((segment) => ({ ...segment, atMs: start })), ...rig.pass(30_000)];
  const answers = seen.slice(0, -1);
  expect(answers.map((segment) => segment.atMs - start)).toEqual([0, 1000, 2000, 3000, 4000, 5000, 7000, 11000]);
  for (const segment of answers) {
    expect(segment).toMatchObject({ flags: F.syn | F.ack, sequence: answers[0].sequence, acknowledgment: 8 });
  }
  const end = seen[seen.length - 1];
  expect(end).toMatchObject({ flags: F.rst | F.ack, sequence: (answers[0].sequence + 1) >>> 0, acknowledgment: 8 });
  expect(end.atMs - start).toBe(19_000);
  expect(rig.sockets.last.state).toBe("reset");
  expect(rig.engine.flowCount).toBe(0);
});

test("a SYN sent again while SYN,ACK waits is answered at once; a new SYN begins anew", () => {
  const rig = new EngineRig();
  rig.input({ flags: F.syn, sequence: 7 });
  rig.sockets.complete(rig.sockets.last);
  const [first] = rig.settle();
  rig.input({ flags: F.syn, sequence: 7 });
  expect(rig.settle()).toMatchObject([{ flags: F.syn | F.ack, sequence: first.sequence }]);
  rig.input({ flags: F.syn, sequence: 99 });
  expect(rig.sockets.sockets.map((socket) => socket.state)).toEqual(["reset", "open"]);
  expect(rig.engine.flowCount).toBe(1);
});

test("connect errors become RST,ACK: at once and later", () => {
  const rig = new EngineRig();
  rig.sockets.connectResult = REFUSED;
  rig.input({ flags: F.syn, sequence: 500 });
  expect(rig.take()).toMatchObject([{ flags: F.rst | F.ack, sequence: 0, acknowledgment: 501, window: 0 }]);
  rig.sockets.connectResult = 0;
  rig.input({ flags: F.syn, sequence: 600 });
  rig.sockets.complete(rig.sockets.last, REFUSED);
  expect(rig.settle()).toMatchObject([{ flags: F.rst | F.ack, sequence: 0, acknowledgment: 601, window: 0 }]);
  expect(rig.engine.flowCount).toBe(0);
  expect(rig.engine.counters[TcpCounter.connectFailed]).toBe(2);
});

test("an event of an older socket does not pass for a connection", () => {
  const rig = new EngineRig();
  rig.input({ flags: F.syn });
  rig.engine.socketReady(0, 2, rig.nowMs);
  rig.engine.socketReady(5, 15, rig.nowMs);
  expect(rig.settle()).toEqual([]);
  expect(rig.engine.flowCount).toBe(1);
});

test("RST of the guest while the socket connects closes it", () => {
  const rig = new EngineRig();
  rig.input({ flags: F.syn, sequence: 7 });
  rig.input({ flags: F.rst, sequence: 500 });
  expect(rig.engine.flowCount).toBe(1);
  rig.input({ flags: F.rst | F.ack, sequence: 8 });
  expect(rig.engine.flowCount).toBe(0);
  expect(rig.sockets.last.state).toBe("reset");
  expect(rig.settle()).toEqual([]);
});

test("a wrong acknowledgment of SYN,ACK gets a RST with its number, and changes nothing", () => {
  const rig = new EngineRig();
  rig.input({ flags: F.syn, sequence: 7 });
  rig.sockets.complete(rig.sockets.last);
  const [answer] = rig.settle();
  rig.input({ flags: F.ack, sequence: 8, acknowledgment: answer.sequence });
  expect(rig.settle()).toMatchObject([{ flags: F.rst, sequence: answer.sequence, window: 0 }]);
  rig.input({ flags: F.ack, sequence: 8, acknowledgment: answer.sequence + 1 });
  rig.sockets.push(rig.sockets.last, [1, 2, 3]);
  expect(rig.settle()).toMatchObject([{ payload: [1, 2, 3], sequence: (answer.sequence + 1) >>> 0 }]);
});

test("targets that are no unicast address, and port 0, are dropped silently", () => {
  const rig = new EngineRig();
  for (const last of [0xe0000001, 0xffffffff])
    rig.input({ destination: Uint32Array.of(0, 0, 0xffff, last), flags: F.syn });
  rig.input({ destination: Uint32Array.of(0, 0, 0xffff, 0xe0000001), flags: F.ack });
  rig.input({ source: Uint32Array.of(0, 0, 0xffff, 0xffffffff), flags: F.syn });
  expect(rig.engine.counters[TcpCounter.refusedAddress]).toBe(4);
  rig.input({ destinationPort: 0, flags: F.syn });
  rig.input({ sourcePort: 0, flags: F.syn });
  expect(rig.engine.counters[TcpCounter.malformed]).toBe(2);
  expect(rig.settle()).toEqual([]);
  expect(rig.sockets.sockets.length).toBe(0);
});

test("a full table answers SYN with RST, counted; a freed slot takes the next one", () => {
  const rig = new EngineRig({ engine: { capacity: 1 } });
  const end = openOutbound(rig);
  rig.input({ sourcePort: 50000, flags: F.syn, sequence: 9 });
  expect(rig.settle()).toMatchObject([{ destinationPort: 50000, flags: F.rst | F.ack, acknowledgment: 10 }]);
  expect(rig.engine.counters[TcpCounter.tableFull]).toBe(1);
  const incoming = rig.sockets.incoming();
  expect(rig.engine.accepted(incoming, REMOTE4, 999, 22, rig.nowMs)).toBe(-1);
  rig.input(end.segment({ flags: F.rst }));
  rig.input({ sourcePort: 50000, flags: F.syn, sequence: 9 });
  expect(rig.engine.flowCount).toBe(1);
  expect(rig.settle()).toEqual([]);
});

test("a segment without a connection gets the RST that RFC 9293 names; a RST gets nothing", () => {
  const rig = new EngineRig();
  rig.input({ flags: F.ack, sequence: 5, acknowledgment: 77, payload: [1] });
  rig.input({ flags: F.fin, sequence: 5, payload: [1, 2] });
  rig.input({ flags: F.syn | F.ack, sequence: 5, acknowledgment: 78 });
  rig.input({ flags: F.rst | F.ack, sequence: 5 });
  expect(rig.settle()).toMatchObject([
    { flags: F.rst, sequence: 77, window: 0 },
    { flags: F.rst | F.ack, sequence: 0, acknowledgment: 8, window: 0 },
    { flags: F.rst, sequence: 78 },
  ]);
});

function accept(rig: EngineRig, peer: Uint32Array = REMOTE4): { flow: number; number: number } {
  const number = rig.sockets.incoming();
  return { number, flow: rig.engine.accepted(number, peer, 5555, 22, rig.nowMs) };
}

test("inbound: accept() brings SYN with the peer's port, SYN,ACK brings ACK and what the peer sent early", () => {
  const rig = new EngineRig();
  const { flow, number } = accept(rig);
  const socket = rig.sockets.sockets[number];
  expect(flow).toBe(0);
  rig.sockets.push(socket, [9, 8, 7]);
  const [syn, ...rest] = rig.settle();
  expect(rest).toEqual([]);
  expect(syn).toMatchObject({
    source: [8, 8, 4, 4],
    destination: [10, 0, 0, 2],
    sourcePort: 5555,
    destinationPort: 22,
    flags: F.syn,
    acknowledgment: 0,
    window: 65535,
    options: [2, 4, 0xf0, 0, 1, 3, 3, 8],
  });
  const end = new GuestEnd(rig, socket, { sourcePort: 22, destinationPort: 5555 }, 300, syn.sequence);
  rig.input(end.segment({ flags: F.syn | F.ack, options: synOptions(1000, 7), window: 28960 }));
  end.next = 301;
  const [ack, data] = rig.settle();
  expect(ack).toMatchObject({ flags: F.ack, sequence: end.expected, acknowledgment: 301, payload: [] });
  expect(ack.window).toBeGreaterThan(0);
  expect(data).toMatchObject({ flags: F.ack | F.psh, sequence: end.expected, acknowledgment: 301, payload: [9, 8, 7] });
  expect(rig.engine.counters[TcpCounter.accepted]).toBe(1);
});

test("inbound from the host's loopback appears from the gateway, IPv6 from its own address", () => {
  const rig = new EngineRig();
  accept(rig, loopback4());
  accept(rig, REMOTE6);
  expect(rig.settle()).toMatchObject([
    { source: [10, 0, 0, 1], flags: F.syn },
    { ipVersion: 6, flags: F.syn, destination: [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2] },
  ]);
});

test("inbound: SYN is sent again with the same number at 1, 2, 3, 4, 5, 7 and 11 s; at 19 s both sides are reset", () => {
  const rig = new EngineRig();
  const { number } = accept(rig);
  const start = rig.nowMs;
  const seen = [...rig.settle().map((segment) => ({ ...segment, atMs: start })), ...rig.pass(30_000)];
  expect(seen.map((segment) => segment.atMs - start)).toEqual([0, 1000, 2000, 3000, 4000, 5000, 7000, 11000, 19000]);
  const isn = seen[0].sequence;
  for (const segment of seen.slice(0, -1)) expect(segment).toMatchObject({ flags: F.syn, sequence: isn });
  expect(seen.at(-1)).toMatchObject({ flags: F.rst | F.ack, sequence: (isn + 1) >>> 0 });
  expect(rig.sockets.sockets[number].state).toBe("reset");
  expect(rig.engine.flowCount).toBe(0);
  expect(rig.engine.deadlineMs).toBe(Infinity);
});

test("inbound: RST of the guest resets the host's side; wrong numbers do not", () => {
  const rig = new EngineRig();
  const { number } = accept(rig);
  const [syn] = rig.settle();
  const answer = { sourcePort: 22, destinationPort: 5555, sequence: 0 };
  rig.input({ ...answer, flags: F.rst | F.ack, acknowledgment: syn.sequence + 5 });
  rig.input({ ...answer, flags: F.rst });
  rig.input({ ...answer, flags: F.syn });
  expect([rig.engine.flowCount, rig.settle()]).toEqual([1, []]);
  rig.input({ ...answer, flags: F.syn | F.ack, acknowledgment: syn.sequence + 5 });
  expect(rig.settle()).toMatchObject([{ flags: F.rst, sequence: (syn.sequence + 5) >>> 0 }]);
  rig.input({ ...answer, flags: F.rst | F.ack, acknowledgment: syn.sequence + 1 });
  expect(rig.engine.flowCount).toBe(0);
  expect(rig.sockets.sockets[number].state).toBe("reset");
});

test("inbound to a guest whose address is unknown, or twice the same flow, is refused", () => {
  const rig = new EngineRig();
  expect(accept(rig, OUR_LINK_LOCAL).flow).toBe(-1);
  expect(accept(rig).flow).toBe(0);
  expect(accept(rig).flow).toBe(-1);
  rig.sockets.adoptResult = -9;
  expect(accept(rig, REMOTE6).flow).toBe(-1);
  expect(rig.engine.flowCount).toBe(1);
});

test("initial sequence numbers differ between flows and grow with time", () => {
  const numbers = [0, 1, 2].map((i) => {
    const rig = new EngineRig();
    rig.nowMs += i === 2 ? 1 : 0;
    rig.input({ flags: F.syn, sourcePort: i === 1 ? 1 : 2 });
    rig.sockets.complete(rig.sockets.last);
    return rig.settle()[0].sequence;
  });
  expect(numbers[0]).not.toBe(numbers[1]);
  expect((numbers[2] - numbers[0]) >>> 0).toBe(31_250);
});

test("unlike passt: however often SYN or SYN,ACK is sent again, a connection has one initial sequence number and its kind stays", () => {
  const outbound = new EngineRig();
  outbound.input({ flags: F.syn, sequence: 7 });
  outbound.sockets.complete(outbound.sockets.last);
  const answers = [...outbound.settle(), ...outbound.pass(18_000)];
  expect(answers.length).toBe(8);
  expect(new Set(answers.map(({ sequence }) => sequence)).size).toBe(1);
  expect(new Set(answers.map(({ flags }) => flags))).toEqual(new Set([F.syn | F.ack]));
  const inbound = new EngineRig();
  accept(inbound);
  const syns = [...inbound.settle(), ...inbound.pass(18_000)];
  expect(syns.length).toBe(8);
  expect(new Set(syns.map(({ sequence, flags }) => `${sequence} ${flags}`)).size).toBe(1);
});

test("the host's own settings say how often and how long apart SYNs are sent, at most 7 times again", () => {
  expect(synWaitsMs(4, 6)).toEqual([1000, 1000, 1000, 1000, 1000, 2000, 4000, 8000]);
  expect(synWaitsMs(0, 2)).toEqual([1000, 2000, 4000]);
  expect(synWaitsMs(1, 0)).toEqual([1000, 1000]);
  const rig = new EngineRig({ engine: { synLinearTimeouts: 0, synRetries: 2 } });
  accept(rig);
  rig.settle();
  const start = rig.nowMs;
  expect(rig.pass(30_000).map(({ atMs, flags }) => [atMs - start, flags])).toEqual([
    [1000, F.syn],
    [3000, F.syn],
    [7000, F.rst | F.ack],
  ]);
});
