import { type FeatureOptions, OPTIONAL_FEATURES } from "@passt-ts/vhost-user-device/features";
import { featureMask, VirtioFeature } from "@passt-ts/vhost-user-proto/features";
import { UsageError } from "./usage-error.ts";

/** The features that spare work on either side, by the names that --offload takes: virtio's own, in lower case. */
const OFFLOADS = {
  csum: featureMask(VirtioFeature.CSUM) as bigint,
  "host-tso4": featureMask(VirtioFeature.HOST_TSO4) as bigint,
  "host-tso6": featureMask(VirtioFeature.HOST_TSO6) as bigint,
  "host-uso": featureMask(VirtioFeature.HOST_USO) as bigint,
  "guest-csum": featureMask(VirtioFeature.GUEST_CSUM) as bigint,
  "guest-tso4": featureMask(VirtioFeature.GUEST_TSO4) as bigint,
  "guest-tso6": featureMask(VirtioFeature.GUEST_TSO6) as bigint,
  // Both or none: a driver that takes one of them only gets neither.
  "guest-uso": featureMask(VirtioFeature.GUEST_USO4, VirtioFeature.GUEST_USO6) as bigint,
  "event-idx": featureMask(VirtioFeature.EVENT_IDX) as bigint,
  "indirect-desc": featureMask(VirtioFeature.INDIRECT_DESC) as bigint,
  packed: featureMask(VirtioFeature.RING_PACKED) as bigint,
  "in-order": featureMask(VirtioFeature.IN_ORDER) as bigint,
};

export type Offload = keyof typeof OFFLOADS;

/**
 * No part of `all`: a driver takes these wherever it finds them, and few gain by them.
 */
export const NAMED_ONLY: readonly Offload[] = ["packed", "in-order"];

/** What --offload knows, all and none aside. */
export const OFFLOAD_NAMES: readonly Offload[] = Object.keys(OFFLOADS) as Offload[];

/** Every offload that is offered unless told otherwise. */
export const ALL_OFFLOADS: readonly Offload[] = OFFLOAD_NAMES.filter((name) => !NAMED_ONLY.includes(name));

/** Reads the argument of --offload: names separated by commas, `all` among them, or `none`. @throws UsageError */
export function parseOffloads(text: string | undefined): readonly Offload[] {
  if (text === undefined) return ALL_OFFLOADS;
  if (text === "none") return [];
  const names = text.split(",").flatMap((name): readonly string[] => (name === "all" ? ALL_OFFLOADS : [name]));
  const unknown = names.find((name) => !Object.hasOwn(OFFLOADS, name));
  if (unknown !== undefined) {
    throw new UsageError(`--offload: '${unknown}' is not all, none or one of ${OFFLOAD_NAMES.join(", ")}`);
  }
  return OFFLOAD_NAMES.filter((name) => names.includes(name));
}

/** What a device is to offer and to withhold so that the guest's driver finds these offloads and no others. */
export function offloadFeatures(offloads: readonly Offload[]): FeatureOptions {
  const bitsOf = (names: readonly Offload[]): bigint => names.reduce((bits, name) => bits | OFFLOADS[name], 0n);
  const wanted = bitsOf(offloads);
  return { offer: wanted & OPTIONAL_FEATURES, withhold: bitsOf(ALL_OFFLOADS) & ~wanted };
}
