import { expect, test } from "bun:test";
import fc from "fast-check";
import { GATEWAY4, GUEST4, GUEST6, GuestFrame, SERVER6, UdpHarness } from "./testing/harness.ts";

const payload = fc.oneof(
  fc.uint8Array({ maxLength: 64 }),
  fc.integer({ min: 0, max: 65507 }).map((length) => Uint8Array.from({ length }, (_, i) => (i * 13) % 253)),
);
const outbound = fc.record({
  v4: fc.boolean(),
  sourcePort: fc.integer({ min: 1, max: 3 }),
  payload,
  slackBytes: fc.nat(40),
  splits: fc.array(fc.nat(50), { maxLength: 6 }),
  endBatch: fc.boolean(),
});

test("each socket gets exactly its flow's payloads in order, however frames are split and batches end", () => {
  fc.assert(
    fc.property(fc.array(outbound, { maxLength: 20 }), fc.integer({ min: 1, max: 5 }), (datagrams, sendBatchMax) => {
      const h = new UdpHarness({ engine: { sendBatchMax } });
      const expected = new Map<string, Uint8Array[]>();
      for (const { v4, splits, endBatch, ...datagram } of datagrams) {
        const addresses = v4 ? { source: GUEST4, destination: GATEWAY4 } : { source: GUEST6, destination: SERVER6 };
        const inFrame = splits.filter((at) => at <= 42 + datagram.payload.length).sort((a, b) => a - b);
        h.input({ ...addresses, ...datagram, splits: inFrame });
        const flow = `${v4} ${datagram.sourcePort}`;
        expected.set(flow, [...(expected.get(flow) ?? []), datagram.payload]);
        if (endBatch) h.engine.endBatch(h.nowMs);
      }
      h.engine.endBatch(h.nowMs);
      for (const { socket, address, preferredLocalPort } of h.sockets.opened) {
        const sent = h.sockets.sent.filter((datagram) => datagram.socket === socket).map(({ bytes }) => bytes);
        expect(sent).toEqual(expected.get(`${address[2] === 0xffff} ${preferredLocalPort}`) ?? []);
      }
      expect(h.sockets.opened.length).toBe(expected.size);
    }),
    { numRuns: 60 },
  );
});

const inbound = fc.record({ flow: fc.nat(2), payload, elements: fc.nat(4), turn: fc.boolean() });

test("the guest gets exactly each socket's payloads in order, whatever the ring's layout and when room comes", () => {
  fc.assert(
    fc.property(
      fc.array(inbound, { maxLength: 20 }),
      fc.array(fc.integer({ min: 0, max: 2000 }), { minLength: 1, maxLength: 4 }),
      fc.boolean(),
      (datagrams, entryBytes, v4) => {
        const h = new UdpHarness({ sink: { entryBytes: [700, ...entryBytes], elements: 0, entryCapacity: 1000 } });
        const addresses = v4 ? { source: GUEST4, destination: GATEWAY4 } : { source: GUEST6, destination: SERVER6 };
        for (let flow = 0; flow < 3; flow++) h.send({ ...addresses, sourcePort: flow + 1 });
        const expected: Uint8Array[][] = [[], [], []];
        for (const datagram of datagrams) {
          h.sockets.arrive(100 + datagram.flow, { bytes: datagram.payload });
          h.engine.socketReady(h.sockets.opened[datagram.flow].flow, 1, h.nowMs);
          expected[datagram.flow].push(datagram.payload);
          h.sink.addElements(datagram.elements);
          if (datagram.turn) h.turn();
        }
        h.sink.addElements(3000);
        while (h.turn()) {}
        h.sink.assertSettled();
        const got: Uint8Array[][] = [[], [], []];
        for (const { bytes } of h.sink.take()) {
          const frame = new GuestFrame(bytes);
          expect(frame.checksumsRight).toBe(true);
          got[frame.view.getUint16(frame.l4At + 2) - 1].push(frame.payload);
        }
        expect(got).toEqual(expected);
      },
    ),
    { numRuns: 60 },
  );
});
