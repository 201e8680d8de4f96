import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { NativeBuffer } from "@passt-ts/linux/native-buffer";
import { FrameBatch } from "@passt-ts/net-backend/frame-batch";
import { setCapabilities } from "@passt-ts/net-backend/header-length";
import type { RecordedFrame } from "@passt-ts/net-backend/testing/recording-sink";
import { TapCounter } from "../tap-counter.ts";
import { assertOwnNamespace, openNewTap, run } from "./host-commands.ts";
import { TapRig } from "./tap-rig.ts";

// Runs in a network namespace of its own, see real-tap.test.ts. A second one plays the guest: its network stack reaches
// the host's through two back-ends, each of which is given what the other received.

assertOwnNamespace();

const STREAM_BYTES: number = 8 * 1024 * 1024;
const HEADER_BYTES = 12;
const BATCH_BYTES: number = 4 * 1024 * 1024;
const PORT = 5001;

/** Sends what it is told to whoever connects; each byte is its offset modulo 251. */
const SERVER = `
const bytes = Buffer.alloc(${STREAM_BYTES});
for (let i = 0; i < bytes.length; i++) bytes[i] = i % 251;
require("node:net").createServer((socket) => socket.end(bytes)).listen(${PORT}, "10.9.0.1", () => console.log("listens"));
`;
/** Says what it received. */
const CLIENT = `
const hash = require("node:crypto").createHash("sha256");
require("node:net").connect(${PORT}, "10.9.0.1").on("data", (chunk) => hash.update(chunk)).on("end", () => {
  console.log(hash.digest("hex"));
  process.exit(0);
});
`;

/** Hands frames that one back-end received to another one as a batch of the guest's, header fields included. */
class Relay {
  readonly #to: TapRig;
  readonly #memory: NativeBuffer = new NativeBuffer(BATCH_BYTES);
  readonly #window: number;
  readonly #batch: FrameBatch;

  constructor(to: TapRig) {
    this.#to = to;
    this.#window = to.windows.add(this.#memory.bytes, this.#memory.address);
    this.#batch = new FrameBatch(to.windows, 64, 64);
  }

  carry(frames: readonly RecordedFrame[]): void {
    const batch = this.#batch;
    for (let from = 0; from < frames.length; from += 32) {
      batch.clear();
      for (const frame of frames.slice(from, from + 32)) this.#add(frame);
      this.#to.backend.send(batch, batch.count, 0);
    }
  }

  #add(frame: RecordedFrame): void {
    const batch = this.#batch;
    const index = batch.count++;
    const at = index * 66_000;
    this.#memory.bytes.set(frame.bytes, at + HEADER_BYTES);
    batch.firstEntry[index] = index;
    batch.entryCount[index] = 1;
    batch.offset[index] = HEADER_BYTES;
    batch.length[index] = frame.bytes.length;
    batch.pool.append(this.#window, at, HEADER_BYTES + frame.bytes.length);
    // A driver says only what it needs: that a checksum was found valid is the receiver's business.
    batch.flags[index] = frame.flags & 1;
    batch.gsoType[index] = frame.gsoType;
    batch.gsoSize[index] = frame.gsoSize;
    batch.headerLength[index] = frame.headerLength;
    batch.checksumStart[index] = frame.checksumStart;
    batch.checksumOffset[index] = frame.checksumOffset;
  }
}

/** Moves a stream between two network stacks; what the client says of it, and the longest frame that the guest got. */
async function stream(host: TapRig, guest: TapRig, guestPid: number): Promise<{ hash: string; longestBytes: number }> {
  const bun = process.execPath;
  const server = Bun.spawn([bun, "-e", SERVER], { stdout: "pipe", stderr: "inherit" });
  const [toGuest, toHost] = [new Relay(guest), new Relay(host)];
  let longestBytes = 0;
  let hash = "";
  try {
    await server.stdout.getReader().read();
    const enter = ["nsenter", "-t", String(guestPid), "-n", "--"];
    const client = Bun.spawn([...enter, bun, "-e", CLIENT], { stdout: "pipe", stderr: "inherit" });
    const said = new Response(client.stdout).text().then((text) => (hash = text.trim()));
    const endMs = performance.now() + 30_000;
    while (hash === "" && performance.now() < endMs) {
      host.pump();
      const frames = host.sink.take();
      longestBytes = frames.reduce((longest, { bytes }) => Math.max(longest, bytes.length), longestBytes);
      toGuest.carry(frames);
      guest.pump();
      const answers = guest.sink.take();
      toHost.carry(answers);
      await (frames.length + answers.length === 0 ? Bun.sleep(1) : Promise.resolve());
      if (frames.length > 0) await new Promise((done) => setImmediate(done));
    }
    client.kill();
    await said;
  } finally {
    server.kill();
    await server.exited;
  }
  return { hash, longestBytes };
}

const expectedHash: string = createHash("sha256")
  .update(new Uint8Array(STREAM_BYTES).map((_, i) => i % 251))
  .digest("hex");

for (const [what, wanted] of [
  ["with all offloads: long frames with partial checksums", 255],
  ["without any: frames of the MTU with whole checksums", 0],
] as const) {
  test(`a stream between two network stacks arrives ${what}`, async () => {
    const holder = Bun.spawn(["unshare", "-n", "--", "sh", "-c", "echo made; exec cat"], {
      stdin: "pipe",
      stdout: "pipe",
    });
    await holder.stdout.getReader().read();
    const inGuest = (...command: readonly string[]) => run("nsenter", "-t", String(holder.pid), "-n", "--", ...command);
    try {
      using host = new TapRig(openNewTap("host0", 1500), { sink: { partialChecksum: true } });
      using guest = new TapRig(openNewTap("guest0", 1500), { sink: { partialChecksum: true } });
      run("ip", "link", "set", "guest0", "netns", String(holder.pid));
      run("ip", "addr", "add", "10.9.0.1/24", "dev", "host0");
      inGuest("ip", "addr", "add", "10.9.0.2/24", "dev", "guest0");
      inGuest("ip", "link", "set", "guest0", "up");
      for (const rig of [host, guest]) expect(setCapabilities(rig.backend, wanted, 12)).toBe(wanted);
      const { hash, longestBytes } = await stream(host, guest, holder.pid);
      expect(hash).toBe(expectedHash);
      const segmented = [host.counter(TapCounter.rxSegmented), guest.counter(TapCounter.txSegmented)];
      if (wanted === 0) {
        expect([longestBytes, ...segmented]).toEqual([1514, 0, 0]);
      } else {
        expect(longestBytes).toBeGreaterThan(32_000);
        expect(segmented[0]).toBeGreaterThan(20);
        expect(segmented[1]).toBe(segmented[0]);
      }
      expect([host, guest].map((rig) => rig.counter(TapCounter.txRefused))).toEqual([0, 0]);
    } finally {
      holder.kill();
      await holder.exited;
    }
  }, 40_000);
}
