import { expect, test } from "bun:test";
import { GuestMemory } from "@passt-ts/guest-memory/guest-memory";
import { IovPool } from "@passt-ts/iov/iov";
import { WindowTable } from "@passt-ts/iov/windows";
import { DescriptorFlag } from "./descriptor.ts";
import { PopResult } from "./device-queue.ts";
import { Elements } from "./elements.ts";
import { describeRingFault, RingFault } from "./ring-fault.ts";
import { SplitDeviceQueue } from "./split-device-queue.ts";
import { Available } from "./split-ring.ts";
import { type GuestRing, guestRing } from "./testing/guest-ring.ts";

const { next: NEXT, write: WRITE, indirect: INDIRECT } = DescriptorFlag;
const SIZE = 4;
const DATA_BYTES = 2 ** 21;

type Words = [addressLow: number, addressHigh: number, length: number, flags: number, next: number];

interface Attack {
  readonly fault: keyof typeof RingFault;
  readonly name: string;
  /** The ring's descriptors from 0 on; the chain begins at `head`. */
  readonly direct?: (dataAddress: number) => Words[];
  /** What lies at the data address. */
  readonly table?: Words[];
  readonly head?: number;
  readonly index?: number;
  readonly indirect?: boolean;
  readonly poolCapacity?: number;
}

const ok: Words = [2000, 0, 1, 0, 0];
const loop: Words[] = [
  [2000, 0, 1, NEXT, 1],
  [2000, 0, 1, NEXT, 0],
];

const attacks: Attack[] = [
  { fault: "indexJump", name: "an index ahead by more than the size", index: SIZE + 1, direct: () => [ok] },
  { fault: "indexJump", name: "an index that moved back", index: 0xffff, direct: () => [ok] },
  { fault: "headOutOfRange", name: "the first head behind the table", head: SIZE },
  { fault: "headOutOfRange", name: "the last head there is", head: 0xffff },
  { fault: "nextOutOfRange", name: "a next behind the table", direct: () => [[2000, 0, 1, NEXT, SIZE]] },
  { fault: "nextOutOfRange", name: "the last next there is", direct: () => [[2000, 0, 1, NEXT, 0xffff]] },
  { fault: "chainTooLong", name: "a chain that loops", direct: () => loop },
  { fault: "chainTooLong", name: "a descriptor that is its own next", direct: () => [[2000, 0, 0, NEXT, 0]] },
  {
    fault: "readableAfterWritable",
    name: "a readable buffer behind a writable one",
    direct: () => [[2000, 0, 1, WRITE | NEXT, 1], ok],
  },
  { fault: "unmapped", name: "an address outside memory", direct: () => [[0, 1, 1, 0, 0]] },
  { fault: "unmapped", name: "a buffer that ends outside memory", direct: () => [[2000, 0, DATA_BYTES, 0, 0]] },
  {
    fault: "unmapped",
    name: "address and length that wrap at 2^64",
    direct: () => [[0xffff_ff00, 0xffff_ffff, 0xffff, 0, 0]],
  },
  { fault: "unmapped", name: "the longest buffer there is", direct: () => [[0, 0, 0xffff_ffff, WRITE, 0]] },
  {
    fault: "unmapped",
    name: "a good buffer and a bad one",
    direct: () => [
      [2000, 0, 1, NEXT, 1],
      [0, 0xffff_ffff, 1, 0, 0],
    ],
  },
  {
    fault: "tooManyEntries",
    name: "a chain that an empty pool cannot hold",
    direct: () => [[2000, 0, 1, NEXT, 1], [2000, 0, 1, NEXT, 2], ok],
    poolCapacity: 2,
  },
  {
    fault: "indirectNotNegotiated",
    name: "an indirect table without the feature",
    direct: (at) => [[at, 0, 16, INDIRECT, 0]],
    table: [ok],
    indirect: false,
  },
  {
    fault: "indirectNested",
    name: "a table inside a table",
    direct: (at) => [[at, 0, 16, INDIRECT, 0]],
    table: [[2000, 0, 16, INDIRECT, 0]],
  },
  {
    fault: "indirectWithNext",
    name: "a table and a next",
    direct: (at) => [[at, 0, 16, INDIRECT | NEXT, 1], ok],
    table: [ok],
  },
  { fault: "indirectLength", name: "a table of no bytes", direct: (at) => [[at, 0, 0, INDIRECT, 0]], table: [ok] },
  { fault: "indirectLength", name: "a table of 17 bytes", direct: (at) => [[at, 0, 17, INDIRECT, 0]], table: [ok] },
  { fault: "indirectLength", name: "a table of 8 bytes", direct: (at) => [[at, 0, 8, INDIRECT, 0]], table: [ok] },
  {
    fault: "indirectLength",
    name: "a table longer than next can name",
    direct: (at) => [[at, 0, 2 ** 20 + 16, INDIRECT, 0]],
    table: [ok],
  },
  { fault: "indirectUnmapped", name: "a table outside memory", direct: () => [[0, 7, 16, INDIRECT, 0]] },
  {
    fault: "nextOutOfRange",
    name: "a next behind the indirect table, though the ring has it",
    direct: (at) => [[at, 0, 16, INDIRECT, 0], ok],
    table: [[2000, 0, 1, NEXT, 1], ok],
  },
  {
    fault: "chainTooLong",
    name: "a loop in an indirect table",
    direct: (at) => [[at, 0, 32, INDIRECT, 0]],
    table: loop,
  },
  {
    fault: "chainTooLong",
    name: "direct and indirect descriptors together more than the size",
    direct: (at) => [
      [2000, 0, 1, NEXT, 1],
      [at, 0, 64, INDIRECT, 0],
    ],
    table: [1, 2, 3, 0].map((next) => [2000, 0, 1, next === 0 ? 0 : NEXT, next]),
  },
];

const flat = (list: Words[]): number[] =>
  list.flatMap(([low, high, length, f, next]) => [low, high, length, f | (next << 16)]);

function arm(guest: GuestRing, attack: Attack): void {
  const { ring, bytes, dataAddress } = guest;
  ring.descriptors.set(flat(attack.direct?.(dataAddress) ?? []));
  bytes.set(new Uint8Array(new Uint32Array(flat(attack.table ?? [])).buffer), dataAddress);
  ring.available[Available.ring] = attack.head ?? 0;
  ring.available[Available.index] = attack.index ?? 1;
}

for (const attack of attacks) {
  test(`${attack.name} breaks the queue: ${attack.fault}`, () => {
    const guest = guestRing({ size: SIZE, dataBytes: DATA_BYTES });
    arm(guest, attack);
    const queue = new SplitDeviceQueue({
      ring: guest.ring,
      memory: guest.memory,
      eventIndex: false,
      indirect: attack.indirect ?? true,
      startIndex: 0,
    });
    const pool = new IovPool(guest.windows, attack.poolCapacity ?? 16);
    const elements = new Elements(SIZE);
    expect(queue.pop(elements, pool)).toBe(PopResult.broken);
    expect(queue.brokenReason).toBe(RingFault[attack.fault]);
    expect([pool.count, elements.count, queue.nextAvailable]).toEqual([0, 0, 0]);

    // It stays broken though the driver mends its ways.
    arm(guest, { fault: "none", name: "", direct: () => [ok] });
    expect([queue.pending(), queue.allowKicks(), queue.pop(elements, pool)]).toEqual([0, false, PopResult.broken]);
  });
}

test("a fault behind good chains leaves those alone, and they can still be returned", () => {
  const guest = guestRing({ size: SIZE, dataBytes: 4096 });
  const { ring, memory, windows } = guest;
  const queue = new SplitDeviceQueue({ ring, memory, eventIndex: false, indirect: true, startIndex: 0 });
  const pool = new IovPool(windows, 8);
  const elements = new Elements(SIZE);
  ring.descriptors.set(flat([ok, ok, [2000, 0, 1, NEXT, 9]]));
  ring.available.set([0, 1, 2], Available.ring);
  ring.available[Available.index] = 3;
  expect([0, 1, 2].map(() => queue.pop(elements, pool))).toEqual([0, 1, PopResult.broken]);
  expect([elements.count, pool.count, queue.nextAvailable]).toEqual([2, 2, 2]);
  queue.unpop(elements, 1);
  expect([elements.count, pool.count, queue.nextAvailable, queue.pending()]).toEqual([1, 1, 1, 0]);
  queue.push(0, 0);
  queue.publish();
  expect(queue.needsNotification()).toBe(true);
});

test("what the device holds counts against the index: it cannot be given more than the ring has", () => {
  const { ring, memory, windows } = guestRing({ size: SIZE, dataBytes: 4096 });
  const queue = new SplitDeviceQueue({ ring, memory, eventIndex: false, indirect: true, startIndex: 0 });
  const pool = new IovPool(windows, 8);
  const elements = new Elements(SIZE);
  ring.descriptors.set(flat([ok]));
  ring.available[Available.index] = 3;
  for (let i = 0; i < 3; i++) queue.pop(elements, pool);
  queue.push(0, 0); // not published: the driver cannot have taken it back
  ring.available[Available.index] = SIZE + 1;
  expect(queue.pop(elements, pool)).toBe(PopResult.broken);
  expect(queue.brokenReason).toBe(RingFault.indexJump);
});

test("a chain holds 2^32 bytes and not one more", () => {
  const windows = new WindowTable();
  const window = windows.add(new Uint8Array(2 ** 24));
  // One piece of memory, 256 times in a row: 4 GiB of guest addresses.
  const region = { guestAddress: 0, userAddress: 0, sizeBytes: 2 ** 32, windows: new Array(256).fill(window) };
  const memory = new GuestMemory(windows, [region]);
  const { ring } = guestRing({ size: SIZE });
  const queue = new SplitDeviceQueue({ ring, memory, eventIndex: false, indirect: true, startIndex: 0 });
  const elements = new Elements(SIZE);
  const pool = new IovPool(windows, 600);
  ring.descriptors.set(
    flat([
      [0, 0, 0xffff_ffff, NEXT, 1],
      [0, 0, 1, WRITE, 0],
      [0, 0, 0xffff_ffff, NEXT, 3],
      [0, 0, 2, 0, 0],
    ]),
  );
  ring.available.set([0, 2], Available.ring);
  ring.available[Available.index] = 2;
  expect(queue.pop(elements, pool)).toBe(0);
  expect([elements.outBytes[0], elements.inBytes[0], elements.outCount[0]]).toEqual([2 ** 32 - 1, 1, 256]);
  expect(queue.pop(elements, pool)).toBe(PopResult.broken);
  expect(queue.brokenReason).toBe(RingFault.chainTooLarge);
});

test("one chain made available again and again costs no more than the ring has", () => {
  const { ring, memory, windows } = guestRing({ size: SIZE, dataBytes: 4096 });
  const queue = new SplitDeviceQueue({ ring, memory, eventIndex: false, indirect: true, startIndex: 0 });
  const pool = new IovPool(windows, 32);
  const elements = new Elements(SIZE);
  ring.descriptors.set(flat([[2000, 0, 1, NEXT, 1], [2000, 0, 1, NEXT, 2], ok]));
  ring.available[Available.index] = SIZE; // the same head four times
  for (let i = 0; i < SIZE; i++) expect(queue.pop(elements, pool)).toBe(i);
  expect(queue.pop(elements, pool)).toBe(PopResult.empty);
  for (let i = 0; i < SIZE; i++) queue.push(0, 0);
  queue.publish();
  expect([queue.heldDescriptors, queue.brokenReason]).toEqual([0, 0]);
});

test("each fault has words of its own", () => {
  const words = Object.values(RingFault).map(describeRingFault);
  expect(new Set(words).size).toBe(Object.keys(RingFault).length);
  expect(words.some((text) => text.includes("unknown"))).toBe(false);
  expect(describeRingFault(99)).toContain("99");
});
