import { expect, test } from "bun:test";
import fc from "fast-check";
import { decodeConfig, encodeConfig } from "./config-payload.ts";
import { VhostUserError } from "./error.ts";
import { encodeMessage } from "./header.ts";
import { MessageReader } from "./message-reader.ts";
import {
  decodeInflightArea,
  decodeLogArea,
  decodeMacAddress,
  decodeMemoryRegion,
  decodeMemoryTable,
  decodeU64,
  decodeVringAddress,
  decodeVringFd,
  decodeVringState,
  encodeInflightArea,
  encodeLogArea,
  encodeMacAddress,
  encodeMemoryRegion,
  encodeMemoryTable,
  encodeU64,
  encodeVringAddress,
  encodeVringFd,
  encodeVringState,
} from "./payload.ts";
import { BACK_END_REQUESTS, FRONT_END_REQUESTS } from "./requests.ts";

const DECODERS = [
  decodeU64,
  decodeVringState,
  decodeVringAddress,
  decodeVringFd,
  decodeMemoryTable,
  decodeMemoryRegion,
  decodeConfig,
  decodeInflightArea,
  decodeLogArea,
  decodeMacAddress,
] as const;

test("random payloads make a decoder throw VhostUserError or nothing", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (payload) => {
      for (const decode of DECODERS) {
        try {
          decode(payload);
        } catch (error) {
          expect(error).toBeInstanceOf(VhostUserError);
        }
      }
    }),
    { numRuns: 500 },
  );
});

const anyHeader = fc.tuple(
  fc.oneof(fc.nat(50), fc.nat(0xffffffff)),
  fc.oneof(fc.constantFrom(1, 5, 9, 13), fc.nat(0xffffffff)),
  fc.uint8Array({ maxLength: 100 }),
);

test("a random stream in random pieces gives whole messages or refusals, and no piece crosses a message", () => {
  fc.assert(
    fc.property(
      fc.array(anyHeader, { maxLength: 6 }),
      fc.uint8Array({ maxLength: 20 }),
      fc.integer({ min: 1, max: 64 }),
      fc.nat(9),
      fc.constantFrom("requests" as const, "replies" as const),
      (messages, tail, pieceBytes, fdCount, role) => {
        const bytes = new Uint8Array([...messages.flatMap((m) => [...encodeMessage(...m)]), ...tail]);
        const reader = new MessageReader(fdCount % 2 === 0 ? FRONT_END_REQUESTS : BACK_END_REQUESTS, role);
        let at = 0;
        let read = 0;
        while (at < bytes.length && reader.wantedBytes > 0) {
          const take = Math.min(reader.wantedBytes, pieceBytes, bytes.length - at);
          const result = reader.feed(bytes.slice(at, at + take), fdCount);
          if (result !== null) {
            if (read < messages.length) expect(result.needReply).toBe((messages[read][1] & 8) !== 0);
            if (result.kind === "refusal") expect(result.error).toBeInstanceOf(VhostUserError);
            read++;
          }
          at += take;
        }
        const end = reader.end();
        if (end !== null) expect(end).toBeInstanceOf(VhostUserError);
        if (reader.wantedBytes > 0) expect(read).toBeGreaterThanOrEqual(messages.length);
      },
    ),
    { numRuns: 500 },
  );
});

const u64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
const u32 = fc.nat(0xffffffff);

test("what is encoded is decoded again", () => {
  const address = fc.record({
    index: u32,
    flags: u32,
    descriptors: u64,
    used: u64,
    available: u64,
    logAddress: u64,
  });
  fc.assert(
    fc.property(u64, u32, address, fc.nat(255), fc.boolean(), (value, number, vring, index, hasFd) => {
      expect(decodeU64(encodeU64(value))).toBe(value);
      const state = { index: number, value: index };
      expect(decodeVringState(encodeVringState(state))).toEqual(state);
      expect(decodeVringAddress(encodeVringAddress(vring))).toEqual(vring);
      expect(decodeVringFd(encodeVringFd({ index, hasFd }))).toEqual({ index, hasFd });
      const octets = encodeU64(value).slice(0, 6);
      expect(decodeMacAddress(encodeMacAddress(octets))).toEqual(octets);
    }),
  );
  const config = fc.nat(256).chain((offset) =>
    fc.record({
      offset: fc.constant(offset),
      flags: u32,
      contents: fc.uint8Array({ maxLength: 256 - offset }),
    }),
  );
  fc.assert(fc.property(config, (area) => expect(decodeConfig(encodeConfig(area))).toEqual(area)));
});

test("memory regions: accepted exactly when a slow model accepts them, and unchanged", () => {
  // Few distinct values, so that regions touch, overlap and pass the end.
  const place = fc.constantFrom(0n, 1n, 4096n, 8192n, (1n << 64n) - 4096n, (1n << 64n) - 1n);
  const region = fc.record({
    guestAddress: place,
    sizeBytes: fc.constantFrom(0n, 1n, 4096n, (1n << 64n) - 1n),
    userAddress: place,
    mmapOffset: place,
  });
  const end = 1n << 64n;
  fc.assert(
    fc.property(fc.array(region, { maxLength: 9 }), fc.nat(3), (regions, padding) => {
      const alone = (r: (typeof regions)[number]) =>
        r.sizeBytes > 0n && [r.guestAddress, r.userAddress, r.mmapOffset].every((from) => from + r.sizeBytes <= end);
      const disjoint = (a: bigint, aBytes: bigint, b: bigint, bBytes: bigint) => a + aBytes <= b || b + bBytes <= a;
      const good =
        regions.length <= 8 &&
        regions.every(
          (r, i) =>
            alone(r) &&
            regions.slice(0, i).every((o) => disjoint(r.guestAddress, r.sizeBytes, o.guestAddress, o.sizeBytes)),
        );
      const payload = encodeMemoryTable(regions, regions.length + padding);
      if (good) expect(decodeMemoryTable(payload)).toEqual(regions);
      else expect(() => decodeMemoryTable(payload)).toThrow(VhostUserError);
      for (const r of regions) {
        if (alone(r)) expect(decodeMemoryRegion(encodeMemoryRegion(r))).toEqual(r);
        else expect(() => decodeMemoryRegion(encodeMemoryRegion(r))).toThrow(VhostUserError);
      }
    }),
    { numRuns: 500 },
  );
  fc.assert(
    fc.property(u64, u64, (sizeBytes, mmapOffset) => {
      const area = { sizeBytes, mmapOffset };
      if (sizeBytes + mmapOffset <= end) expect(decodeLogArea(encodeLogArea(area))).toEqual(area);
      else expect(() => decodeLogArea(encodeLogArea(area))).toThrow(VhostUserError);
      const inflight = { ...area, ringCount: Number(sizeBytes & 0xffffn), ringSize: Number(mmapOffset & 0xffffn) };
      const encoded = encodeInflightArea(inflight);
      for (const payload of [encoded, encoded.subarray(0, 20)]) {
        if (sizeBytes + mmapOffset <= end) expect(decodeInflightArea(payload)).toEqual(inflight);
        else expect(() => decodeInflightArea(payload)).toThrow(VhostUserError);
      }
      expect(() => decodeInflightArea(encoded.subarray(0, 19))).toThrow(VhostUserError);
    }),
  );
});
