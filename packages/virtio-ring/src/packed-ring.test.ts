import { expect, test } from "bun:test";
import { isPackedPosition, isPackedQueueSize, packedRing, wantsEvent } from "./packed-ring.ts";

test("any number of descriptors up to 32768 is a size", () => {
  for (const size of [1, 2, 3, 100, 255, 32767, 32768]) expect(isPackedQueueSize(size)).toBe(true);
  for (const size of [0, -1, 32769, 1.5, Number.NaN]) {
    expect(isPackedQueueSize(size)).toBe(false);
    expect(() => packedRing(size, new Uint8Array(64), new Uint8Array(4), new Uint8Array(4))).toThrow(RangeError);
  }
});

test("a part that is misaligned or one byte short is refused", () => {
  const part = (bytes: number, at = 0) => new Uint8Array(new ArrayBuffer(at + bytes), at);
  expect(packedRing(3, part(48, 16), part(4, 4), part(4, 8)).descriptors.length).toBe(12);
  expect(() => packedRing(3, part(47), part(4), part(4))).toThrow("descriptor ring");
  expect(() => packedRing(3, part(48, 2), part(4), part(4))).toThrow("descriptor ring");
  expect(() => packedRing(3, part(48), part(3), part(4))).toThrow("driver event");
  expect(() => packedRing(3, part(48), part(4), part(4, 2))).toThrow("device event");
});

test("a position is an offset in the ring with a wrap counter", () => {
  for (const position of [0, 4, 0x8000, 0x8004]) expect(isPackedPosition(position, 5)).toBe(true);
  for (const position of [5, 0x8005, 0x1_0000, -1, 0.5]) expect(isPackedPosition(position, 5)).toBe(false);
});

const DESCRIPTOR_EVENT = 2 << 16;

test("an event is wanted when its descriptor is one of those passed, over the end of the ring too", () => {
  const size = 5;
  const name = (index: number) => ((Math.floor(index / size) & 1 ? 0 : 1) << 15) | (index % size);
  for (let start = 0; start < 10; start++) {
    for (let passed = 1; passed <= 12; passed++) {
      const names = Array.from({ length: passed }, (_, i) => name(start + i));
      for (let event = 0; event < 10; event++) {
        const wanted = wantsEvent(DESCRIPTOR_EVENT | name(event), true, size, name(start + passed), passed);
        expect(wanted).toBe(names.includes(name(event)));
      }
    }
  }
});

test("flags: all, none; what makes no sense counts as all", () => {
  expect(wantsEvent(0, true, 4, 0x8001, 1)).toBe(true);
  expect(wantsEvent(1 << 16, true, 4, 0x8001, 1)).toBe(false);
  expect(wantsEvent(3 << 16, true, 4, 0x8001, 1)).toBe(true);
  expect(wantsEvent(DESCRIPTOR_EVENT | 0x8003, false, 4, 0x8001, 1)).toBe(true); // without the feature
  expect(wantsEvent(DESCRIPTOR_EVENT | 0x8003, true, 4, 0x8001, 1)).toBe(false);
  expect(wantsEvent(DESCRIPTOR_EVENT | 0x8004, true, 4, 0x8001, 1)).toBe(true); // no such descriptor
  expect(wantsEvent(0xfffc_0000 | (1 << 16), true, 4, 0x8001, 1)).toBe(false); // reserved bits
});
