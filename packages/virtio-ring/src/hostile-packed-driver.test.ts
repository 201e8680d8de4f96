import { expect, test } from "bun:test";
import { IovPool } from "@passt-ts/iov/iov";
import { DescriptorFlag } from "./descriptor.ts";
import { PopResult } from "./device-queue.ts";
import { Elements } from "./elements.ts";
import { PackedDeviceQueue } from "./packed-device-queue.ts";
import { RingFault } from "./ring-fault.ts";
import { type GuestPackedRing, guestPackedRing } from "./testing/guest-ring.ts";

const { next: NEXT, write: WRITE, indirect: INDIRECT, available: AVAIL, used: USED } = DescriptorFlag;
const SIZE = 5;
const DATA_BYTES = 2 ** 21;

type Words = [addressLow: number, addressHigh: number, length: number, flags: number];

interface Attack {
  readonly fault: keyof typeof RingFault;
  readonly name: string;
  /** The ring's descriptors from 0 on. */
  readonly direct: (dataAddress: number) => Words[];
  /** What lies at the data address. */
  readonly table?: Words[];
  readonly indirect?: boolean;
  readonly poolCapacity?: number;
}

const ok: Words = [2000, 0, 1, AVAIL];
const more: Words = [2000, 0, 1, AVAIL | NEXT];
const plain: Words = [2000, 0, 1, 0];

const attacks: Attack[] = [
  { fault: "nextNotAvailable", name: "a chain that goes on in a descriptor of zeros", direct: () => [more] },
  {
    fault: "nextNotAvailable",
    name: "a chain that goes on in a descriptor as the device would use it",
    direct: () => [more, [2000, 0, 1, AVAIL | USED]],
  },
  {
    fault: "nextNotAvailable",
    name: "a chain over the end of the ring that keeps the flags of the first lap",
    direct: () => [more, more, more, more, more],
  },
  {
    fault: "readableAfterWritable",
    name: "a readable buffer behind a writable one",
    direct: () => [[2000, 0, 1, AVAIL | WRITE | NEXT], ok],
  },
  { fault: "unmapped", name: "an address outside memory", direct: () => [[0, 1, 1, AVAIL]] },
  { fault: "unmapped", name: "a buffer that ends outside memory", direct: () => [[2000, 0, DATA_BYTES, AVAIL]] },
  {
    fault: "unmapped",
    name: "address and length that wrap at 2^64",
    direct: () => [[0xffff_ff00, 0xffff_ffff, 0xffff, AVAIL]],
  },
  { fault: "unmapped", name: "the longest buffer there is", direct: () => [[0, 0, 0xffff_ffff, AVAIL | WRITE]] },
  { fault: "unmapped", name: "a good buffer and a bad one", direct: () => [more, [0, 0xffff_ffff, 1, AVAIL]] },
  {
    fault: "tooManyEntries",
    name: "a chain that an empty pool cannot hold",
    direct: () => [more, more, ok],
    poolCapacity: 2,
  },
  {
    fault: "indirectNotNegotiated",
    name: "an indirect table without the feature",
    direct: (at) => [[at, 0, 16, AVAIL | INDIRECT]],
    table: [plain],
    indirect: false,
  },
  {
    fault: "indirectNested",
    name: "a table inside a table",
    direct: (at) => [[at, 0, 16, AVAIL | INDIRECT]],
    table: [[2000, 0, 16, INDIRECT]],
  },
  {
    fault: "indirectWithNext",
    name: "a table and a next",
    direct: (at) => [[at, 0, 16, AVAIL | INDIRECT | NEXT], ok],
    table: [plain],
  },
  { fault: "indirectLength", name: "a table of no bytes", direct: (at) => [[at, 0, 0, AVAIL | INDIRECT]] },
  { fault: "indirectLength", name: "a table of 17 bytes", direct: (at) => [[at, 0, 17, AVAIL | INDIRECT]] },
  { fault: "indirectLength", name: "a table of 8 bytes", direct: (at) => [[at, 0, 8, AVAIL | INDIRECT]] },
  {
    fault: "indirectLength",
    name: "the longest table there is",
    direct: (at) => [[at, 0, 0xffff_fff0, AVAIL | INDIRECT]],
  },
  { fault: "indirectUnmapped", name: "a table outside memory", direct: () => [[0, 7, 16, AVAIL | INDIRECT]] },
  {
    fault: "chainTooLong",
    name: "a table of more descriptors than the queue",
    direct: (at) => [[at, 0, 16 * (SIZE + 1), AVAIL | INDIRECT]],
    table: new Array<Words>(SIZE + 1).fill(plain),
  },
  {
    fault: "chainTooLong",
    name: "direct and indirect descriptors together more than the size",
    direct: (at) => [more, [at, 0, 16 * SIZE, AVAIL | INDIRECT]],
    table: new Array<Words>(SIZE).fill(plain),
  },
  {
    fault: "readableAfterWritable",
    name: "a readable buffer behind a writable one in a table",
    direct: (at) => [[at, 0, 32, AVAIL | INDIRECT]],
    table: [[2000, 0, 1, WRITE], plain],
  },
];

const flat = (list: Words[]): number[] =>
  list.flatMap(([low, high, length, flags]) => [low, high, length, (flags << 16) >>> 0]);

function arm(guest: GuestPackedRing, attack: Pick<Attack, "direct" | "table">): void {
  const { ring, bytes, dataAddress } = guest;
  ring.descriptors.set(flat(attack.direct(dataAddress)));
  bytes.set(new Uint8Array(new Uint32Array(flat(attack.table ?? [])).buffer), dataAddress);
}

for (const attack of attacks) {
  test(`${attack.name} breaks the queue: ${attack.fault}`, () => {
    const guest = guestPackedRing({ size: SIZE, dataBytes: DATA_BYTES });
    arm(guest, attack);
    const { ring, memory, windows } = guest;
    const indirect = attack.indirect ?? true;
    const queue = new PackedDeviceQueue({ ring, memory, eventIndex: false, indirect, startIndex: 0x8000 });
    const pool = new IovPool(windows, attack.poolCapacity ?? 16);
    const elements = new Elements(SIZE);
    expect(queue.pop(elements, pool)).toBe(PopResult.broken);
    expect(queue.brokenReason).toBe(RingFault[attack.fault]);
    expect([pool.count, elements.count, queue.nextAvailable]).toEqual([0, 0, 0x8000_8000]);

    // It stays broken though the driver mends its ways.
    arm(guest, { direct: () => [ok] });
    expect([queue.pending(), queue.allowKicks(), queue.pop(elements, pool)]).toEqual([0, false, PopResult.broken]);
  });
}

interface Held {
  readonly guest: GuestPackedRing;
  readonly queue: PackedDeviceQueue;
  readonly pool: IovPool;
  readonly elements: Elements;
}

/** A queue that holds the first `count` descriptors, each a chain. */
function holding(count: number): Held {
  const guest = guestPackedRing({ size: SIZE, dataBytes: DATA_BYTES });
  const { ring, memory, windows } = guest;
  const queue = new PackedDeviceQueue({ ring, memory, eventIndex: false, indirect: true, startIndex: 0x8000 });
  const pool = new IovPool(windows, 32);
  const elements = new Elements(SIZE + 1);
  for (let i = 0; i < count; i++) ring.descriptors.set(flat([ok]), i * 4);
  for (let i = 0; i < count; i++) expect(queue.pop(elements, pool)).toBe(i);
  return { guest, queue, pool, elements };
}

test("a descriptor that the device holds cannot be made available once more", () => {
  const { guest, queue, pool, elements } = holding(SIZE);
  expect(queue.pop(elements, pool)).toBe(PopResult.empty);
  queue.push(0, 0); // not published: the driver cannot have taken it back
  guest.ring.descriptors.set(flat([[2000, 0, 1, USED]]));
  expect(queue.pending()).toBe(0);
  expect([queue.pop(elements, pool), queue.brokenReason]).toEqual([PopResult.broken, RingFault.indexJump]);
  expect([elements.count, pool.count]).toEqual([SIZE, SIZE]);
});

test("a chain cannot run into descriptors that the device holds, whatever their flags", () => {
  const { guest, queue, pool, elements } = holding(3);
  guest.ring.descriptors.set(flat([more, more]), 3 * 4);
  guest.ring.descriptors.set(flat([[2000, 0, 1, USED]]));
  expect([queue.pop(elements, pool), queue.brokenReason]).toEqual([PopResult.broken, RingFault.chainTooLong]);
});

test("a fault behind good chains leaves those alone, and they can still be returned", () => {
  const { guest, queue, pool, elements } = holding(2);
  guest.ring.descriptors.set(flat([more]), 2 * 4);
  expect(queue.pop(elements, pool)).toBe(PopResult.broken);
  expect([elements.count, pool.count, queue.nextAvailable]).toEqual([2, 2, 0x8000_8002]);
  queue.unpop(elements, 1);
  expect([elements.count, pool.count, queue.nextAvailable, queue.pending()]).toEqual([1, 1, 0x8000_8001, 0]);
  queue.push(0, 0);
  queue.publish();
  expect(queue.needsNotification()).toBe(true);
});
