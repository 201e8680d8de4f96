import type { OwnedFd } from "@passt-ts/linux/owned-fd";
import type { Random } from "./random.ts";

/** The device's side of a round. */
export interface RoundContext {
  readonly random: Random;
  /** The corpus's frame of that name, a copy. */
  readonly frame: (name: string) => Uint8Array;
  readonly anyFrame: () => Uint8Array;
  /** Has the device take a new connection; the front-end's end of it. */
  readonly adopt: () => OwnedFd;
  /** Has the device do all there is to do. */
  readonly pump: () => void;
  readonly passTime: (ms: number) => void;
  /** Room for the memory of a guest as it was. */
  readonly memoryBefore: Uint8Array;
  /** Says that a frame is the answer to the corpus's ARP request. */
  readonly isArpReply: (bytes: Uint8Array) => boolean;
}
