import { expect, test } from "bun:test";
import { featureBit, featureMask, featureNames, hasFeature, ProtocolFeature, VirtioFeature } from "./features.ts";

test("masks of bits below and above 32", () => {
  expect(featureBit(VirtioFeature.VERSION_1)).toBe(0x1_0000_0000n);
  // What passt offers: MRG_RXBUF, GUEST_CSUM, LOG_ALL, PROTOCOL_FEATURES, VERSION_1.
  const passt = featureMask(
    VirtioFeature.MRG_RXBUF,
    VirtioFeature.GUEST_CSUM,
    VirtioFeature.VHOST_LOG_ALL,
    VirtioFeature.PROTOCOL_FEATURES,
    VirtioFeature.VERSION_1,
  );
  expect(passt).toBe(0x144008002n);
  expect(featureMask(1, 2, 3, 19)).toBe(0x8000en);
  expect(hasFeature(passt, VirtioFeature.GUEST_CSUM)).toBe(true);
  expect(hasFeature(passt, VirtioFeature.CSUM)).toBe(false);
});

test("names for logs, unknown bits by number", () => {
  expect(featureNames(0x8000en, ProtocolFeature)).toEqual(["LOG_SHMFD", "RARP", "REPLY_ACK", "DEVICE_STATE"]);
  expect(featureNames(1n << 63n, VirtioFeature)).toEqual(["SPEED_DUPLEX"]);
  expect(featureNames(1n << 45n, VirtioFeature)).toEqual(["bit 45"]);
});
