// A short run of each fuzzer, with a new seed each time; `bun run fuzz` runs them for longer. What was found once is a test by name in
// the package concerned.

import { expect, test } from "bun:test";
import { createSocketPair } from "@passt-ts/linux/unix-socket";
import { DeviceRig } from "@passt-ts/vhost-user-device/testing/device-rig";
import { TestFrontEnd } from "@passt-ts/vhost-user-device/testing/front-end";
import { Packet } from "@passt-ts/wire/packet";
import { readFrames, readSessions } from "./corpus.ts";
import { againText, endedOf, type Fuzzed, fuzz } from "./fuzz-run.ts";
import { checkLog } from "./fuzzer.ts";
import { mutated } from "./mutate.ts";
import { Random } from "./random.ts";

const SECONDS = 20;

test.concurrent.each(["messages", "rings"] as const)(
  "twenty seconds of %p that are quite wrong: nothing throws, hangs or leaks, and a good guest is served after each round",
  async (what: Fuzzed) => {
    const seed = Date.now() & 0xff_ffff;
    const { rounds, executions, findings } = await fuzz({ what, seed, seconds: SECONDS, findingsMax: 3 });
    expect(findings.map((found) => `${againText(found)}\n${found.why}`)).toEqual([]);
    expect(rounds).toBeGreaterThan(0);
    expect(executions).toBeGreaterThan(rounds);
  },
  2 * SECONDS * 1000 + 30_000,
);

test("the sessions of the corpus are right: a device that offers everything refuses none of their messages", () => {
  for (const { name, value } of readSessions()) {
    using rig = new DeviceRig({
      features: { offer: (1n << 28n) | (1n << 29n) | (1n << 34n) | (1n << 35n), offerProtocol: 1n << 14n },
      config: { macAddress: Uint8Array.of(2, 0, 0, 0, 0, 1), mtu: 1500 },
    });
    const regions = [0, 1].map((i) => ({
      guestAddress: 0x4000_0000 + i * 0x10_0000,
      userAddress: 0x7f00_0000_0000 + i * 0x20_0000,
      fileOffset: i * 0x10_0000,
      sizeBytes: 0x10_0000,
    }));
    const [ours, theirs] = createSocketPair();
    rig.device.adopt(ours);
    using guest = new TestFrontEnd({ memoryBytes: 0x20_0000, regions, pump: rig.pump }).connect(theirs);
    const events = ["kick0", "kick1", "call0", "call1", "error0", "error1", "event", "socket"];
    for (const { bytes, fds } of value) {
      guest.control.send(
        bytes,
        fds.map((kind) => (events.includes(kind) ? guest.tx.kickFd : guest.ram.file.fd)),
      );
      rig.pump();
    }
    expect([name, rig.lines("refused")]).toEqual([name, []]);
    expect([name, rig.device.state.connected]).toEqual([name, true]);
  }
});

test("the frames of the corpus are right: each of IP can be read", () => {
  const packet = new Packet();
  const frames = readFrames();
  expect(frames.length).toBeGreaterThan(40);
  for (const { name, value } of frames.filter(({ value: bytes }) => bytes[12] !== 8 || bytes[13] !== 6)) {
    expect([name, packet.parse(new DataView(value.buffer), 0, value.length, value.length)]).toEqual([name, 0]);
  }
});

test("a seed and a round are the same numbers, and the same changes, each time; others are others", () => {
  const bytes = Uint8Array.from({ length: 100 }, (_, i) => i);
  const changed = (seed: number, round: number): string => mutated(bytes, new Random(seed, round)).toHex();
  expect(changed(5, 7)).toBe(changed(5, 7));
  expect(new Set([changed(5, 7), changed(5, 8), changed(6, 7)]).size).toBe(3);
});

test("what a process says, how it dies, and that it hangs: each is a finding with its round; a good end is none", () => {
  const ended = (said: string) => endedOf(said, 41, "the process ended with SIGSEGV");
  expect(ended("at 10 200\nend 50 900\n")).toEqual({ nextRound: 50, executions: 900, finding: null });
  const found = ended(`at 10 200\nfinding 12 "Finding: 3 fds"\nend 13 250\n`);
  expect(found).toEqual({ nextRound: 13, executions: 250, finding: { round: 12, why: "Finding: 3 fds" } });
  const died = ended("at 40 800\npanic");
  expect(died).toMatchObject({ nextRound: 42, executions: 800, finding: { round: 41 } });
  expect(died.finding?.why).toStartWith("the process ended with SIGSEGV");
});

test("a log that speaks of a mistake of ours is a finding; a message that is refused is none", () => {
  expect(() => checkLog(["warning: refused SET_VRING_NUM: 3 is no size"])).not.toThrow();
  expect(() => checkLog(["warning: refused SET_VRING_NUM: x is not a function"])).toThrow("not a function");
});
