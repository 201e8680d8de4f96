import { expect, test } from "bun:test";
import { Iov, IovPool } from "@passt-ts/iov/iov";
import { WindowTable } from "@passt-ts/iov/windows";
import fc from "fast-check";
import { PcapReader, ReadEnd } from "./reader.ts";
import { PcapWriter } from "./writer.ts";

const record = fc.record({
  segments: fc.array(fc.uint8Array({ maxLength: 90 }), { minLength: 1, maxLength: 5 }),
  offset: fc.nat(40),
  length: fc.nat(200),
  seconds: fc.nat(0xffffffff),
  microseconds: fc.nat(999_999),
});

test("what is written is read back, whatever the segmentation and the size of the staging area", () => {
  fc.assert(
    fc.property(fc.array(record, { maxLength: 12 }), fc.integer({ min: 64, max: 300 }), (records, stagingBytes) => {
      const windows = new WindowTable();
      const blocks: number[] = [];
      const writer = new PcapWriter({
        windows,
        stagingWindow: windows.add(new Uint8Array(stagingBytes).fill(0xa5)),
        sink: (bytes, length) => blocks.push(...bytes.subarray(0, length)),
      });
      for (const { segments, offset, length, seconds, microseconds } of records) {
        const pool = new IovPool(windows, segments.length);
        for (const segment of segments) pool.append(windows.add(segment), 0, segment.length);
        expect(writer.write(new Iov(pool, 0, pool.count), offset, length, seconds, microseconds)).toBe(0);
      }
      writer.flush();
      const reader = new PcapReader(new Uint8Array(blocks));
      for (const { segments, offset, length, seconds, microseconds } of records) {
        const flat = segments.flatMap((segment) => [...segment]).slice(offset, offset + length);
        expect(reader.next()).toBe(true);
        expect(reader.originalLength).toBe(length);
        expect(reader.includedLength).toBe(flat.length);
        expect(reader.seconds).toBe(seconds);
        expect(reader.fractionNanoseconds).toBe(microseconds * 1000);
        expect(blocks.slice(reader.recordAt, reader.recordAt + reader.includedLength)).toEqual(flat);
      }
      expect(reader.next()).toBe(false);
      expect(reader.end).toBe(ReadEnd.complete);
    }),
  );
});
