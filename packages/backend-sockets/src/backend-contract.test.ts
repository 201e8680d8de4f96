import { afterEach, describe, expect, test } from "bun:test";
import { Iov } from "@passt-ts/iov/iov";
import { gather } from "@passt-ts/iov/memcopy";
import type { WindowTable } from "@passt-ts/iov/windows";
import { EventLoop } from "@passt-ts/linux/event-loop";
import { NativeBuffer } from "@passt-ts/linux/native-buffer";
import type { NetBackend, NetHeaderLength } from "@passt-ts/net-backend/backend";
import { FrameBatch } from "@passt-ts/net-backend/frame-batch";
import type { RxSink } from "@passt-ts/net-backend/rx-sink";
import { type BackendUnderTest, backendContract } from "@passt-ts/net-backend/testing/backend-contract";
import { batchOf } from "@passt-ts/net-backend/testing/frame-source";
import { sumOf } from "@passt-ts/udp-vu/testing/harness";
import { UdpCounter } from "@passt-ts/udp-vu/udp-counter";
import { bytesOf } from "@passt-ts/wire/testing/frame-bytes";
import { SocketBackend } from "./socket-backend.ts";
import { GATEWAY4, GUEST4, LINK } from "./testing/backend-rig.ts";
import { pattern, UDP4_HEADER_BYTES, udpFrame } from "./testing/guest-frames.ts";
import { boundSocket, HostUdp, LOOPBACK4, portOf } from "./testing/host-sockets.ts";

const GUEST_PORT = 53;
/** What the guest says first: its own address, which tells its MAC address and gets no answer. */
const ANNOUNCEMENT = bytesOf(
  `ffffffffffff 525400000009 0806 0001 0800 0604 0001 525400000009 0a000002 000000000000 0a000002 ${"00".repeat(18)}`,
);

/** The datagram with `payload` as it arrives for the guest, byte for byte; computed by nothing of the back-end. */
function frameToGuest(hostPort: number, payload: Uint8Array): Uint8Array {
  const addresses = { source: GATEWAY4, destination: GUEST4, sourcePort: hostPort, destinationPort: GUEST_PORT };
  const frame = udpFrame({ ...addresses, hopLimit: 255, payload });
  const view = new DataView(frame.buffer);
  swap(frame, 0, 6, 6);
  view.setUint16(40, 0);
  const sum = ~sumOf(frame, 26, frame.length, 17 + frame.length - 34) & 0xffff;
  view.setUint16(40, sum === 0 ? 0xffff : sum);
  return frame;
}

function swap(bytes: Uint8Array, a: number, b: number, length: number): void {
  const first = bytes.slice(a, a + length);
  bytes.copyWithin(a, b, b + length);
  bytes.set(first, b);
}

/**
 * A SocketBackend as the suite wants one: what it is given to send are the frames that arrive for the guest, so each is
 * turned round first, into memory that system calls reach, over entries of the same sizes. A turn hears the sockets.
 */
class TurnedBackend implements NetBackend {
  readonly #inner: SocketBackend;
  readonly #windows: WindowTable;
  readonly #loop: EventLoop;
  readonly #memory: NativeBuffer = new NativeBuffer(65536);
  readonly #window: number;

  constructor(inner: SocketBackend, windows: WindowTable, loop: EventLoop) {
    this.#inner = inner;
    this.#windows = windows;
    this.#loop = loop;
    this.#window = windows.add(this.#memory.bytes, this.#memory.address);
  }

  get capabilities(): number {
    return this.#inner.capabilities;
  }

  get deadlineMs(): number {
    return this.#inner.deadlineMs;
  }

  setCapabilities(capabilities: number, headerLength: NetHeaderLength): number {
    return this.#inner.setCapabilities(capabilities, headerLength);
  }

  attach(sink: RxSink): void {
    this.#inner.attach(sink);
    this.#inner.send(batchOf(this.#windows, [ANNOUNCEMENT]), 1, 0);
  }

  send(frames: FrameBatch, count: number, nowMs: number): void {
    const turned = new FrameBatch(this.#windows, count, frames.pool.count);
    const { bytes } = this.#memory;
    let at = 0;
    for (let i = 0; i < count; i++) {
      const first = turned.pool.count;
      const frame = frames.select(i, new Iov(frames.pool));
      const total = frames.offset[i] + frames.length[i];
      gather(frame, 0, this.#window, at, total);
      turned.offset[i] = frames.offset[i];
      turned.length[i] = frames.length[i];
      turned.firstEntry[i] = first;
      turned.entryCount[i] = frame.count;
      const start = at + frames.offset[i];
      for (const [a, b, length] of [
        [0, 6, 6],
        [26, 30, 4],
        [34, 36, 2],
      ]) {
        swap(bytes, start + a, start + b, length);
      }
      for (let entry = frame.first; entry < frame.first + frame.count; entry++) {
        turned.pool.append(this.#window, at, frames.pool.length[entry]);
        at += frames.pool.length[entry];
      }
      turned.count++;
    }
    this.#inner.send(turned, count, nowMs);
    bytes.fill(0xdd, 0, at);
  }

  turn(nowMs: number): boolean {
    this.#loop.wait(0);
    return this.#inner.turn(nowMs);
  }

  reset(nowMs: number): void {
    this.#inner.reset(nowMs);
  }

  discard(): number {
    return this.#inner.discard();
  }

  close(): void {
    this.#inner.close();
  }
}

describe("contract of a back-end: sockets", () => {
  const cleanup: (() => void)[] = [];
  afterEach(() => {
    for (const act of cleanup.splice(0)) act();
  });

  function make(windows: WindowTable): BackendUnderTest {
    const loop = new EventLoop();
    const host = new HostUdp();
    const fd = boundSocket("udp");
    const forwarded = portOf(fd);
    let carriedBefore = 0;
    const inner = new SocketBackend({
      loop,
      windows,
      link: LINK,
      forwards: [{ protocol: "udp", fd, family: 4, targetPort: GUEST_PORT }],
      random: () => 0.5,
      startSeconds: 0,
      clock: () => 0,
      warn: () => {},
    });
    cleanup.push(() => {
      inner.close();
      loop.close();
      host[Symbol.dispose]();
    });
    return {
      backend: new TurnedBackend(inner, windows, loop),
      // No datagram is shorter than its headers; a frame of fewer bytes is one without payload.
      frame: (lengthBytes, seed) =>
        frameToGuest(host.port, pattern(Math.max(0, lengthBytes - UDP4_HEADER_BYTES), 1000 * seed)),
      arrive: (frame) => host.send(frame.subarray(UDP4_HEADER_BYTES), LOOPBACK4, forwarded),
      carried: () => {
        const sent = inner.engines?.udp.counters[UdpCounter.datagramsToHost] ?? 0;
        const taken = sent - carriedBefore;
        carriedBefore = sent;
        const frames: Uint8Array[] = [];
        for (let tries = 0; frames.length < taken && tries < 1000; tries++) {
          const datagram = host.receive();
          if (datagram !== null) frames.push(frameToGuest(host.port, datagram.bytes));
          else loop.wait(1);
        }
        return frames;
      },
    };
  }

  // A datagram in a socket is no received frame yet: discard, tested with the back-end, takes what waits for room.
  const applies = backendContract.filter(({ name }) => !name.startsWith("discard takes"));
  for (const { name, run } of applies) test(name, () => run(make));

  test("all rules but one apply", () => expect(applies.length).toBe(backendContract.length - 1));
});
