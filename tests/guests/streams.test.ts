// Bulk TCP in both directions, hashed: 1, 8 and 64 connections, MTU 65520 and 1500, while other flows are reset; with and without
// SO_PEEK_OFF; and captured, the capture read by tshark. PASST_TS_STREAM_BYTES sets how much crosses in each transfer.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { captureFaults, frameCount } from "./capture.ts";
import type { Daemon } from "./daemon.ts";
import type { Guest } from "./guest.ts";
import { findKernel, type KernelName } from "./image.ts";
import { gateway4, gateway6 } from "./namespace.ts";
import { echoPort } from "./ports.ts";
import { TestBed } from "./test-bed.ts";
import { type Direction, transfer } from "./transfer.ts";

const totalBytes = Number(process.env.PASST_TS_STREAM_BYTES ?? 128 * 2 ** 20);
const timeoutMs = 60_000 + totalBytes / 4000;
const kernelName = (process.env.PASST_TS_KERNEL ?? "uml-debian") as KernelName;
const directions: readonly Direction[] = ["to the host", "to the guest"];

/** A guest on a daemon with these options, for all tests of a group. */
function withGuest(options: (bed: TestBed) => readonly string[]): { bed: TestBed; daemon: Daemon; guest: Guest } {
  const made = {} as { bed: TestBed; daemon: Daemon; guest: Guest };
  beforeAll(async () => {
    const kernel = findKernel(kernelName);
    if ("missing" in kernel) throw new Error(kernel.missing);
    made.bed = await TestBed.create();
    made.daemon = await made.bed.startDaemon(options(made.bed));
    made.guest = await made.bed.boot(kernel, made.daemon);
    await made.guest.waitForIpv6();
  }, 120_000);
  afterAll(async () => {
    await made.bed?.[Symbol.asyncDispose]();
  }, 30_000);
  return made;
}

for (const [title, fallback] of [
  ["streams", []],
  ["streams without SO_PEEK_OFF", ["--no-peek-offset"]],
] as const) {
  for (const mtu of [65520, 1500]) {
    describe(`${title}, MTU ${mtu}`, () => {
      const made = withGuest(() => ["-m", String(mtu), ...fallback]);
      for (const connections of [1, 8, 64]) {
        for (const direction of directions) {
          // IPv6 has its turn in the middle.
          const address = connections === 8 ? gateway6 : gateway4;
          test(
            `${totalBytes} bytes ${direction} in ${connections} connections`,
            async () => {
              await transfer(made.guest, { direction, address, connections, totalBytes, timeoutMs });
            },
            timeoutMs + 10_000,
          );
        }
      }
      test("the guest's card has that MTU and has seen no malformed frame", async () => {
        expect(await made.guest.must("cat /sys/class/net/eth0/mtu")).toBe(String(mtu));
        expect(await made.guest.receiveErrors()).toEqual({});
      }, 60_000);
    });
  }
}

for (const [mtu, toHost, toGuest] of [
  [65520, gateway4, gateway6],
  [1500, gateway6, gateway4],
] as const) {
  describe(`captured streams, MTU ${mtu}`, () => {
    const capture = (bed: TestBed): string => join(bed.folder, "guest.pcap");
    const made = withGuest((bed) => ["-d", "-m", String(mtu), "-p", capture(bed)]);
    for (const [direction, address, connections] of [
      ["to the host", toHost, 64],
      ["to the guest", toGuest, 8],
    ] as const) {
      test(
        `${totalBytes} bytes ${direction} in ${connections} connections`,
        async () => {
          await transfer(made.guest, { direction, address, connections, totalBytes, timeoutMs });
        },
        timeoutMs + 10_000,
      );
    }
    test("pings and datagrams of all sizes that fit a frame", async () => {
      for (const address of [gateway4, gateway6]) {
        await made.guest.must(`${address.includes(":") ? "ping6" : "ping"} -c 3 -i 0.2 -s 1001 ${address}`);
        for (const bytes of [1, 18, 19, 1001, mtu - 48]) {
          await made.guest.must(`traffic ask udp ${address} ${echoPort} ${bytes} 3`);
        }
      }
    }, 60_000);
    test(
      "tshark finds no malformed packet, wrong length or wrong checksum, and as many frames as the daemon counted",
      async () => {
        await made.guest.powerOff();
        expect(await made.daemon.stop()).toBe(0);
        const file = capture(made.bed);
        expect(existsSync(file)).toBe(true);
        expect(statSync(file).size).toBeGreaterThan(2 * totalBytes);
        expect(captureFaults(file)).toEqual([]);
        const counters = made.daemon.counters();
        expect(counters.framesCaptured).toBe(counters.framesFromGuest + counters.framesToGuest);
        expect(frameCount(file)).toBe(counters.framesCaptured);
      },
      timeoutMs,
    );
  });
}
