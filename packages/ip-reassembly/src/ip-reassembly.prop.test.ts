import { expect, test } from "bun:test";
import fc from "fast-check";
import { type FragmentFields, pattern, ReassemblyRig } from "./testing/reassembly-rig.ts";

interface Datagram {
  readonly v4: boolean;
  readonly data: Uint8Array;
  /** Sizes of the fragments in blocks of 8 bytes; the last takes what is left. */
  readonly blocks: readonly number[];
}

const datagram: fc.Arbitrary<Datagram> = fc.record({
  v4: fc.boolean(),
  data: fc.integer({ min: 24, max: 9000 }).map((length) => pattern(length, length)),
  blocks: fc.array(fc.integer({ min: 1, max: 180 }), { minLength: 1, maxLength: 20 }),
});

function fragmentsOf({ v4, data, blocks }: Datagram, identification: number): FragmentFields[] {
  const fragments: FragmentFields[] = [];
  let first = 0;
  for (const count of blocks) {
    if (first + 8 * count >= data.length) break;
    fragments.push({ v4, identification, first, more: true, data: data.subarray(first, first + 8 * count) });
    first += 8 * count;
  }
  // At least two: a packet that begins at 0 and has no more is no fragment.
  if (first === 0) {
    fragments.push({ v4, identification, first: 0, more: true, data: data.subarray(0, 8) });
    first = 8;
  }
  fragments.push({ v4, identification, first, data: data.subarray(first) });
  return fragments;
}

test("any datagrams in any fragments, in any order, repeated or not, become whole exactly as they were, once each", () => {
  const repeats = fc.array(fc.nat(1000), { maxLength: 10 });
  const order = fc.array(fc.nat(), { minLength: 1, maxLength: 90 });
  fc.assert(
    fc.property(fc.array(datagram, { minLength: 1, maxLength: 4 }), repeats, order, (datagrams, again, keys) => {
      const rig = new ReassemblyRig({ slotCount: 8 });
      const whole: string[] = [];
      const all = datagrams.flatMap((one, id) => fragmentsOf(one, id));
      const queue = all
        .map((fragment, i) => ({ fragment, key: keys[i % keys.length] * (i + 1) }))
        .sort((a, b) => a.key - b.key);
      for (const index of again) queue.splice(index % queue.length, 0, queue[(index * 7) % queue.length]);
      const done = new Map<number, number>();
      for (const { fragment } of queue) {
        const id = fragment.identification ?? 0;
        const seen = done.get(id) ?? 0;
        // A repeat behind the end of its datagram begins another one, which is not what this is about.
        if (seen === -1) continue;
        rig.input(fragment, [1 + (seen % 700), 13]);
        done.set(id, seen + 1);
        for (const { payload } of rig.take()) {
          whole.push(Buffer.from(payload).toString("base64"));
          done.set(id, -1);
        }
      }
      const expected = datagrams.map(({ data }) => Buffer.from(data).toString("base64"));
      expect(whole.sort()).toEqual(expected.sort());
    }),
    { numRuns: 150 },
  );
});

test("whatever fragments come, nothing throws, and what becomes whole was there byte for byte", () => {
  const any = fc.record({
    v4: fc.boolean(),
    identification: fc.nat(3),
    first: fc.nat(8191).map((block) => 8 * (block % 40)),
    more: fc.boolean(),
    data: fc.integer({ min: 0, max: 200 }),
  });
  fc.assert(
    fc.property(fc.array(any, { maxLength: 60 }), fc.nat(70_000), (fragments, stepMs) => {
      const rig = new ReassemblyRig({ slotCount: 3 });
      for (const { data, first, more, ...rest } of fragments) {
        if (first === 0 && !more) continue;
        // Every byte says where in its datagram it stands.
        rig.input({ ...rest, first, more, data: pattern(data, first) });
        for (const { payload } of rig.take()) {
          expect(Buffer.from(payload).equals(pattern(payload.length))).toBe(true);
        }
        rig.pass(stepMs / 20);
      }
      rig.pass(60_000);
      expect(rig.reassembly.deadlineMs).toBe(Infinity);
    }),
    { numRuns: 200 },
  );
});
