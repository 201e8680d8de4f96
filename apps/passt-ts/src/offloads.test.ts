import { expect, test } from "bun:test";
import { Capability } from "@passt-ts/net-backend/backend";
import { offeredFeatures } from "@passt-ts/vhost-user-device/features";
import { featureMask, featureNames, VirtioFeature } from "@passt-ts/vhost-user-proto/features";
import { ALL_OFFLOADS, offloadFeatures, parseOffloads } from "./offloads.ts";

const everyCapability = Object.values(Capability).reduce((bits, bit) => bits | bit, 0);
const offered = (text: string): string[] =>
  featureNames(offeredFeatures(everyCapability, 0n, offloadFeatures(parseOffloads(text))), VirtioFeature);

test("by default every offload is offered, and none when none is asked for", () => {
  expect(parseOffloads(undefined)).toEqual(ALL_OFFLOADS);
  expect(parseOffloads("all")).toEqual(ALL_OFFLOADS);
  expect(parseOffloads("none")).toEqual([]);
  const without = offered("none");
  for (const name of [
    "CSUM",
    "GUEST_CSUM",
    "HOST_TSO4",
    "GUEST_TSO6",
    "HOST_USO",
    "GUEST_USO6",
    "EVENT_IDX",
    "INDIRECT_DESC",
  ]) {
    expect(offered("all")).toContain(name);
    expect(without).not.toContain(name);
  }
});

test("each offload can be asked for alone, with what it needs", () => {
  expect(offered("event-idx")).toContain("EVENT_IDX");
  expect(offered("event-idx")).not.toContain("INDIRECT_DESC");
  expect(offered("csum,host-tso4")).toEqual(expect.arrayContaining(["CSUM", "HOST_TSO4"]));
  expect(offered("guest-csum,guest-uso")).toEqual(expect.arrayContaining(["GUEST_USO4", "GUEST_USO6"]));
  expect(offered("guest-csum")).not.toContain("GUEST_USO4");
  // A driver could not use segmentation without checksums (virtio 1.3, 5.1.3.1): then it is not offered either.
  expect(offered("host-tso4")).not.toContain("HOST_TSO4");
});

test("an unknown name is refused with the list of those there are", () => {
  expect(() => parseOffloads("csum,lro")).toThrow("--offload: 'lro' is not all, none or one of csum, host-tso4");
  expect(() => parseOffloads("")).toThrow("--offload: '' is not");
});

test("what is offered and what is withheld do not overlap", () => {
  for (const name of ALL_OFFLOADS) {
    const { offer = 0n, withhold = 0n } = offloadFeatures([name]);
    expect(offer & withhold).toBe(0n);
    expect((offer | withhold) & featureMask(VirtioFeature.VERSION_1)).toBe(0n);
  }
});

test("packed rings and IN_ORDER are offered only by name, alone or beside all", () => {
  const names = (text: string): string[] => offered(text).filter((name) => ["RING_PACKED", "IN_ORDER"].includes(name));
  expect([names("all"), names("packed"), names("all,packed,in-order")]).toEqual([
    [],
    ["RING_PACKED"],
    ["RING_PACKED", "IN_ORDER"],
  ]);
  expect(offered("all,packed")).toEqual(expect.arrayContaining(["CSUM", "EVENT_IDX"]));
});
