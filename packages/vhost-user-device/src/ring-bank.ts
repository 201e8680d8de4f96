import type { OwnedFd } from "@passt-ts/linux/owned-fd";
import { VhostUserError } from "@passt-ts/vhost-user-proto/error";
import type { VringAddress } from "@passt-ts/vhost-user-proto/payload";
import type { DeviceQueue } from "@passt-ts/virtio-ring/device-queue";
import { packedFormat } from "@passt-ts/virtio-ring/ring-format";
import type { BackEndChannel } from "./back-end-channel.ts";
import { BrokenQueue, reportBroken } from "./broken-queue.ts";
import { negotiate } from "./features.ts";
import type { Log } from "./log.ts";
import { packedBase } from "./packed-base.ts";
import type { QueuePair } from "./queue-pair.ts";
import { RepeatedLines } from "./repeated-lines.ts";
import { assembleQueue, LOG_RING, locateRing, type RingSurroundings } from "./ring-assembly.ts";
import { Vring, type VringContext } from "./vring.ts";

/** Virtqueues of one pair (virtio 1.3, 5.1.2). */
const RX_RING = 0;
const TX_RING = 1;

/** Rings that are served: one pair. */
export const RINGS_SERVED = 2;

/**
 * Rings that a front-end may set up. It is told of two queues, which QEMU counts in pairs and User-Mode Linux one by
 * one: so QEMU sets up a second pair, that no driver ever uses as VIRTIO_NET_F_MQ is not offered.
 */
const RINGS = 4;

/** What a bank works with; all of it outlives the bank. */
export interface RingBankContext extends VringContext {
  readonly pair: QueuePair;
  /** Indices: DeviceCounter. */
  readonly counters: Float64Array;
  readonly log: Log;
}

/** The rings of one front-end: one method for each thing that it can ask of a ring. */
export class RingBank {
  readonly served: readonly Vring[];
  /** The guest's driver is a new one: the back-end is to be reset. The owner clears it. */
  driverChanged = false;
  readonly #context: RingBankContext;
  readonly #rings: readonly Vring[];
  readonly #lines: RepeatedLines;
  #surroundings: RingSurroundings = { map: null, negotiated: negotiate(0n), dirtyLog: null, inflight: null };

  constructor(context: RingBankContext) {
    this.#context = context;
    this.#lines = new RepeatedLines(context.log);
    this.#rings = Array.from({ length: RINGS }, (_, index) => new Vring(index, context));
    this.served = this.#rings.slice(0, RINGS_SERVED);
  }

  /** @throws VhostUserError BAD_INDEX */
  ring(index: number): Vring {
    const ring = this.#rings[index];
    if (ring === undefined) throw new VhostUserError("BAD_INDEX", `no ring ${index}`);
    return ring;
  }

  /** The same for a request whose descriptor has been taken: it is closed when there is no such ring. */
  #ringFor(index: number, fd: OwnedFd | null): Vring {
    try {
      return this.ring(index);
    } catch (error) {
      fd?.close();
      throw error;
    }
  }

  /**
   * Makes the queues of started rings again, for features, memory, log or in-flight buffer that are other ones now.
   * They go on where they are, or stop where they cannot.
   *
   * @param heals the driver may be another one: a broken ring gets another chance, else it stays broken.
   */
  surroundWith(surroundings: RingSurroundings, heals: boolean): void {
    this.#publish();
    this.#surroundings = surroundings;
    const { format } = surroundings.negotiated;
    for (const ring of this.#rings) {
      const { queue } = ring;
      try {
        if (queue !== null && ring.format !== format) {
          throw new VhostUserError("BAD_STATE", `ring ${ring.index}: its format changed`);
        }
        if (queue !== null) {
          const next = assembleQueue(ring, surroundings, queue.nextAvailable, false);
          const reason = heals ? 0 : queue.brokenReason || this.#context.pair.faultOf(ring.index);
          ring.replaceQueue(reason === 0 ? next : new BrokenQueue(next, reason));
        }
      } catch (error) {
        if (!(error instanceof VhostUserError)) throw error;
        this.#lines.write("stopped rings", "warning", `ring ${ring.index} stopped: ${error.message}`);
        ring.stop();
      }
      // A base of another format means nothing.
      if (ring.format !== format) ring.setBase(null);
      ring.format = format;
    }
    this.#bind();
  }

  /** Leaves nothing unpublished: only then the two halves of a packed ring's base agree, which a stop answers. */
  #publish(): void {
    this.#context.pair.notify();
  }

  /** Sets the number of descriptors, which stops the ring. @throws VhostUserError BAD_INDEX, BAD_VALUE */
  setSize(index: number, size: number): void {
    this.#publish();
    this.ring(index).setSize(size);
    this.#bind();
  }

  /**
   * Sets where a ring lies; one that is started goes on there. No order is prescribed: before size and memory are known
   * the addresses are only kept, and checked by the start.
   *
   * @throws VhostUserError BAD_INDEX, BAD_RING
   */
  setAddress(address: VringAddress): void {
    const ring = this.ring(address.index);
    const { index, size, queue } = ring;
    const moved = { index, size, address };
    if (queue !== null) ring.replaceQueue(assembleQueue(moved, this.#surroundings, queue.nextAvailable, false));
    else if (this.#surroundings.map !== null && size > 0) locateRing(moved, this.#surroundings);
    ring.address = address;
    this.#bind();
  }

  /**
   * Sets where the next start begins, which stops a ring that is started: User-Mode Linux does not stop it itself.
   *
   * @throws VhostUserError BAD_INDEX, BAD_VALUE
   */
  setBase(index: number, base: number): void {
    const ring = this.ring(index);
    // Whether a position lies in a packed ring is for the start to check, which knows the size.
    if (ring.format.name === "split" && base > 0xffff) {
      throw new VhostUserError("BAD_VALUE", `ring ${index}: base ${base}`);
    }
    ring.stop();
    ring.setBase(base);
    this.#bind();
  }

  /** Stops a ring and closes its kick fd. Returns where a start would go on. @throws VhostUserError BAD_INDEX */
  stop(index: number): number {
    const ring = this.ring(index);
    this.#publish();
    const base = ring.stop();
    ring.dropKick();
    this.#bind();
    return base;
  }

  /**
   * Sets the kick fd, or polling, and starts the ring if it is stopped: without waiting for the first kick, as a driver
   * that was there before its front-end reconnected does not kick again. The fd is owned here, and closed at a throw.
   *
   * @throws VhostUserError BAD_INDEX, BAD_STATE, BAD_RING, BAD_FDS
   */
  setKick(index: number, fd: OwnedFd | null): void {
    const ring = this.#ringFor(index, fd);
    let queue = ring.queue;
    try {
      if (this.#isServed(ring)) queue ??= this.#assemble(ring);
    } catch (error) {
      fd?.close();
      throw error;
    }
    ring.setKick(fd);
    if (queue === null || ring.queue !== null) return;
    if (fd === null) this.#lines.write("polled rings", "info", `ring ${index} is polled: the driver gives no kick fd`);
    this.#start(ring, queue);
  }

  #assemble(ring: Vring): DeviceQueue {
    const base = ring.format === packedFormat ? packedBase(ring.base, ring.size) : ring.base;
    return assembleQueue(ring, this.#surroundings, base, !ring.startedBefore, (position) =>
      this.#lines.write(
        "guessed rings",
        "warning",
        `ring ${ring.index} goes on at ${position}, as far as can be told: its last back-end ended within a publication, or left no trace`,
      ),
    );
  }

  #isServed(ring: Vring): boolean {
    return ring.index < RINGS_SERVED;
  }

  #start(ring: Vring, queue: DeviceQueue): void {
    // The lower half of both is where the next chain will be taken from, in either format.
    const told = ring.base & 0xffff;
    const { startedBefore } = ring;
    ring.start(queue);
    // Whoever served it before may have published without calling, and a driver with EVENT_IDX waits for that call; one
    // too many does no harm.
    if (!startedBefore) ring.call();
    const at = queue.nextAvailable & 0xffff;
    const text = `ring ${ring.index} goes on at ${at}, where it was left, not at ${told}`;
    if (at !== told) this.#lines.write("resumed rings", "info", text);
    if (this.served.every((each) => each.restarted)) {
      for (const each of this.served) each.restarted = false;
      this.driverChanged = true;
    }
    this.#bind();
  }

  /** A kick by message: the ring is looked at, and started if it is stopped. @throws VhostUserError as for setKick. */
  kick(index: number): void {
    const ring = this.ring(index);
    if (!this.#isServed(ring)) return;
    if (ring.queue === null) this.#start(ring, this.#assemble(ring));
    ring.kicked = true;
    ring.kicks++;
  }

  /** Sets the call fd; null: the driver polls. The fd is owned here, and closed at a throw. @throws VhostUserError */
  setCall(index: number, fd: OwnedFd | null): void {
    const ring = this.#ringFor(index, fd);
    ring.setCall(fd);
    // A notification may have gone to the descriptor before this one; one too many does no harm.
    if (ring.queue !== null) ring.call();
  }

  /** Sets the error fd, or none. The fd is owned here, and closed at a throw. @throws VhostUserError BAD_INDEX */
  setError(index: number, fd: OwnedFd | null): void {
    this.#ringFor(index, fd).setError(fd);
  }

  /** Sets what notifications by message go through; null: nothing. */
  setChannel(channel: BackEndChannel | null): void {
    for (const ring of this.served) ring.channel = channel;
  }

  /** Enables (1) or disables (0) a ring, started or not. @throws VhostUserError BAD_INDEX, BAD_VALUE */
  enable(index: number, value: number): void {
    if (value > 1) throw new VhostUserError("BAD_VALUE", `ring ${index}: enable ${value}`);
    this.ring(index).setEnabled(value === 1);
    this.#bind();
  }

  /** Enables or disables all rings. */
  enableAll(enabled: boolean): void {
    for (const ring of this.#rings) ring.setEnabled(enabled);
    this.#bind();
  }

  /** Stops all rings. They know where they were: QEMU resets the device status first and then asks for that. */
  stopAll(): void {
    this.#publish();
    for (const ring of this.#rings) ring.stop();
    this.#bind();
  }

  /** Stops all rings and forgets what was said about them; calls and errors are still told of. */
  forgetAll(): void {
    this.stopAll();
    for (const ring of this.#rings) ring.forget();
  }

  /** Some ring that is served is broken. */
  get anyBroken(): boolean {
    return this.served.some(({ index }) => this.#context.pair.faultOf(index) !== 0);
  }

  /** Reports queues that broke since the last call: once each, in the log and on the error fd. */
  reportBroken(): void {
    const { pair, counters } = this.#context;
    for (let i = 0; i < RINGS_SERVED; i++) reportBroken(this.served[i], pair.faultOf(i), counters, this.#lines);
  }

  /** Descriptors held. */
  get fdCount(): number {
    return this.#rings.reduce((sum, ring) => sum + ring.fdCount, 0);
  }

  /** Stops the rings and gives everything back. */
  close(): void {
    // What was published is called for as long as there is something to call with.
    this.#context.pair.bind(null, null, negotiate(0n));
    for (const ring of this.#rings) ring.close();
    this.#lines.close();
  }

  #bind(): void {
    const { negotiated, dirtyLog } = this.#surroundings;
    // What must be logged is not written as long as there is no log: QEMU starts rings first when it migrates already. A
    // front-end that acknowledges every bit it finds does not mean it, and asks no ring to be logged.
    const waits = negotiated.logged && dirtyLog === null && this.served.some(asksForLog);
    this.#context.pair.bind(waits ? null : this.served[RX_RING], waits ? null : this.served[TX_RING], negotiated);
  }
}

function asksForLog({ address }: Vring): boolean {
  return address !== null && (address.flags & LOG_RING) !== 0;
}
