import type { FrameBatch } from "./frame-batch.ts";
import type { RxSink } from "./rx-sink.ts";

/** What a back-end can do for a device beyond carrying plain frames; a bit set. */
export const Capability = {
  /** Takes frames whose checksum is partial (VIRTIO_NET_F_CSUM). */
  takesPartialChecksum: 1,
  /** Takes TCP frames longer than the MTU with a gso_size (VIRTIO_NET_F_HOST_TSO4, _TSO6). */
  takesTso4: 2,
  takesTso6: 4,
  /** Takes UDP frames longer than the MTU with a gso_size (VIRTIO_NET_F_HOST_USO). */
  takesUso: 8,
  /** Can give frames whose checksum is partial (VIRTIO_NET_F_GUEST_CSUM). */
  givesPartialChecksum: 16,
  /** Can give TCP frames with a gso_size (VIRTIO_NET_F_GUEST_TSO4, _TSO6). */
  givesTso4: 32,
  givesTso6: 64,
  /** Can give UDP frames with a gso_size (VIRTIO_NET_F_GUEST_USO4, _USO6). */
  givesUso: 128,
} as const;

/** Lengths that a virtio-net header may have in front of a frame, in bytes: none, legacy, with num_buffers. */
export type NetHeaderLength = 0 | 10 | 12;

/**
 * All that a network device sees of what carries its frames.
 *
 * One thread drives it: `send` for what the guest sent, `turn` for everything else. Neither blocks or throws.
 */
export interface NetBackend {
  /** The capabilities it could offer, a bit set of {@link Capability}. */
  readonly capabilities: number;

  /**
   * Says what was negotiated with the driver and how long the virtio-net header in front of its frames is.
   *
   * Returns 0, or -1 when it cannot work so; the device then goes on without these capabilities.
   */
  setCapabilities(capabilities: number, headerLength: NetHeaderLength): number;

  /** Gives the way to the guest. The sink stays the same while the back-end lives; its readiness changes. */
  attach(sink: RxSink): void;

  /**
   * What carries the frames takes no more now, and copies of some wait here: a device leaves what the guest sends in
   * its ring while this is true. What is sent all the same may be dropped, whole frames of it, and counted. It becomes
   * false in a {@link NetBackend.turn}, which then wants the next round at once. Left out by a back-end that is never full.
   */
  readonly full?: boolean;

  /**
   * Carries the first `count` frames of `frames`, all popped in one turn. When it returns, every buffer of the batch
   * is free again: what could not be carried is copied, or dropped and counted.
   *
   * @param nowMs monotonic time.
   */
  send(frames: FrameBatch, count: number, nowMs: number): void;

  /**
   * Does what else is due: host to guest traffic, timers. Called once in each round of the loop; does a bounded
   * amount of work. Returns true when it stopped at that bound and wants the next round at once.
   */
  turn(nowMs: number): boolean;

  /** When {@link NetBackend.turn} must be called at the latest though nothing happened, or Infinity. */
  readonly deadlineMs: number;

  /** The driver or its guest is a new one: connections of the old one are reset and what was learnt is forgotten. */
  reset(nowMs: number): void;

  /** Discards one received frame that waits; its length, 0 when none waits. */
  discard(): number;

  /** Closes everything it opened. */
  close(): void;
}
