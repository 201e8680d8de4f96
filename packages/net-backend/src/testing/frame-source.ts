import type { WindowTable } from "@passt-ts/iov/windows";
import { FrameBatch } from "../frame-batch.ts";

/** Memory of a test, and its native address where system calls are to reach it. */
export interface TestMemory {
  readonly bytes: Uint8Array;
  readonly address: number;
}

/** Makes memory of at least `lengthBytes` bytes. */
export type MakeMemory = (lengthBytes: number) => TestMemory;

/** Memory that no system call reaches. */
export const plainMemory: MakeMemory = (lengthBytes) => ({ bytes: new Uint8Array(lengthBytes), address: 0 });

/**
 * Lays frames out in a batch of their own memory, as a device would pop them from its TX ring: for tests.
 *
 * @param entryBytes sizes of the entries of each frame, repeated until the frame is held; by default one entry.
 * @param headerLength bytes in front of each Ethernet frame; they hold nothing that makes sense.
 */
export function batchOf(
  windows: WindowTable,
  frames: readonly Uint8Array[],
  entryBytes: readonly number[] = [],
  headerLength = 12,
  makeMemory: MakeMemory = plainMemory,
): FrameBatch {
  const total = frames.reduce((sum, frame) => sum + headerLength + frame.length, 0);
  const { bytes: memory, address } = makeMemory(total);
  const window = windows.add(memory, address);
  const batch = new FrameBatch(windows, frames.length, total + frames.length);
  let at = 0;
  for (const [i, frame] of frames.entries()) {
    batch.firstEntry[i] = batch.pool.count;
    batch.offset[i] = headerLength;
    batch.length[i] = frame.length;
    memory.fill(0xee, at, at + headerLength);
    memory.set(frame, at + headerLength);
    const end = at + headerLength + frame.length;
    for (let part = 0; at < end; part++) {
      const size = Math.min(entryBytes[part % entryBytes.length] ?? end - at, end - at);
      batch.pool.append(window, at, size);
      at += size;
    }
    batch.entryCount[i] = batch.pool.count - batch.firstEntry[i];
    batch.count++;
  }
  return batch;
}

/** Overwrites every byte of the frames in a batch: what a driver does with buffers that were given back. */
export function overwrite(batch: FrameBatch): void {
  const { windows, window, offset, length, count } = batch.pool;
  for (let i = 0; i < count; i++) windows.bytes[window[i]].fill(0xdd, offset[i], offset[i] + length[i]);
}
