import { type FeatureOptions, OPTIONAL_FEATURES } from "@passt-ts/vhost-user-device/features";
import { featureMask, VirtioFeature } from "@passt-ts/vhost-user-proto/features";
import { UsageError } from "./usage-error.ts";

/** The features that spare work on either side, by the names that --offload takes: virtio's own, in lower case. */
const OFFLOADS = {
  csum: VirtioFeature.CSUM as number,
  "host-tso4": VirtioFeature.HOST_TSO4 as number,
  "host-tso6": VirtioFeature.HOST_TSO6 as number,
  "host-uso": VirtioFeature.HOST_USO as number,
  "guest-csum": VirtioFeature.GUEST_CSUM as number,
  "guest-tso4": VirtioFeature.GUEST_TSO4 as number,
  "guest-tso6": VirtioFeature.GUEST_TSO6 as number,
  "event-idx": VirtioFeature.EVENT_IDX as number,
  "indirect-desc": VirtioFeature.INDIRECT_DESC as number,
};

export type Offload = keyof typeof OFFLOADS;

/** Every offload. */
export const ALL_OFFLOADS: readonly Offload[] = Object.keys(OFFLOADS) as Offload[];

/** Reads the argument of --offload: names separated by commas, `all` or `none`. @throws UsageError */
export function parseOffloads(text: string | undefined): readonly Offload[] {
  if (text === undefined || text === "all") return ALL_OFFLOADS;
  if (text === "none") return [];
  const names = text.split(",");
  const unknown = names.find((name) => !Object.hasOwn(OFFLOADS, name));
  if (unknown !== undefined) {
    throw new UsageError(`--offload: '${unknown}' is not all, none or one of ${ALL_OFFLOADS.join(", ")}`);
  }
  return ALL_OFFLOADS.filter((name) => names.includes(name));
}

/** What a device is to offer and to withhold so that the guest's driver finds these offloads and no others. */
export function offloadFeatures(offloads: readonly Offload[]): FeatureOptions {
  const bitsOf = (names: readonly Offload[]): bigint => featureMask(...names.map((name) => OFFLOADS[name]));
  const wanted = bitsOf(offloads);
  return { offer: wanted & OPTIONAL_FEATURES, withhold: bitsOf(ALL_OFFLOADS) & ~wanted };
}
