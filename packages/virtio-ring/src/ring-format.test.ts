import { expect, test } from "bun:test";
import { PackedDriverQueue } from "./packed-driver-queue.ts";
import { packedFormat, splitFormat } from "./ring-format.ts";
import { guestPackedRing } from "./testing/guest-ring.ts";

test("sizes, alignments and lengths are those of the specification's tables", () => {
  expect([packedFormat.isSize(3), splitFormat.isSize(3), packedFormat.isSize(32769)]).toEqual([true, false, false]);
  const bytes = ({ descriptorBytes, driverBytes, deviceBytes }: typeof splitFormat) => [
    descriptorBytes(256),
    driverBytes(256),
    deviceBytes(256),
  ];
  expect(bytes(splitFormat)).toEqual([4096, 518, 2054]);
  expect(bytes(packedFormat)).toEqual([4096, 4, 4]);
  const alignments = ({ descriptorAlignment, driverAlignment, deviceAlignment }: typeof splitFormat) => [
    descriptorAlignment,
    driverAlignment,
    deviceAlignment,
  ];
  expect(alignments(splitFormat)).toEqual([16, 2, 4]);
  expect(alignments(packedFormat)).toEqual([16, 4, 4]);
});

test("bases: the packed one of a new ring has both wrap counters set, and must lie in the ring", () => {
  expect(packedFormat.newRingBase).toBe(0x8000_8000);
  expect(packedFormat.isBase(0x8000_8000, 1)).toBe(true);
  expect(packedFormat.isBase(0x8005_8005, 5)).toBe(false);
  expect(packedFormat.isBase(0x8000, 5)).toBe(true); // a front-end that knows one position only
  expect(splitFormat.newRingBase).toBe(0);
  expect(splitFormat.isBase(0xffff, 4)).toBe(true);
  expect(splitFormat.isBase(0x1_0000, 4)).toBe(false);
});

test("a packed ring that nobody has used begins at its beginning, even where the front-end says 0", () => {
  for (const published of [false, true]) {
    const { size, memory, parts, ring } = guestPackedRing({ size: 3 });
    const options = { memory, eventIndex: false, indirect: false, inOrder: false };
    if (published) ring.descriptors[3] = 0x80_0000; // the driver was first
    const queue = packedFormat.deviceQueue(size, parts, { ...options, startIndex: 0 });
    expect([queue.nextAvailable, queue.pending()]).toEqual([0x8000_8000, published ? 1 : 0]);
  }
});

test("a packed ring that has come round begins where the front-end says, 0 included", () => {
  const { size, memory, parts, ring } = guestPackedRing({ size: 3 });
  const options = { memory, eventIndex: false, indirect: false, inOrder: false };
  new PackedDriverQueue({ ring, eventIndex: false, indirectTables: null, startIndex: 0 });
  for (const startIndex of [0, 0x8001_8001, 0x0002_0002]) {
    expect(packedFormat.deviceQueue(size, parts, { ...options, startIndex }).nextAvailable).toBe(startIndex);
  }
});

test("parts that are too short, and starts outside the ring, are errors of the caller", () => {
  const { memory, parts } = guestPackedRing({ size: 3 });
  const options = { memory, eventIndex: false, indirect: false, inOrder: false, startIndex: 0x8003_8003 };
  expect(() => packedFormat.deviceQueue(3, parts, options)).toThrow(RangeError);
  expect(() => packedFormat.deviceQueue(4, parts, { ...options, startIndex: 0x8000_8000 })).toThrow(RangeError);
  expect(() => splitFormat.deviceQueue(4, parts, { ...options, startIndex: 0 })).toThrow(RangeError);
});
