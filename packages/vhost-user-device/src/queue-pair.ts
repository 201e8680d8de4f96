/**
 * The data plane of one pair of rings. The guest writes the rings; whatever it writes costs its own queue. Nothing here
 * allocates or throws for a frame.
 */
import type { WindowTable } from "@passt-ts/iov/windows";
import type { NetBackend } from "@passt-ts/net-backend/backend";
import { FrameBatch } from "@passt-ts/net-backend/frame-batch";
import { NET_COUNTERS, NetCounter } from "@passt-ts/virtio-net/net-counter";
import { RxQueue } from "@passt-ts/virtio-net/rx-queue";
import { TxQueue } from "@passt-ts/virtio-net/tx-queue";
import type { DeviceQueue } from "@passt-ts/virtio-ring/device-queue";
import { CallDelay } from "./call-delay.ts";
import { CallRepeat } from "./call-repeat.ts";
import { CallTrial } from "./call-trial.ts";
import { DeviceCounter } from "./device-counter.ts";
import type { Negotiated } from "./features.ts";
import type { Vring } from "./vring.ts";

/** Batches taken from the transmit ring in one turn, before host to guest traffic gets its share. */
const BATCHES_PER_TURN = 4;

/** The most descriptors that a chain needs entries for, whatever the batch holds (virtio 1.3, 2.7). */
const CHAIN_ENTRIES_MAX = 32768;

/** Entries that buffers across window edges cost on top. */
const EDGE_ENTRIES = 1024;

/** Sizes of a {@link QueuePair}. */
export interface QueuePairOptions {
  /** Frames that the back-end gets at once. */
  readonly batchFrames: number;
  readonly counters: Float64Array;
}

/** A receive and a transmit ring with the queues behind them; the queues live as long as the device. */
export class QueuePair {
  readonly rx: RxQueue;
  readonly tx: TxQueue;
  /** Indices: `NetCounter` of virtio-net, both directions. */
  readonly netCounters: Float64Array = new Float64Array(NET_COUNTERS);
  readonly #frames: FrameBatch;
  readonly #counters: Float64Array;
  /** The owner polls: {@link QueuePair.transmit} leaves kicks suppressed, until {@link QueuePair.allowKicks}. */
  leavesKicksSuppressed = false;
  /** The queue that was left so. */
  #suppressed: DeviceQueue | null = null;
  readonly #delay: CallDelay = new CallDelay();
  readonly #trial: CallTrial = new CallTrial();
  readonly #rxRepeat: CallRepeat = new CallRepeat();
  readonly #txRepeat: CallRepeat = new CallRepeat();
  #rxRing: Vring | null = null;
  #txRing: Vring | null = null;

  constructor(windows: WindowTable, options: QueuePairOptions) {
    this.rx = new RxQueue(windows, { counters: this.netCounters });
    this.tx = new TxQueue(options.batchFrames, this.netCounters);
    this.#frames = new FrameBatch(windows, options.batchFrames, CHAIN_ENTRIES_MAX + EDGE_ENTRIES);
    this.#counters = options.counters;
  }

  /** Points the queues at what the rings hold now; to be called when a ring starts, stops, or is switched. */
  bind(rxRing: Vring | null, txRing: Vring | null, negotiated: Negotiated): void {
    const { headerLength, mergeable, capabilities } = negotiated;
    // The next queue over this ring knows nothing of it. The old one's memory is still mapped. Frames may have come since
    // the last turn: their driver waits for the call, and the next queue would never make it (EVENT_IDX).
    this.allowKicks();
    this.notify();
    this.#trial.bind();
    this.#rxRepeat.bind();
    this.#txRepeat.bind();
    this.#rxRing = rxRing;
    this.#txRing = txRing;
    // Without event indexes a driver cannot take its wish back.
    this.#delay.bind(negotiated.eventIndex ? (txRing?.size ?? 0) >>> 2 : 0);
    // A disabled receive ring gets no frames; a disabled transmit ring is emptied without effect.
    const rxQueue = rxRing?.enabled === true ? rxRing.queue : null;
    this.rx.bind(rxQueue, headerLength, mergeable, capabilities);
    this.tx.bind(txRing?.queue ?? null, headerLength, capabilities);
  }

  /** Why the ring of this index is broken, a `RingFault` or `NetFault`; 0: it is not, or none of the pair. */
  faultOf(ringIndex: number): number {
    if (ringIndex === this.#rxRing?.index) return this.rx.brokenReason;
    return ringIndex === this.#txRing?.index ? this.tx.brokenReason : 0;
  }

  /** A ring is to be looked at again soon: its driver gives no kicks, or somebody could not be told of something. */
  get polled(): boolean {
    return isPolled(this.#rxRing) || isPolled(this.#txRing);
  }

  /** When {@link QueuePair.notify} is due though nothing happened, or Infinity. */
  get callDueMs(): number {
    return Math.min(this.#delay.dueMs, this.#rxRepeat.dueMs, this.#txRepeat.dueMs);
  }

  /** Carries what the guest sent. Returns true when more waits. */
  transmit(backend: NetBackend, nowMs: number): boolean {
    const ring = this.#txRing;
    const queue = ring?.queue ?? null;
    if (ring === null || queue === null || !(ring.kicked || ring.polled)) return false;
    ring.kicked = false;
    queue.suppressKicks();
    this.#suppressed = null;
    for (let batch = 0; batch < BATCHES_PER_TURN; batch++) {
      // The turn in which the back-end can take more wants the next one; what was not taken stays in the ring.
      if (ring.enabled && backend.full === true) {
        ring.kicked = true;
        return false;
      }
      const bytesBefore = this.netCounters[NetCounter.txBytes];
      const count = this.tx.popBatch(this.#frames);
      if (count > 0 && ring.enabled) backend.send(this.#frames, count, nowMs);
      else this.#counters[DeviceCounter.txDrained] += count;
      const chains = this.tx.complete();
      if (chains === 0) return this.#sleep(ring);
      this.#delay.add(chains, this.netCounters[NetCounter.txBytes] - bytesBefore, nowMs);
      this.#counters[DeviceCounter.txBatches]++;
    }
    if (queue.pending() === 0) return this.#sleep(ring);
    ring.kicked = true;
    return true;
  }

  /** Lets the driver kick again, unless more came in the meantime; so no chain is ever waited for in vain. */
  #sleep(ring: Vring): boolean {
    if (ring.polled || ring.queue === null) return false;
    if (this.leavesKicksSuppressed) {
      this.#suppressed = ring.queue;
      return this.look();
    }
    if (!ring.queue.allowKicks()) return false;
    ring.kicked = true;
    return true;
  }

  /** Looks whether a ring whose kicks were left suppressed has more for {@link QueuePair.transmit}. */
  look(): boolean {
    if (this.#suppressed === null || this.#suppressed.pending() === 0 || this.#txRing === null) return false;
    this.#txRing.kicked = true;
    return true;
  }

  /** Lets a driver kick again whose kicks were left suppressed; true when it has sent more in the meantime. */
  allowKicks(): boolean {
    const queue = this.#suppressed;
    this.#suppressed = null;
    if (queue === null || !queue.allowKicks() || this.#txRing === null) return false;
    this.#txRing.kicked = true;
    return true;
  }

  /**
   * Shows the driver what it received, and calls each ring at most once: at once for frames that somebody waits for, a moment
   * later for the rest, as {@link CallDelay} and {@link CallTrial} say, and once more when {@link CallRepeat} says so. Without a
   * time all is due.
   */
  notify(nowMs: number = Infinity): void {
    const isShown = this.rx.publish();
    const rx = this.#rxRing;
    const tx = this.#txRing;
    const isDue = nowMs >= this.#delay.dueMs;
    // What a driver wants that has not heard its call says nothing about what it waits for.
    const isDeaf = isDue && (isUnheard(this.#rxRepeat, this.rx) || isUnheard(this.#txRepeat, this.tx));
    const { isUrgent } = this.rx;
    if (isUrgent) this.#trial.answered(nowMs);
    const couldWait = !isUrgent && !isDue && this.#delay.dueMs !== Infinity;
    if (couldWait && isShown) this.#trial.noteChoice();
    const waits = couldWait && !this.#trial.isAtOnce;
    const isRxWanted = !waits && this.rx.needsNotification();
    const isTxWanted = isDue && this.tx.needsNotification();
    if (rx !== null && this.#call(rx, this.rx, this.#rxRepeat, isRxWanted, isUrgent, nowMs)) {
      this.#counters[DeviceCounter.callsRx]++;
    }
    // A driver that wants no call looks at everything soon: it is awake or was called a moment ago. A call that got lost is
    // made once more.
    if (isUrgent) this.#delay.answered(nowMs);
    if (tx !== null && this.#call(tx, this.tx, this.#txRepeat, isTxWanted, false, nowMs)) {
      this.#counters[DeviceCounter.callsTx]++;
    }
    if (isDue) this.#delay.asked(!isDeaf && (isRxWanted || isTxWanted), nowMs);
  }

  /** Calls a ring when that is wanted, or once more. Returns whether it was called because that was wanted. */
  #call(
    ring: Vring,
    queue: RxQueue | TxQueue,
    repeat: CallRepeat,
    isWanted: boolean,
    hasNews: boolean,
    nowMs: number,
  ): boolean {
    if (isWanted || ring.callDue) {
      const isCalled = ring.call();
      repeat.called(isCalled && queue.isNotificationUnheard() ? nowMs : Infinity);
      return isCalled;
    }
    const isAgain = repeat.isPending && repeat.isDue(queue.isNotificationUnheard(), hasNews, nowMs);
    if (isAgain && ring.call()) this.#counters[DeviceCounter.callsRepeated]++;
    return false;
  }
}

function isUnheard(repeat: CallRepeat, queue: RxQueue | TxQueue): boolean {
  return repeat.isPending && queue.isNotificationUnheard();
}

function isPolled(ring: Vring | null): boolean {
  return ring !== null && (ring.callDue || ring.errorDue || (ring.polled && ring.queue !== null));
}
