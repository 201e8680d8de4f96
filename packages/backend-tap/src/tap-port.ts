/**
 * All that the back-end sees of a tap: what `TapDevice` of @passt-ts/linux is. A read of its descriptor takes one frame,
 * a write gives one, neither waits.
 */
export interface TapPort {
  readonly fd: number;
  readonly name: string;
  /** A virtio-net header stands in front of each frame, 10 bytes long unless set otherwise. */
  readonly hasHeader: boolean;
  /** 0 or -errno. */
  setHeaderLength(lengthBytes: number): number;
  /** Says what frames we take, bits of `TapOffload`; none at first. 0 or -errno. */
  setOffload(bits: number): number;
  close(): void;
}
