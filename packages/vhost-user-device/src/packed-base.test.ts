import { expect, test } from "bun:test";
import { featureMask, VirtioFeature } from "@passt-ts/vhost-user-proto/features";
import { packedBase } from "./packed-base.ts";
import { DeviceRig } from "./testing/device-rig.ts";

test("where chains were held a packed ring goes on at its used position, if the halves can belong together", () => {
  const cases: [base: number, start: number][] = [
    [0x8000_8000, 0x8000_8000],
    [0x0007_0007, 0x0007_0007],
    [0x8003_8009, 0x8003_8003],
    [0x0003_0009, 0x0003_0003],
    // Over the end of the ring, in either lap.
    [0x8009_0002, 0x8009_8009],
    [0x0009_8002, 0x0009_0009],
    // All of the ring.
    [0x8004_0004, 0x8004_8004],
    // The used position ahead, or more than a ring behind.
    [0x8009_8003, 0x8009_8003],
    [0x8002_0003, 0x8002_0003],
    // Sixteen bits at the beginning of a new ring.
    [0x0000_8000, 0x0000_8000],
    // No position of this ring.
    [0x8010_8003, 0x8010_8003],
    [0x8003_8010, 0x8003_8010],
  ];
  for (const [base, start] of cases) expect([base, packedBase(base, 10)]).toEqual([base, start]);
});

test("the chains that a back-end held before a migration are taken again", () => {
  const features = featureMask(VirtioFeature.VERSION_1, VirtioFeature.PROTOCOL_FEATURES, VirtioFeature.RING_PACKED);
  using rig = new DeviceRig({ features: { offer: features & featureMask(VirtioFeature.RING_PACKED) } });
  using guest = rig.frontEnd().boot({ features });
  expect(guest.stopRing(guest.tx)).toBe(0x8000_8000);
  guest.resumeRing(guest.tx, 0x8002_8005);
  expect(guest.stopRing(guest.tx)).toBe(0x8002_8002);
});
