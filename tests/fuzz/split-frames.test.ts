import { expect, test } from "bun:test";
import { join } from "node:path";
import { reportFromNamespace } from "@passt-ts/backend-sockets/testing/namespace";
import { readFrames } from "./corpus.ts";
import type { SplitReport } from "./split-frames.ts";

/** Frames that get no answer. */
const UNANSWERED = [
  "arp-announce",
  "arp-not-requests-reverse-request",
  "dhcp-address-request",
  "dhcp-other-messages-request-from-another-server",
  "dhcpv6-information",
  "ndp-duplicate-address",
  "ndp-neighbour-advertisement",
];

test("a frame of any kind, of either family, comes to the same wherever its sender split it", () => {
  const reports = reportFromNamespace<SplitReport[]>(join(import.meta.dir, "split-frames.ts"));
  expect(reports.map(({ name }) => name)).toEqual(readFrames().map(({ name }) => name));
  expect(reports.every(({ splits }) => splits > 40)).toBe(true);
  // Of all others there is an answer to be compared, and not only what was counted.
  const unanswered = reports.filter(({ name, whole }) => !name.startsWith("tcp") && /^\d+\+/.test(whole));
  expect(unanswered.map(({ name }) => name)).toEqual(UNANSWERED);
  const streams = reports.filter(({ name }) => name.startsWith("tcp"));
  expect(streams.filter(({ whole }) => whole === "flags 0, data 0, acknowledged 0")).toEqual([]);
  expect(reports.filter(({ different }) => different !== "")).toEqual([]);
}, 120_000);
