import { Iov } from "@passt-ts/iov/iov";
import { scatter } from "@passt-ts/iov/memcopy";
import { WindowTable } from "@passt-ts/iov/windows";
import type { DeviceQueue } from "@passt-ts/virtio-ring/device-queue";
import type { QueueKind } from "@passt-ts/virtio-ring/testing/queues";
import { NetCounter } from "../net-counter.ts";
import { RxQueue } from "../rx-queue.ts";
import { flatMemory } from "./flat-memory.ts";
import { NetDriver, type ReceivedFrame } from "./net-driver.ts";

/** Everything is optional. */
export interface ReceiveRigOptions {
  readonly size?: number;
  readonly headerLength?: 10 | 12;
  readonly mergeable?: boolean;
  readonly capabilities?: number;
  readonly format?: QueueKind["format"];
  readonly eventIndex?: boolean;
  readonly inOrder?: boolean;
  readonly tableSize?: number;
  readonly frameCapacity?: number;
  readonly edgeBytes?: number;
  readonly startIndex?: number;
  /** Chains posted at the start: their layout, and how many; by default as many as fit. */
  readonly layout?: readonly number[];
  readonly chains?: number;
}

/** A receive queue with its driver, for tests. */
export class ReceiveRig {
  readonly windows: WindowTable;
  readonly driver: NetDriver;
  readonly queue: DeviceQueue;
  readonly rx: RxQueue;

  constructor(options: ReceiveRigOptions = {}) {
    const { size = 256, headerLength = 12, mergeable = true } = options;
    this.windows = new WindowTable();
    const memory = new Uint8Array(8 << 20);
    const window = this.windows.add(memory);
    this.driver = new NetDriver({ ...options, memory, size, headerLength, mergeable });
    this.queue = this.driver.deviceQueue(flatMemory(this.windows, window, options.edgeBytes));
    this.rx = new RxQueue(this.windows, { queueSizeMax: 2048, frameCapacity: options.frameCapacity ?? 64 });
    const layout = options.layout ?? [1526];
    const chains = options.chains ?? Math.floor(size / layout.length);
    for (let i = 0; i < chains; i++) this.driver.post(layout);
    this.rx.bind(this.queue, headerLength, mergeable, options.capabilities ?? 0);
  }

  /** Writes the bytes of reserved frame `index`. */
  fill(index: number, bytes: Uint8Array): void {
    const { frames } = this.rx;
    const window = this.windows.add(bytes);
    const done = scatter(frames.select(index, new Iov(frames.pool)), frames.offset[index], window, 0, bytes.length);
    this.windows.remove(window);
    if (done !== bytes.length) throw new Error(`frame ${index} holds only ${done} bytes`);
  }

  /** Reserves, fills, commits, publishes. */
  send(bytes: Uint8Array, reservedBytes: number = bytes.length): void {
    const index = this.rx.reserve(reservedBytes);
    if (index !== 0) throw new Error(`no room: ${index}`);
    this.fill(index, bytes);
    this.rx.commit(index, bytes.length);
    if (!this.rx.publish()) throw new Error("nothing to publish");
  }

  /** The next frame that the driver has. */
  receive(): ReceivedFrame {
    const frame = this.driver.receive();
    if (frame === null) throw new Error("nothing received");
    return frame;
  }

  counter(name: keyof typeof NetCounter): number {
    return this.rx.counters[NetCounter[name]];
  }
}

/** Bytes that differ from their neighbours. */
export function frameOf(length: number, seed = 1): Uint8Array<ArrayBuffer> {
  return new Uint8Array(length).map((_, i) => (i * 7 + seed) & 0xff);
}

/** What is wrong with a frame without offloads that was sent as `sent`; empty when all is right. */
export function faultsOf(frame: ReceivedFrame, sent: Uint8Array, mergeable: boolean): string[] {
  const { bytes, header, usedBytes, capacityBytes } = frame;
  const padded = Math.max(sent.length, 60);
  const used = usedBytes.reduce((total, part) => total + part, 0);
  const buffers = header.length === 12 ? header[10] | (header[11] << 8) : usedBytes.length;
  const checks: readonly (readonly [boolean, string])[] = [
    [bytes.length === padded, `${bytes.length} bytes, not ${padded}`],
    [sent.every((byte, i) => bytes[i] === byte), "other bytes than were sent"],
    [bytes.subarray(sent.length).every((byte) => byte === 0), "padding that is not zero"],
    [used === padded + header.length, `used lengths of ${used} bytes in all`],
    [usedBytes.every((part) => part > 0), "a buffer used with length 0"],
    [usedBytes.slice(0, -1).every((part, i) => part === capacityBytes[i]), "a buffer before the last is not full"],
    [frame.untouchedBehind, "bytes written outside of the used ones"],
    [header.subarray(0, 10).every((byte) => byte === 0), "a header that is not zero"],
    [buffers === (mergeable ? usedBytes.length : 1), `num_buffers ${buffers}`],
  ];
  return checks.filter(([holds]) => !holds).map(([, fault]) => fault);
}
