import { afterEach, beforeEach, expect, test } from "bun:test";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { TestFrontEnd } from "@passt-ts/vhost-user-device/testing/front-end";
import { hexOf } from "@passt-ts/wire/testing/frame-bytes";
import { ARP_LINK, ARP_REPLY, ARP_REQUEST, askForGateway } from "./testing/arp-exchange.ts";
import { Daemon, sharedFolder } from "./testing/daemon.ts";

const HEADER_BYTES = 24;
const RECORD_HEADER_BYTES = 16;
const FRAME_BYTES = 60;
const RECORD_BYTES: number = RECORD_HEADER_BYTES + FRAME_BYTES;
const MAGIC = "d4c3b2a1";
/** We may have asked who the guest is before it spoke. */
const OUR_QUESTION = "ffffffffffff9a559a559a55";
const EXCHANGE: readonly string[] = [hexOf(ARP_REQUEST).slice(0, 84), ARP_REPLY];

let folder = "";
let path = "";
beforeEach(() => {
  folder = sharedFolder();
  path = join(folder, "capture");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** The frames of a capture in which all have the same length, without padding; what the daemon asked of itself left out. */
function framesOf(capture: Uint8Array): string[] {
  if (capture.length < HEADER_BYTES) return [];
  expect(hexOf(capture.subarray(0, 4))).toBe(MAGIC);
  expect((capture.length - HEADER_BYTES) % RECORD_BYTES).toBe(0);
  const frames: string[] = [];
  for (let at = HEADER_BYTES; at < capture.length; at += RECORD_BYTES) {
    frames.push(hexOf(capture.subarray(at + RECORD_HEADER_BYTES, at + RECORD_HEADER_BYTES + 42)));
  }
  return frames.filter((frame) => !frame.startsWith(OUR_QUESTION));
}

const inFile = (): string[] => framesOf(readFileSync(path));

test("-p: the capture holds both frames, request and reply, as soon as they have passed, and the header before", async () => {
  await using daemon = await new Daemon([...ARP_LINK, "-p", path]).ready();
  await daemon.until(() => readFileSync(path).length === HEADER_BYTES, "the header");
  using frontEnd = new TestFrontEnd().connect(daemon.socketPath).boot();
  for (let round = 1; round <= 2; round++) {
    expect(askForGateway(frontEnd)).toBe(ARP_REPLY);
    await daemon.until(() => inFile().length >= 2 * round, "the exchange in the file");
    expect(inFile()).toEqual(Array.from({ length: round }, () => EXCHANGE).flat());
  }
});

test("-p: a daemon that is killed leaves what was captured", async () => {
  await using daemon = await new Daemon([...ARP_LINK, "-p", path]).ready();
  using frontEnd = new TestFrontEnd().connect(daemon.socketPath).boot();
  expect(askForGateway(frontEnd)).toBe(ARP_REPLY);
  await daemon.until(() => inFile().length >= 2, "the exchange in the file");
  process.kill(daemon.pid, "SIGKILL");
  await daemon.ended();
  expect(inFile()).toEqual([...EXCHANGE]);
});

test("-p: who reads a named pipe sees the frames while they pass", async () => {
  expect(Bun.spawnSync(["mkfifo", path]).exitCode).toBe(0);
  await using daemon = new Daemon([...ARP_LINK, "-p", path]);
  await using reader = Bun.spawn(["cat", path], { stdout: "pipe" });
  let seen = new Uint8Array();
  void (async () => {
    for await (const chunk of reader.stdout) seen = Buffer.concat([seen, chunk]);
  })();
  await daemon.ready();
  await daemon.until(() => seen.length === HEADER_BYTES, "the header");
  using frontEnd = new TestFrontEnd().connect(daemon.socketPath).boot();
  expect(askForGateway(frontEnd)).toBe(ARP_REPLY);
  await daemon.until(() => framesOf(seen).length >= 2, "the exchange in the pipe");
  expect(framesOf(seen)).toEqual([...EXCHANGE]);
  expect(daemon.exitCode).toBe(null);
});
