import { expect, test } from "bun:test";
import { Iov, IovPool } from "@passt-ts/iov/iov";
import { WindowTable } from "@passt-ts/iov/windows";
import { FileHeader, NATIVE_LITTLE_ENDIAN, SNAP_LENGTH_BYTES } from "./format.ts";
import { PcapReader, ReadEnd } from "./reader.ts";
import { PcapWriter } from "./writer.ts";

function harness(stagingBytes: number, dataBytes: number) {
  const windows = new WindowTable();
  const data = new Uint8Array(dataBytes);
  const dataWindow = windows.add(data);
  const stagingWindow = windows.add(new Uint8Array(stagingBytes).fill(0xa5));
  const blocks: Uint8Array[] = [];
  const writer = new PcapWriter({
    windows,
    stagingWindow,
    sink: (bytes, length) => blocks.push(bytes.slice(0, length)),
  });
  const pool = new IovPool(windows, 16);
  const file = () => {
    writer.flush();
    return new Uint8Array(blocks.flatMap((block) => [...block]));
  };
  return { data, dataWindow, pool, iov: new Iov(pool), writer, blocks, file };
}

function bigEndianFile(magic: number, records: { seconds: number; fraction: number; data: number[] }[]): Uint8Array {
  const size = records.reduce((sum, record) => sum + 16 + record.data.length, 24);
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, magic);
  view.setUint16(4, 2);
  view.setUint16(6, 4);
  view.setUint32(16, 65535);
  view.setUint32(20, 1);
  let at = 24;
  for (const record of records) {
    view.setUint32(at, record.seconds);
    view.setUint32(at + 4, record.fraction);
    view.setUint32(at + 8, record.data.length);
    view.setUint32(at + 12, record.data.length);
    bytes.set(record.data, at + 16);
    at += 16 + record.data.length;
  }
  return bytes;
}

test("the file header is the classic one, in native byte order", () => {
  const file = harness(256, 0).file();
  const view = new DataView(file.buffer);
  expect(file.length).toBe(FileHeader.size);
  expect(view.getUint32(0, NATIVE_LITTLE_ENDIAN)).toBe(0xa1b2c3d4);
  expect(view.getUint16(4, NATIVE_LITTLE_ENDIAN)).toBe(2);
  expect(view.getUint16(6, NATIVE_LITTLE_ENDIAN)).toBe(4);
  expect([...file.subarray(8, 16)]).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
  expect(view.getUint32(16, NATIVE_LITTLE_ENDIAN)).toBe(262144);
  expect(view.getUint32(20, NATIVE_LITTLE_ENDIAN)).toBe(1);
});

test("statement 10: a 60-byte frame in a 1526-byte buffer behind a 12-byte header is a record of exactly 60 bytes", () => {
  const { data, dataWindow, pool, iov, writer, file } = harness(4096, 1526);
  data.fill(0xee);
  for (let i = 0; i < 60; i++) data[12 + i] = i;
  pool.append(dataWindow, 0, 1526);
  expect(writer.write(iov.select(0, 1), 12, 60, 1_700_000_000, 123_456)).toBe(0);
  const bytes = file();
  expect(bytes.length).toBe(24 + 16 + 60);
  const reader = new PcapReader(bytes);
  expect(reader.next()).toBe(true);
  expect(reader.includedLength).toBe(60);
  expect(reader.originalLength).toBe(60);
  expect(reader.seconds).toBe(1_700_000_000);
  expect(reader.fractionNanoseconds).toBe(123_456_000);
  expect([...bytes.subarray(reader.recordAt)]).toEqual(Array.from({ length: 60 }, (_, i) => i));
  expect(reader.next()).toBe(false);
  expect(reader.end).toBe(ReadEnd.complete);
});

test("a frame longer than the staging area passes through in full blocks", () => {
  const { data, dataWindow, pool, iov, writer, blocks, file } = harness(100, 70_000);
  for (let i = 0; i < data.length; i++) data[i] = i % 251;
  pool.append(dataWindow, 0, 35_000);
  pool.append(dataWindow, 35_000, 35_000);
  writer.write(iov.select(0, 2), 0, 70_000, 1, 2);
  const bytes = file();
  expect(blocks.slice(0, -1).every((block) => block.length === 100)).toBe(true);
  const reader = new PcapReader(bytes);
  expect(reader.next()).toBe(true);
  expect(reader.includedLength).toBe(70_000);
  expect(bytes.subarray(reader.recordAt).every((byte, i) => byte === i % 251)).toBe(true);
});

test("a record never includes more than the buffers or the snap length hold, and says so", () => {
  const { dataWindow, pool, iov, writer, file } = harness(4096, 300_000);
  pool.append(dataWindow, 0, 300_000);
  pool.append(dataWindow, 0, 100);
  writer.write(iov.select(0, 1), 0, 300_000, 0, 0);
  writer.write(iov.select(1, 1), 40, 100, 0, 0);
  const reader = new PcapReader(file());
  reader.next();
  expect([reader.includedLength, reader.originalLength]).toEqual([SNAP_LENGTH_BYTES, 300_000]);
  reader.next();
  expect([reader.includedLength, reader.originalLength]).toEqual([60, 100]);
  reader.next();
  expect(reader.end).toBe(ReadEnd.complete);
});

test("after the sink failed nothing more is handed to it", () => {
  const windows = new WindowTable();
  const dataWindow = windows.add(new Uint8Array(64));
  const pool = new IovPool(windows, 1);
  pool.append(dataWindow, 0, 64);
  let calls = 0;
  const sink = () => {
    calls++;
    return -28;
  };
  const writer = new PcapWriter({ windows, stagingWindow: windows.add(new Uint8Array(64)), sink });
  expect(writer.write(new Iov(pool, 0, 1), 0, 64, 0, 0)).toBe(-28);
  expect(writer.write(new Iov(pool, 0, 1), 0, 64, 0, 0)).toBe(-28);
  expect(writer.flush()).toBe(-28);
  expect(calls).toBe(1);
  expect(writer.records).toBe(0);
});

test("a staging area too small for a header is refused", () => {
  const windows = new WindowTable();
  expect(() => new PcapWriter({ windows, stagingWindow: windows.add(new Uint8Array(63)), sink: () => 0 })).toThrow(
    RangeError,
  );
});

test("the reader takes the other byte order and nanoseconds", () => {
  const swapped = bigEndianFile(0xa1b2c3d4, [{ seconds: 5, fraction: 7, data: [1, 2, 3] }]);
  const micro = new PcapReader(swapped);
  expect([micro.littleEndian, micro.nanoseconds, micro.linkType, micro.snapLength]).toEqual([false, false, 1, 65535]);
  expect(micro.next()).toBe(true);
  expect([micro.seconds, micro.fractionNanoseconds, micro.includedLength]).toEqual([5, 7000, 3]);
  const nano = new PcapReader(bigEndianFile(0xa1b23c4d, [{ seconds: 5, fraction: 7, data: [] }]));
  expect(nano.next()).toBe(true);
  expect([nano.nanoseconds, nano.fractionNanoseconds, nano.includedLength]).toEqual([true, 7, 0]);
  expect(nano.next()).toBe(false);
});

test("every truncation of a file gives whole records only, and says where it was cut", () => {
  const bytes = bigEndianFile(0xa1b2c3d4, [
    { seconds: 1, fraction: 1, data: [1, 2, 3] },
    { seconds: 2, fraction: 2, data: [4, 5] },
  ]);
  for (let length = 0; length < 24; length++) expect(() => new PcapReader(bytes, length)).toThrow(RangeError);
  for (let length = 24; length <= bytes.length; length++) {
    const reader = new PcapReader(bytes, length);
    let records = 0;
    while (reader.next()) records++;
    expect(records).toBe(length >= bytes.length ? 2 : length >= 43 ? 1 : 0);
    expect(reader.end).toBe(
      length === 24 || length === 43 || length === bytes.length ? ReadEnd.complete : ReadEnd.truncated,
    );
  }
});

test("a record that claims to be longer than any may be ends the reading", () => {
  const bytes = bigEndianFile(0xa1b2c3d4, [{ seconds: 1, fraction: 1, data: [1, 2, 3] }]);
  new DataView(bytes.buffer).setUint32(24 + 8, 0xffffffff);
  const reader = new PcapReader(bytes);
  expect(reader.next()).toBe(false);
  expect(reader.end).toBe(ReadEnd.badLength);
});

test("bytes that are no pcap file are refused", () => {
  expect(() => new PcapReader(new Uint8Array(24).fill(0x0a))).toThrow("magic");
});
