import { describe, expect, test } from "bun:test";
import { ipv4Words, loopback4, loopback6 } from "@passt-ts/address-map/address";
import { GATEWAY4, GATEWAY6, GUEST_LINK_LOCAL, GUEST6, SERVER4, SERVER6, UdpHarness } from "./testing/harness.ts";
import { UdpCounter } from "./udp-counter.ts";

const bytes = (length: number, seed = 0): Uint8Array => Uint8Array.from({ length }, (_, i) => (i * 7 + seed) % 251);

describe("sockets", () => {
  test("a flow opens one socket, connected to where the guest sends, with the guest's port preferred", () => {
    const h = new UdpHarness();
    h.send({ sourcePort: 5000, destinationPort: 7 });
    h.send({ sourcePort: 5000, destinationPort: 7 });
    h.send({ source: GUEST6, destination: SERVER6, sourcePort: 5001, destinationPort: 9 });
    expect(
      h.sockets.opened.map(({ address, port, preferredLocalPort }) => [[...address], port, preferredLocalPort]),
    ).toEqual([
      [[...SERVER4], 7, 5000],
      [[...SERVER6], 9, 5001],
    ]);
    expect(h.sockets.sent.map((datagram) => datagram.socket)).toEqual([100, 100, 101]);
    expect(h.engine.flowCount).toBe(2);
    expect(h.engine.counters[UdpCounter.datagramsToHost]).toBe(3);
    expect(h.engine.counters[UdpCounter.bytesToHost]).toBe(9);
  });

  test("the gateway is the host's loopback", () => {
    const h = new UdpHarness();
    h.send({ destination: GATEWAY4 });
    h.send({ source: GUEST_LINK_LOCAL, destination: GATEWAY6 });
    expect(h.sockets.opened.map(({ address }) => [...address])).toEqual([[...loopback4()], [...loopback6()]]);
  });

  test("broadcasts, bad sources and port 0 are dropped and open nothing; a multicast goes out", () => {
    const h = new UdpHarness();
    h.send({ destination: ipv4Words(0xffffffff) });
    h.send({ source: ipv4Words(0), destination: SERVER4 });
    h.send({ source: ipv4Words(0xe0000001), destination: SERVER4 });
    h.send({ destinationPort: 0 });
    h.send({ hopLimit: 0 });
    expect(h.sockets.opened).toEqual([]);
    expect(h.engine.counters[UdpCounter.droppedAddress]).toBe(3);
    expect(h.engine.counters[UdpCounter.droppedMalformed]).toBe(2);
    h.send({ destination: ipv4Words(0xe00000fb), destinationPort: 5353, hopLimit: 255 });
    expect(h.sockets.sent.length).toBe(1);
    expect(h.sockets.hopLimits).toEqual([{ socket: 100, ipVersion: 4, multicast: true, hopLimit: 255 }]);
  });

  test("a full flow table, no descriptors and a failed open drop the datagram, counted, and leave no flow", () => {
    const h = new UdpHarness({ engine: { flowCapacity: 1 } });
    h.sockets.openResults.push(-24, -23, -13);
    for (let i = 0; i < 3; i++) h.send();
    expect(h.engine.counters[UdpCounter.droppedNoDescriptor]).toBe(2);
    expect(h.engine.counters[UdpCounter.droppedOpenFailed]).toBe(1);
    expect(h.engine.flowCount).toBe(0);
    h.send({ sourcePort: 1 });
    h.send({ sourcePort: 2 });
    expect(h.engine.counters[UdpCounter.droppedFlowTableFull]).toBe(1);
    expect(h.sockets.sent.length).toBe(1);
    expect(h.sink.committedFrames).toBe(0);
  });

  test("the guest's TTL is copied to the socket when it changes, in order with the datagrams", () => {
    const h = new UdpHarness();
    h.input({ hopLimit: 64, payload: bytes(1) });
    h.input({ hopLimit: 1, payload: bytes(2) });
    h.input({ hopLimit: 1, payload: bytes(3) });
    h.engine.endBatch(h.nowMs);
    expect(h.sockets.hopLimits).toEqual([{ socket: 100, ipVersion: 4, multicast: false, hopLimit: 1 }]);
    expect(h.sockets.sent.map((datagram) => [datagram.call, datagram.bytes.length])).toEqual([
      [1, 1],
      [2, 2],
      [2, 3],
    ]);
  });
});

describe("lengths", () => {
  test("the length is that of the UDP header, not of the buffers", () => {
    const h = new UdpHarness();
    h.send({ payload: bytes(18), slackBytes: 1464 });
    h.send({ payload: bytes(18), udpLength: 8 + 5 });
    expect(h.sockets.sent[0].bytes).toEqual(bytes(18));
    expect(h.sockets.sent[1].bytes).toEqual(bytes(5));
  });

  test("a UDP length that is impossible drops the datagram", () => {
    const h = new UdpHarness();
    for (const udpLength of [0, 7, 8 + 19, 65535]) h.send({ payload: bytes(18), udpLength });
    expect(h.engine.counters[UdpCounter.droppedMalformed]).toBe(4);
    expect(h.sockets.opened).toEqual([]);
  });

  test("empty datagrams and the longest ones pass", () => {
    const h = new UdpHarness();
    h.send({ payload: bytes(0), slackBytes: 18 });
    h.send({ payload: bytes(65507), slackBytes: 100 });
    h.send({ source: GUEST6, destination: SERVER6, payload: bytes(65527) });
    expect(h.sockets.sent.map((datagram) => datagram.bytes)).toEqual([bytes(0), bytes(65507), bytes(65527)]);
  });

  test("unlike passt: a frame may be split anywhere, exactly before its payload or inside of it too", () => {
    const h = new UdpHarness();
    const payload = bytes(9);
    for (let split = 0; split <= 42 + 9; split++) h.input({ payload, splits: [split], slackBytes: 20 });
    h.input({ payload, splits: Array.from({ length: 51 }, (_, i) => i + 1) });
    h.engine.endBatch(h.nowMs);
    expect(h.sockets.sent.length).toBe(53);
    for (const datagram of h.sockets.sent) expect(datagram.bytes).toEqual(payload);
  });

  test("a datagram in more pieces than a system call takes is copied once, counted, and in order", () => {
    const h = new UdpHarness();
    const pieces = (length: number) => Array.from({ length: 42 + length }, (_, i) => i);
    h.input({ payload: bytes(1, 1) });
    h.input({ payload: bytes(1024, 2), splits: pieces(1024) });
    h.input({ payload: bytes(1025, 3), splits: pieces(1025) });
    h.input({ payload: bytes(3000, 4), splits: pieces(3000) });
    h.input({ payload: bytes(1, 5) });
    h.engine.endBatch(h.nowMs);
    expect(h.sockets.sent.map((datagram) => datagram.bytes)).toEqual([
      bytes(1, 1),
      bytes(1024, 2),
      bytes(1025, 3),
      bytes(3000, 4),
      bytes(1, 5),
    ]);
    expect(h.engine.counters[UdpCounter.flattened]).toBe(2);
  });
});

describe("batches", () => {
  test("consecutive datagrams of one socket go out in one call, straight from the guest's buffers", () => {
    const h = new UdpHarness();
    const buffers = [h.input({ payload: bytes(4) }), h.input({ payload: bytes(4) })];
    expect(h.sockets.sendCalls).toBe(0);
    // The engine borrows the buffers: what stands in them when the batch ends is sent.
    for (const buffer of buffers) buffer[12 + 42] = 99;
    h.input({ payload: bytes(4), destinationPort: 54 });
    expect(h.sockets.sendCalls).toBe(1);
    h.engine.endBatch(h.nowMs);
    expect(h.sockets.sent.map((datagram) => [datagram.call, datagram.socket, datagram.bytes[0]])).toEqual([
      [1, 100, 99],
      [1, 100, 99],
      [2, 101, 0],
    ]);
    h.engine.endBatch(h.nowMs);
    expect(h.sockets.sendCalls).toBe(2);
  });

  test("a batch is bounded, and a short send goes on where it stopped", () => {
    const h = new UdpHarness({ engine: { sendBatchMax: 3 } });
    h.sockets.sendResults.push(1);
    for (let i = 0; i < 7; i++) h.input({ payload: bytes(i + 1) });
    h.engine.endBatch(h.nowMs);
    expect(h.sockets.sent.map((datagram) => [datagram.call, datagram.bytes.length])).toEqual([
      [1, 1],
      [2, 2],
      [2, 3],
      [3, 4],
      [3, 5],
      [3, 6],
      [4, 7],
    ]);
  });

  test("a full send buffer drops the rest of the batch, counted", () => {
    const h = new UdpHarness();
    h.sockets.sendResults.push(1, -11);
    for (let i = 0; i < 3; i++) h.input();
    h.engine.endBatch(h.nowMs);
    expect(h.engine.counters[UdpCounter.datagramsToHost]).toBe(1);
    expect(h.engine.counters[UdpCounter.droppedSendBufferFull]).toBe(2);
    h.send();
    expect(h.sockets.sent.length).toBe(2);
  });

  test("a send that fails is tried once more: the error may be an earlier datagram's", () => {
    const h = new UdpHarness();
    h.sockets.sendResults.push(-111);
    h.input({ payload: bytes(1) });
    h.input({ payload: bytes(2) });
    h.engine.endBatch(h.nowMs);
    expect(h.sockets.sent.map((datagram) => datagram.bytes.length)).toEqual([1, 2]);
    h.sockets.sendResults.push(-90, -90);
    h.input({ payload: bytes(3) });
    h.input({ payload: bytes(4) });
    h.engine.endBatch(h.nowMs);
    expect(h.sockets.sent.map((datagram) => datagram.bytes.length)).toEqual([1, 2, 4]);
    expect(h.engine.counters[UdpCounter.droppedSendFailed]).toBe(1);
  });
});

describe("time", () => {
  test("a flow used one way ends after 30 s without traffic, one used both ways after 120 s", () => {
    const h = new UdpHarness();
    h.send({ sourcePort: 1 });
    h.send({ sourcePort: 2 });
    h.reply(bytes(1));
    h.turn();
    h.nowMs += 20_000;
    h.send({ sourcePort: 1 });
    expect(h.engine.deadlineMs).toBeLessThanOrEqual(h.nowMs + 30_000);
    h.nowMs += 29_999;
    h.turn();
    expect(h.engine.flowCount).toBe(2);
    h.nowMs += 1;
    h.turn();
    expect(h.sockets.closed).toEqual([100]);
    expect(h.engine.counters[UdpCounter.flowsExpired]).toBe(1);
    h.nowMs += 70_000 - 1;
    h.turn();
    expect(h.engine.flowCount).toBe(1);
    h.nowMs += 1;
    h.turn();
    expect(h.sockets.closed).toEqual([100, 101]);
    expect(h.engine.deadlineMs).toBe(Number.POSITIVE_INFINITY);
  });

  test("the times are parameters, and a slot of the table is free again", () => {
    const h = new UdpHarness({ engine: { oneWayTimeoutMs: 10, bothWaysTimeoutMs: 20, flowCapacity: 1 } });
    h.send({ sourcePort: 1 });
    h.nowMs += 10;
    h.turn();
    h.send({ sourcePort: 2 });
    expect(h.sockets.sent.length).toBe(2);
  });

  test("reset closes every socket and forgets what was collected", () => {
    const h = new UdpHarness();
    h.send({ sourcePort: 1 });
    h.input({ sourcePort: 2 });
    h.engine.reset(h.nowMs);
    expect(h.sockets.closed.toSorted()).toEqual([100, 101]);
    expect(h.engine.flowCount).toBe(0);
    h.engine.endBatch(h.nowMs);
    expect(h.sockets.sent.length).toBe(1);
    expect(h.engine.deadlineMs).toBe(Number.POSITIVE_INFINITY);
  });
});

describe("segmentation (USO)", () => {
  test("a frame of several datagrams leaves as several, the last one shorter, from the guest's memory", () => {
    for (const splits of [undefined, [42 + 100, 42 + 101, 42 + 1500]]) {
      const h = new UdpHarness();
      const payload = bytes(3210);
      h.send({ payload, gsoSize: 1000, ...(splits === undefined ? {} : { splits }) });
      expect(h.sockets.sent.map(({ bytes: sent }) => sent.length)).toEqual([1000, 1000, 1000, 210]);
      expect(h.sockets.sent.flatMap(({ bytes: sent }) => [...sent])).toEqual([...payload]);
      expect(h.engine.counters[UdpCounter.datagramsToHost]).toBe(4);
    }
  });

  test("a frame of 128 datagrams is sent, one of more is refused: a gso_size of 1 costs no 60,000 sends", () => {
    const h = new UdpHarness();
    h.send({ payload: bytes(1280), gsoSize: 10 });
    expect(h.sockets.sent).toHaveLength(128);
    h.send({ payload: bytes(1281), gsoSize: 10 });
    h.send({ payload: bytes(60_000), gsoSize: 1 });
    expect(h.sockets.sent).toHaveLength(128);
    expect(h.engine.counters[UdpCounter.droppedMalformed]).toBe(2);
  });

  test("a gso_size that is not below the payload is one datagram", () => {
    const h = new UdpHarness();
    for (const gsoSize of [100, 65535]) h.send({ payload: bytes(100), gsoSize });
    expect(h.sockets.sent.map(({ bytes: sent }) => sent.length)).toEqual([100, 100]);
  });
});
