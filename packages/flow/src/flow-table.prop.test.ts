import { expect, test } from "bun:test";
import fc from "fast-check";
import { FlowKey } from "./flow-key.ts";
import { FlowTable } from "./flow-table.ts";

const secret = Uint32Array.of(1, 2, 3, 4);

// Few hosts and ports, so that keys meet again and again.
const command = fc.record({
  act: fc.constantFrom("insert", "find", "remove"),
  protocol: fc.constantFrom(6, 17),
  guest: fc.integer({ min: 0, max: 1 }),
  peer: fc.integer({ min: 0, max: 2 }),
  guestPort: fc.integer({ min: 1, max: 3 }),
  peerPort: fc.constantFrom(80, 65535),
});

test("the table answers like a Map of its capacity, whatever is inserted, found and removed", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 9 }), fc.array(command, { maxLength: 200 }), (capacity, commands) => {
      const table = new FlowTable(capacity, secret);
      const model = new Map<string, number>();
      const key = new FlowKey();
      for (const { act, protocol, guest, peer, guestPort, peerPort } of commands) {
        key.setWords(
          protocol,
          Uint32Array.of(0, 0, 0xffff, guest),
          0,
          Uint32Array.of(peer, 0, 0, 1),
          0,
          guestPort,
          peerPort,
        );
        const name = `${protocol} ${guest} ${peer} ${guestPort} ${peerPort}`;
        const known = model.get(name);
        if (act === "insert") {
          const flow = table.insert(key);
          if (known !== undefined) expect(flow).toBe(known);
          else if (model.size === capacity) expect(flow).toBe(-1);
          else {
            expect([...model.values()]).not.toContain(flow);
            expect(flow).toBeGreaterThanOrEqual(0);
            expect(flow).toBeLessThan(capacity);
            expect(table.guestPort[flow]).toBe(guestPort);
            expect(table.peerPort[flow]).toBe(peerPort);
            expect(table.protocol[flow]).toBe(protocol);
            expect(table.guestAddress[4 * flow + 3]).toBe(guest);
            expect(table.peerAddress[4 * flow]).toBe(peer);
            model.set(name, flow);
          }
        } else if (act === "remove" && known !== undefined) {
          table.remove(known);
          expect(table.has(known)).toBe(false);
          model.delete(name);
        }
        expect(table.find(key)).toBe(model.get(name) ?? -1);
        expect(table.count).toBe(model.size);
      }
      const live: number[] = [];
      for (let flow = table.next(-1); flow !== -1; flow = table.next(flow)) live.push(flow);
      expect(live).toEqual([...model.values()].sort((a, b) => a - b));
    }),
    { numRuns: 200 },
  );
});

test("a full table takes no flow, and takes one again after a removal", () => {
  const table = new FlowTable(2, secret);
  const key = new FlowKey();
  const address = Uint32Array.of(0, 0, 0xffff, 7);
  const insert = (port: number): number => {
    key.setWords(6, address, 0, address, 0, port, 80);
    return table.insert(key);
  };
  expect([insert(1), insert(2), insert(3)]).toEqual([0, 1, -1]);
  table.remove(0);
  expect(insert(3)).toBe(0);
  expect(() => {
    table.remove(0);
    table.remove(0);
  }).toThrow(RangeError);
});

test("a key read from a header equals the key made of words", () => {
  const view = new DataView(new ArrayBuffer(40));
  for (let i = 0; i < 40; i++) view.setUint8(i, i + 1);
  const key = new FlowKey();
  key.setIpv4(6, view, 1, 5, 1000, 2000);
  expect([...key.guest, ...key.peer]).toEqual([0, 0, 0xffff, 0x02030405, 0, 0, 0xffff, 0x06070809]);
  key.setIpv6(17, view, 0, 16, 1, 2);
  expect([...key.guest]).toEqual([0x01020304, 0x05060708, 0x090a0b0c, 0x0d0e0f10]);
  expect([...key.peer]).toEqual([0x11121314, 0x15161718, 0x191a1b1c, 0x1d1e1f20]);
  expect([key.protocol, key.guestPort, key.peerPort]).toEqual([17, 1, 2]);
});

test("another secret gives another order of buckets: the hash depends on the key", async () => {
  const { KeyedHash } = await import("./keyed-hash.ts");
  const zero = new Uint32Array(4);
  const one = new KeyedHash(secret).hash(zero, 0, zero, 0, 1, 2, 6);
  expect(new KeyedHash(secret).hash(zero, 0, zero, 0, 1, 2, 6)).toBe(one);
  for (let word = 0; word < 4; word++) {
    const other = secret.slice();
    other[word] ^= 1;
    expect(new KeyedHash(other).hash(zero, 0, zero, 0, 1, 2, 6)).not.toBe(one);
  }
});
