import { expect, test } from "bun:test";
import { Capability } from "@passt-ts/net-backend/backend";
import { VirtioFeature as F, featureMask, hasFeature, ProtocolFeature } from "@passt-ts/vhost-user-proto/features";
import { packedFormat, splitFormat } from "@passt-ts/virtio-ring/ring-format";
import { negotiate, offeredFeatures, offeredProtocolFeatures } from "./features.ts";

const ALL_CAPABILITIES = Object.values(Capability).reduce((sum, bit) => sum | bit, 0);

test("every capability is a feature, and comes back when the driver takes it", () => {
  const features = offeredFeatures(ALL_CAPABILITIES, 0n, {});
  for (const bit of [F.CSUM, F.HOST_TSO4, F.HOST_TSO6, F.HOST_USO, F.GUEST_CSUM, F.GUEST_TSO4, F.GUEST_TSO6]) {
    expect(hasFeature(features, bit)).toBe(true);
  }
  expect(features & featureMask(F.GUEST_USO4, F.GUEST_USO6)).toBe(featureMask(F.GUEST_USO4, F.GUEST_USO6));
  expect(negotiate(features).capabilities).toBe(ALL_CAPABILITIES);
});

test("what depends on a checksum feature is neither offered nor used without it", () => {
  const features = offeredFeatures(ALL_CAPABILITIES, 0n, { withhold: featureMask(F.CSUM, F.GUEST_CSUM) });
  expect(features).toBe(featureMask(F.VERSION_1, F.PROTOCOL_FEATURES, F.MRG_RXBUF, F.ANY_LAYOUT, F.VHOST_LOG_ALL));
  expect(negotiate(featureMask(F.HOST_TSO4, F.GUEST_TSO4, F.GUEST_USO4, F.GUEST_USO6)).capabilities).toBe(0);
  // A driver that takes only one half of GUEST_USO gets none.
  expect(negotiate(featureMask(F.GUEST_CSUM, F.GUEST_USO4)).capabilities).toBe(Capability.givesPartialChecksum);
});

test("configured fields need CONFIG; only optional features can be asked for", () => {
  const configured = featureMask(F.MAC);
  expect(hasFeature(offeredFeatures(0, configured, {}), F.MAC)).toBe(true);
  const withholdProtocol = featureMask(ProtocolFeature.CONFIG);
  expect(hasFeature(offeredFeatures(0, configured, { withholdProtocol }), F.MAC)).toBe(false);
  expect(offeredProtocolFeatures({ withholdProtocol })).toBe(0x1b03fn);
  expect(() => offeredFeatures(0, 0n, { offer: featureMask(F.CTRL_VQ) })).toThrow(RangeError);
  expect(hasFeature(offeredFeatures(0, 0n, { offer: featureMask(F.RING_PACKED, F.IN_ORDER) }), F.IN_ORDER)).toBe(true);
  const offerProtocol = featureMask(ProtocolFeature.INBAND_NOTIFICATIONS);
  expect(offeredProtocolFeatures({ offerProtocol })).toBe(0x1f23fn);
  expect(() => offeredProtocolFeatures({ offerProtocol: featureMask(ProtocolFeature.PAGEFAULT) })).toThrow(RangeError);
});

test("without a shared log there is no logging, and without being asked no packed ring", () => {
  const withholdProtocol = featureMask(ProtocolFeature.LOG_SHMFD);
  expect(hasFeature(offeredFeatures(0, 0n, { withholdProtocol }), F.VHOST_LOG_ALL)).toBe(false);
  expect(offeredFeatures(0, 0n, {}) & featureMask(F.RING_PACKED, F.IN_ORDER)).toBe(0n);
});

test("the header is 12 bytes long with VERSION_1 or MRG_RXBUF, else 10", () => {
  expect(negotiate(0n)).toMatchObject({ headerLength: 10, mergeable: false });
  expect(negotiate(featureMask(F.MRG_RXBUF))).toMatchObject({ headerLength: 12, mergeable: true });
  expect(negotiate(featureMask(F.VERSION_1))).toMatchObject({ headerLength: 12, mergeable: false });
  expect(negotiate(featureMask(F.EVENT_IDX))).toMatchObject({ eventIndex: true, indirect: false });
  expect(negotiate(featureMask(F.INDIRECT_DESC))).toMatchObject({ eventIndex: false, indirect: true });
  expect(negotiate(0n)).toMatchObject({ format: splitFormat, inOrder: false, logged: false });
  expect(negotiate(featureMask(F.RING_PACKED, F.IN_ORDER, F.VHOST_LOG_ALL))).toMatchObject({
    format: packedFormat,
    inOrder: true,
    logged: true,
  });
});
