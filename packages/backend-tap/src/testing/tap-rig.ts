import { WindowTable } from "@passt-ts/iov/windows";
import { EventLoop } from "@passt-ts/linux/event-loop";
import { NativeBuffer } from "@passt-ts/linux/native-buffer";
import type { FrameBatch } from "@passt-ts/net-backend/frame-batch";
import { batchOf } from "@passt-ts/net-backend/testing/frame-source";
import {
  type RecordedFrame,
  RecordingSink,
  type RecordingSinkOptions,
} from "@passt-ts/net-backend/testing/recording-sink";
import { TapBackend } from "../tap-backend.ts";
import type { TapPort } from "../tap-port.ts";

/** The EtherType of the tests' frames (IEEE 802, local experiments): no host sends it by itself. */
export const TEST_ETHER_TYPE = 0x88b5;
const HEADER_BYTES = 12;
const SINK_BYTES: number = 1024 * 1024;
const TIMEOUT_MS = 5000;

/** A frame of `lengthBytes` bytes, broadcast, that differs from those of other seeds. */
export function testFrame(lengthBytes: number, seed: number): Uint8Array {
  const frame = new Uint8Array(lengthBytes).map((_, i) => (i * 7 + seed * 37) & 0xff);
  frame.fill(0xff, 0, 6);
  frame.set([0x52, 0x54, 0, 0, 0, seed & 0xff], 6);
  new DataView(frame.buffer).setUint16(12, TEST_ETHER_TYPE);
  return frame;
}

/** What a rig is made with besides its tap. */
export interface TapRigOptions {
  readonly reopen?: () => TapPort | null;
  readonly sink?: Omit<RecordingSinkOptions, "windows" | "memory">;
}

/** A TapBackend between a guest that a test plays and a tap. */
export class TapRig implements Disposable {
  readonly windows: WindowTable = new WindowTable();
  readonly loop: EventLoop = new EventLoop();
  readonly sink: RecordingSink;
  readonly backend: TapBackend;
  readonly reports: string[] = [];
  nowMs = 0;

  constructor(port: TapPort, options: TapRigOptions = {}) {
    const { windows, loop } = this;
    this.sink = new RecordingSink({ ...options.sink, windows, memory: new NativeBuffer(SINK_BYTES) });
    const report = (level: string, text: string): void => void this.reports.push(`${level}: ${text}`);
    const { reopen } = options;
    this.backend = new TapBackend({ loop, windows, port, report, ...(reopen === undefined ? {} : { reopen }) });
    this.backend.setCapabilities(0, HEADER_BYTES);
    this.backend.attach(this.sink);
  }

  /** A batch of frames in memory that system calls reach. */
  batch(frames: readonly Uint8Array[], entryBytes: readonly number[] = []): FrameBatch {
    return batchOf(this.windows, frames, entryBytes, HEADER_BYTES, (bytes) => new NativeBuffer(bytes));
  }

  send(...frames: readonly Uint8Array[]): void {
    this.backend.send(this.batch(frames), frames.length, this.nowMs);
  }

  /** One round of the loop: events, then turns until none wants another at once. The turns that wanted one. */
  pump(waitMs = 0): number {
    this.loop.wait(waitMs);
    let extraTurns = 0;
    while (this.backend.turn(this.nowMs)) extraTurns++;
    this.sink.assertSettled();
    return extraTurns;
  }

  /** Pumps, and takes what the guest got. */
  received(): RecordedFrame[] {
    this.pump();
    return this.sink.take();
  }

  /** Pumps until `next` gives a value. @throws Error that names `what` when it never does. */
  waitFor<T>(next: () => T | null, what: string): T {
    const endMs = performance.now() + TIMEOUT_MS;
    for (;;) {
      this.pump(1);
      const found = next();
      if (found !== null) return found;
      if (performance.now() > endMs) throw new Error(`waited in vain for ${what}`);
    }
  }

  counter(index: number): number {
    return this.backend.counters[index];
  }

  [Symbol.dispose](): void {
    this.backend.close();
    this.loop.close();
  }
}
