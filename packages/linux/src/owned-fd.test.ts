import { expect, test } from "bun:test";
import { createPipe } from "./eventfd.ts";
import { readBytes, writeBytes } from "./file-io.ts";
import { closeFd, duplicateFd, OwnedFd } from "./owned-fd.ts";
import { Errno } from "./system-error.ts";
import { openFileCount } from "./testing/open-files.ts";

test("a descriptor is closed once, or taken and closed by its taker", () => {
  const before = openFileCount();
  const [read, write] = createPipe();
  const taken = write.take();
  expect([write.fd, openFileCount()]).toEqual([-1, before + 2]);
  write.close();
  expect(() => write.take()).toThrow("taken or closed");
  expect([openFileCount(), closeFd(taken)]).toEqual([before + 2, 0]);
  read.close();
  read.close();
  expect(openFileCount()).toBe(before);
  expect(() => new OwnedFd(-1)).toThrow(RangeError);
});

test("a number duplicated onto means the other file, and what it meant is closed", () => {
  const [read1, write1] = createPipe();
  const [read2, write2] = createPipe();
  const before = openFileCount();
  duplicateFd(write2.fd, write1.fd);
  expect(openFileCount()).toBe(before);
  const bytes = new Uint8Array(4);
  expect(writeBytes(write1.fd, Uint8Array.of(7), 0, 1)).toBe(1);
  expect([readBytes(read2.fd, bytes, 0, 4), bytes[0]]).toEqual([1, 7]);
  // The last writer of the first pipe is gone: its end, not EAGAIN.
  expect(readBytes(read1.fd, bytes, 0, 4)).toBe(0);
  write2.close();
  expect(readBytes(read2.fd, bytes, 0, 4)).toBe(-Errno.EAGAIN);
  for (const fd of [read1, write1, read2]) fd.close();
  expect(() => duplicateFd(-1, 0)).toThrow("dup2");
});
