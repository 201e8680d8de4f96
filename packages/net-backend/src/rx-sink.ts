import type { FrameBatch } from "./frame-batch.ts";

/** Why {@link RxSink.reserve} gave no room. */
export const Refused = {
  /** The ring has no buffers left now; more may come ({@link RxSink.wantRoom}). */
  noRoom: -1,
  /** No buffer of this driver can hold a frame this long; waiting does not help, the frame is dropped and counted. */
  tooLong: -2,
  /** There is no ring now: stopped, disabled, broken, or no front-end. */
  notReady: -3,
} as const;

/**
 * All that a protocol engine sees of the way to the guest: reserve room for frames, fill it, commit the frames that
 * arrived, each with its own length, and give the tail back.
 *
 * Frames are reserved and committed in order. {@link RxSink.frames} holds the frames reserved and neither committed nor
 * given back; their indices are valid until then. A caller leaves none reserved when it returns. What was committed
 * reaches the guest at the end of the turn at the latest: the owner of the sink publishes and notifies once.
 */
export interface RxSink {
  /** Reserved frames: entries, and the offset at which the Ethernet frame begins in them. */
  readonly frames: FrameBatch;

  /** The driver takes frames whose checksum is partial (VIRTIO_NET_F_GUEST_CSUM negotiated). */
  readonly partialChecksum: boolean;

  /** The longest TCP frame, in bytes with all headers, that may be sent with a gso_size: 0 when it must not be (v4, v6). */
  readonly segmentationBytesMax4: number;
  readonly segmentationBytesMax6: number;

  /** The same for UDP frames (VIRTIO_NET_F_GUEST_USO4, _USO6); absent is 0. */
  readonly udpSegmentationBytesMax4?: number;
  readonly udpSegmentationBytesMax6?: number;

  /** Frames can be sent now: the ring is started and enabled. It may have no buffers all the same. */
  readonly ready: boolean;

  /**
   * Reserves room for one frame of at most `lengthBytes` bytes (Ethernet header included, virtio-net header and
   * padding not), and clears its offload columns.
   *
   * Returns the frame's index in {@link RxSink.frames}, or a number of {@link Refused}.
   */
  reserve(lengthBytes: number): number;

  /**
   * Says that reserved frame `index`, the oldest one, is complete and `lengthBytes` bytes long: pads it to 60 bytes,
   * writes the virtio-net header from the offload columns and hands its buffers to the ring, unpublished.
   *
   * `lengthBytes` is at most what was reserved; it may be less only in the newest frame reserved (give the tail back
   * first), whose surplus buffers return to the ring.
   */
  commit(index: number, lengthBytes: number): void;

  /** Returns the room of frame `index` and of all reserved after it; the exact undo of their reservations. */
  giveBack(index: number): void;

  /**
   * Says whether the owner of the engine waits for room. While it does, the driver is asked to kick when it adds
   * buffers, and the engine's next turn comes when it has. Returns true when there is room already.
   */
  wantRoom(wanted: boolean): boolean;
}
