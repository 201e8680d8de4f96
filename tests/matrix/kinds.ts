// What a queue and its driver can be: every combination, and those that no driver and device can agree on.

import { featureMask, VirtioFeature } from "@passt-ts/vhost-user-proto/features";

export interface Kind {
  readonly packed: boolean;
  readonly indirect: boolean;
  readonly eventIndex: boolean;
  readonly mergeable: boolean;
  /** Without VERSION_1: a header of 10 bytes, of 12 with mergeable buffers. */
  readonly legacy: boolean;
  readonly inOrder: boolean;
}

const CHOICES: readonly boolean[] = [false, true];

/** All 64 combinations. */
export const kinds: readonly Kind[] = CHOICES.flatMap((packed) =>
  CHOICES.flatMap((indirect) =>
    CHOICES.flatMap((eventIndex) =>
      CHOICES.flatMap((mergeable) =>
        CHOICES.flatMap((legacy) =>
          CHOICES.map((inOrder) => ({ packed, indirect, eventIndex, mergeable, legacy, inOrder })),
        ),
      ),
    ),
  ),
);

/** Combinations that cannot be, and why. */
export const invalidKinds: readonly { readonly when: (kind: Kind) => boolean; readonly why: string }[] = [
  {
    when: ({ legacy, packed }) => legacy && packed,
    why: "RING_PACKED is bit 34, and a legacy interface has the feature bits 0 to 31 only (virtio 1.3, 2.2.3 and 6)",
  },
  {
    when: ({ legacy, inOrder }) => legacy && inOrder,
    why: "IN_ORDER is bit 35, and a legacy interface has the feature bits 0 to 31 only (virtio 1.3, 2.2.3 and 6)",
  },
];

/** Why there is no such combination; none: it is valid. */
export function whyInvalid(kind: Kind): string[] {
  return invalidKinds.filter(({ when }) => when(kind)).map(({ why }) => why);
}

export const validKinds: readonly Kind[] = kinds.filter((kind) => whyInvalid(kind).length === 0);

/** For the name of a test. */
export function kindText(kind: Kind): string {
  return [
    kind.packed ? "packed" : "split",
    kind.indirect ? "indirect" : "direct",
    kind.eventIndex ? "event index" : "flags",
    kind.mergeable ? "mergeable" : "whole buffers",
    kind.legacy ? "legacy" : "modern",
    ...(kind.inOrder ? ["in order"] : []),
  ].join(", ");
}

const F = VirtioFeature;

/** Checksums left open and segments to be cut by the other side. */
const OFFLOAD_FEATURES = featureMask(F.CSUM, F.HOST_TSO4, F.HOST_TSO6, F.GUEST_CSUM, F.GUEST_TSO4, F.GUEST_TSO6);

/** The same for datagrams: bits that a legacy interface does not have. */
const USO_FEATURES = featureMask(F.HOST_USO, F.GUEST_USO4, F.GUEST_USO6);

/** What a driver of this kind acknowledges. */
export function featuresOf(kind: Kind, offloads: boolean): bigint {
  // A legacy driver lays its frames out as it likes only with ANY_LAYOUT.
  const bits: number[] = [F.PROTOCOL_FEATURES, kind.legacy ? F.ANY_LAYOUT : F.VERSION_1];
  if (kind.packed) bits.push(F.RING_PACKED);
  if (kind.indirect) bits.push(F.INDIRECT_DESC);
  if (kind.eventIndex) bits.push(F.EVENT_IDX);
  if (kind.mergeable) bits.push(F.MRG_RXBUF);
  if (kind.inOrder) bits.push(F.IN_ORDER);
  if (!offloads) return featureMask(...bits);
  return featureMask(...bits) | OFFLOAD_FEATURES | (kind.legacy ? 0n : USO_FEATURES);
}
