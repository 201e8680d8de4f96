import { expect, test } from "bun:test";
import { IovPool } from "@passt-ts/iov/iov";
import { WindowTable } from "@passt-ts/iov/windows";
import fc from "fast-check";
import { GuestMemory, Translation } from "./guest-memory.ts";
import type { Region } from "./region.ts";
import { cutIntoWindows } from "./window-cut.ts";

/** The model: each byte of guest memory by itself, guest address (exact) to "window:offset". */
type ByteMap = Map<bigint, string>;

const layouts = fc.record({
  // Memory that begins at 0, that crosses 4 GiB, and that ends at the last number a region may reach.
  base: fc.constantFrom(0, 2 ** 32 - 20, 2 ** 53 - 1 - 160),
  cut: fc.integer({ min: 1, max: 17 }),
  pieces: fc.array(fc.record({ gap: fc.integer({ min: 0, max: 3 }), size: fc.integer({ min: 1, max: 20 }) }), {
    maxLength: 6,
  }),
  reverse: fc.boolean(),
});

const questions = fc.array(
  fc.record({
    at: fc.oneof(
      fc.integer({ min: -3, max: 150 }),
      fc.constantFrom(2 ** 32, -(2 ** 32), 2 ** 52), // far away, and a multiple of 2^32 away
    ),
    length: fc.oneof(fc.integer({ min: 0, max: 45 }), fc.constantFrom(2 ** 31, 2 ** 32 - 1)),
    used: fc.integer({ min: 0, max: 6 }),
  }),
  { minLength: 1, maxLength: 12 },
);

function build(layout: typeof layouts extends fc.Arbitrary<infer T> ? T : never): [GuestMemory, ByteMap] {
  const windows = new WindowTable();
  const regions: Region[] = [];
  const bytes: ByteMap = new Map();
  let address = layout.base;
  for (const { gap, size } of layout.pieces) {
    address += gap;
    const region = { guestAddress: address, userAddress: address, sizeBytes: size, windows: [] as number[] };
    let done = 0;
    for (const windowBytes of cutIntoWindows(size, layout.cut)) {
      const window = windows.add(new Uint8Array(windowBytes));
      region.windows.push(window);
      for (let i = 0; i < windowBytes; i++) bytes.set(BigInt(address + done + i), `${window}:${i}`);
      done += windowBytes;
    }
    regions.push(region);
    address += size;
  }
  if (layout.reverse) regions.reverse();
  return [new GuestMemory(windows, regions), bytes];
}

test("translate gives the bytes that a map of single bytes gives, or leaves the pool alone", () => {
  fc.assert(
    fc.property(layouts, questions, (layout, asked) => {
      const [memory, bytes] = build(layout);
      for (const { at, length, used } of asked) {
        const address = BigInt.asUintN(64, BigInt(layout.base) + BigInt(at));
        const expected: string[] = [];
        for (let i = 0n; i < length && bytes.has(address + i); i++) expected.push(bytes.get(address + i) as string);
        const pool = new IovPool(memory.windows, 6);
        for (let i = 0; i < used; i++) pool.append(0, i, 7);
        const result = memory.translate(Number(address >> 32n), Number(address & 0xffff_ffffn), length, pool);

        if (expected.length < length) expect(result).toBe(Translation.unmapped);
        else {
          const windowsTouched = new Set(expected.map((byte) => byte.split(":")[0])).size;
          expect(result).toBe(used + windowsTouched <= 6 ? Translation.mapped : Translation.poolFull);
        }
        const got: string[] = [];
        for (let entry = used; entry < pool.count; entry++) {
          expect(pool.length[entry]).toBeGreaterThan(0);
          for (let i = 0; i < pool.length[entry]; i++) got.push(`${pool.window[entry]}:${pool.offset[entry] + i}`);
        }
        expect(got).toEqual(result === Translation.mapped ? expected : []);
        for (let i = 0; i < used; i++) expect([pool.window[i], pool.offset[i], pool.length[i]]).toEqual([0, i, 7]);
      }
    }),
    { numRuns: 1000 },
  );
});
