import { expect, test } from "bun:test";
import { Iov, IovPool } from "@passt-ts/iov/iov";
import { WindowTable } from "@passt-ts/iov/windows";
import { FrameIo } from "./frame-io.ts";
import { CALL_ENTRIES_MAX } from "./iovec-table.ts";
import { NativeBuffer } from "./native-buffer.ts";
import type { OwnedFd } from "./owned-fd.ts";
import { Errno } from "./system-error.ts";
import { createSocketPair } from "./unix-socket.ts";

/** A descriptor pair that keeps message boundaries as a tap does, and 4 KiB of memory with a list over parts of it. */
class Rig implements Disposable {
  readonly io: FrameIo = new FrameIo();
  readonly windows: WindowTable = new WindowTable();
  readonly memory: NativeBuffer = new NativeBuffer(4096);
  readonly window: number = this.windows.add(this.memory.bytes, this.memory.address);
  readonly left: OwnedFd;
  readonly right: OwnedFd;

  constructor() {
    [this.left, this.right] = createSocketPair("seqpacket");
  }

  list(...entries: readonly (readonly [offset: number, lengthBytes: number])[]): Iov {
    const pool = new IovPool(this.windows, entries.length);
    for (const [offset, lengthBytes] of entries) pool.append(this.window, offset, lengthBytes);
    return new Iov(pool, 0, entries.length);
  }

  [Symbol.dispose](): void {
    this.left.close();
    this.right.close();
  }
}

test("a header goes in front of a frame that lies in pieces, and comes off again", () => {
  using rig = new Rig();
  const { io, memory } = rig;
  memory.bytes.set([9, 9, 1, 2, 3], 0);
  memory.bytes.set([4, 5, 9], 100);
  io.header.setUint8(0, 0x77);
  const frame = rig.list([0, 5], [50, 0], [100, 3]);
  expect(io.write(rig.left.fd, 12, frame, 2, 5)).toBe(5);
  io.header.setUint8(0, 0);
  const rest = rig.list([1000, 100]);
  expect(io.read(rig.right.fd, 12, rig.list([200, 3], [300, 8]), 1, 8, rest, 100)).toBe(5);
  expect(io.header.getUint8(0)).toBe(0x77);
  expect([...memory.bytes.slice(200, 203), ...memory.bytes.slice(300, 304)]).toEqual([0, 1, 2, 3, 4, 5, 0]);
  expect(io.read(rig.right.fd, 12, rig.list([200, 3]), 0, 3, rest, 100)).toBe(-Errno.EAGAIN);
});

test("what is longer than the place given goes on in the rest, where it would be in a whole frame", () => {
  using rig = new Rig();
  const { io, memory } = rig;
  memory.bytes.set([1, 2, 3, 4, 5, 6, 7], 0);
  io.write(rig.left.fd, 0, rig.list([0, 7]), 0, 7);
  expect(io.read(rig.right.fd, 0, rig.list([200, 10]), 0, 4, rig.list([1000, 100]), 100)).toBe(7);
  expect([...memory.bytes.slice(200, 206)]).toEqual([1, 2, 3, 4, 0, 0]);
  expect([...memory.bytes.slice(1000, 1008)]).toEqual([0, 0, 0, 0, 5, 6, 7, 0]);
  io.write(rig.left.fd, 10, rig.list([0, 7]), 0, 7);
  expect(io.read(rig.right.fd, 10, rig.list(), 0, 0, rig.list([2000, 100]), 100)).toBe(7);
  expect([...memory.bytes.slice(2000, 2008)]).toEqual([1, 2, 3, 4, 5, 6, 7, 0]);
});

test("less than a header is refused, and more entries than a call takes leave the frame where it is", () => {
  using rig = new Rig();
  const { io } = rig;
  const many = rig.list(...Array.from({ length: CALL_ENTRIES_MAX }, (_, i) => [i, 1] as const));
  expect(io.write(rig.left.fd, 12, many, 0, CALL_ENTRIES_MAX)).toBe(-Errno.EMSGSIZE);
  expect(io.write(rig.left.fd, 12, many, 0, CALL_ENTRIES_MAX - 1)).toBe(CALL_ENTRIES_MAX - 1);
  const rest = rig.list([2000, 2000]);
  expect(io.read(rig.right.fd, 12, many, 0, CALL_ENTRIES_MAX, rest, 2000)).toBe(-Errno.EMSGSIZE);
  expect(io.read(rig.right.fd, 12, many, 0, 500, rest, 2000)).toBe(CALL_ENTRIES_MAX - 1);
  io.write(rig.left.fd, 0, many, 0, 5);
  expect(io.read(rig.right.fd, 12, many, 0, 500, rest, 2000)).toBe(-Errno.EPROTO);
});

test("memory that the kernel cannot be told of is refused before the call", () => {
  using rig = new Rig();
  const { io } = rig;
  const pool = new IovPool(rig.windows, 1);
  pool.append(rig.windows.add(new Uint8Array(10)), 0, 10);
  const unreachable = new Iov(pool, 0, 1);
  const rest = rig.list([2000, 2000]);
  expect(io.write(rig.left.fd, 0, unreachable, 0, 5)).toBe(-Errno.EFAULT);
  expect(io.write(rig.left.fd, 0, rig.list([0, 4]), 0, 5)).toBe(-Errno.EFAULT);
  io.write(rig.left.fd, 0, rest, 0, 5);
  expect(io.read(rig.right.fd, 0, unreachable, 0, 5, rest, 2000)).toBe(-Errno.EFAULT);
  expect(io.read(rig.right.fd, 0, rest, 0, 5, rest, 2000)).toBe(5);
});
