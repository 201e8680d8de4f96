import { describe, expect, test } from "bun:test";
import { ArpOperation } from "@passt-ts/wire/arp";
import { TcpFlag } from "@passt-ts/wire/tcp";
import { bytesOf, hexOf } from "@passt-ts/wire/testing/frame-bytes";
import { compareSuites, type Found } from "./compare.ts";
import type { Difference } from "./difference.ts";
import { arp, packet } from "./frames.ts";
import { gateway4, host4, ourMac } from "./host.ts";
import type { PlayedStep, PlayedSuite } from "./played.ts";
import type { Suite } from "./script.ts";
import { TcpFlow } from "./tcp-flow.ts";
import { expectedFrames, judge } from "./verdict.ts";

const suite: Suite = { name: "suite", options: [], scripts: [{ name: "script", steps: [{ name: "step" }] }] };
const timedSuite: Suite = { ...suite, scripts: [{ name: "script", steps: [{ name: "step", collectMs: 2000 }] }] };

const reply = (target: string): Uint8Array => {
  const frame = new Uint8Array(60);
  frame.set(arp({ operation: ArpOperation.reply, senderMac: ourMac, sender: gateway4, target }));
  return frame;
};

/** What came of the suite: the frames, as they came at the times. */
function played(frames: readonly Uint8Array[], timesMs: readonly number[] = [], host: string[] = []): PlayedSuite {
  const received = frames.map((frame, i) => ({ atMs: timesMs[i] ?? 0, summary: `frame ${i}`, hex: hexOf(frame) }));
  const step: PlayedStep = { name: "step", sent: [], received, host };
  const start = { name: "start", steps: [{ name: "the rings are ready", sent: [], received: [], host: [] }] };
  return { name: "suite", options: [], scripts: [start, { name: "script", steps: [step] }] };
}

const short = (found: readonly Found[]): string[] => found.map(({ frame, field }) => `${frame} ${field}`);

describe("comparing", () => {
  test("equal frames have no differences", () => {
    expect(compareSuites(suite, played([reply(host4)]), played([reply(host4)]))).toEqual([]);
  });

  test("a change of any bit of a frame is found", () => {
    const frame = reply(host4);
    for (let bit = 0; bit < frame.length * 8; bit++) {
      const changed = frame.slice();
      changed[bit >> 3] ^= 1 << (bit & 7);
      expect(compareSuites(suite, played([frame]), played([changed]))).not.toEqual([]);
    }
  });

  test("a change of any bit of a TCP segment is found, whatever is masked in it", () => {
    const syn = new TcpFlow({ from: gateway4, to: host4 }, 7007, 40000).syn({ flags: TcpFlag.syn | TcpFlag.ack });
    for (let bit = 0; bit < syn.length * 8; bit++) {
      const changed = syn.slice();
      changed[bit >> 3] ^= 1 << (bit & 7);
      // A segment that has another initial sequence number has another checksum, and this one has not.
      expect(compareSuites(suite, played([syn]), played([changed]))).not.toEqual([]);
    }
  });

  test("another initial sequence number is no difference", () => {
    const segment = (sequence: number): Uint8Array =>
      packet({ from: gateway4, to: host4 }, 6, 16, (view, at) => {
        view.setUint32(at, (7007 << 16) | 40000);
        view.setUint32(at + 4, sequence);
        view.setUint32(at + 12, 0x5002_ffff);
        return at + 20;
      });
    const flow = (isn: number): PlayedSuite => played([segment(isn), segment(isn + 1)]);
    expect(compareSuites(suite, flow(1000), flow(77_000))).toEqual([]);
    const wrong = played([segment(77_000), segment(77_002)]);
    expect(short(compareSuites(suite, flow(1000), wrong))).toEqual(["step#2 tcp.sequence"]);
  });

  test("frames that are missing or too many are found, and the others still compared with their like", () => {
    const other = bytesOf(hexOf(reply(host4)));
    other[13] = 0x07;
    expect(short(compareSuites(suite, played([other, reply(host4)]), played([reply(host4)])))).toEqual([
      "step#1 absent",
    ]);
    expect(short(compareSuites(suite, played([reply(host4)]), played([other, reply(host4)])))).toEqual([
      "step#1 extra",
    ]);
  });

  test("a frame that comes too late in a timed step is another frame", () => {
    const frames = [reply(host4)];
    expect(compareSuites(timedSuite, played(frames, [1000]), played(frames, [1300]))).toEqual([]);
    const found = compareSuites(timedSuite, played(frames, [1000]), played(frames, [1600]));
    expect(short(found).sort()).toEqual(["step#1 absent", "step#1 extra"]);
  });

  test("what the host saw is compared", () => {
    const found = compareSuites(suite, played([], [], ["server accepted"]), played([]));
    expect(short(found)).toEqual(["step host"]);
  });

  test("a record of other scripts is refused", () => {
    const changed = { ...played([]), options: ["-4"] };
    expect(() => compareSuites(suite, changed, played([]))).toThrow("record them anew");
  });
});

describe("the list", () => {
  const found: Found = { script: "suite/script", frame: "step#1", field: "ndp.option.3", reference: "1", ours: "2" };
  const line: Difference = { ...found, ours: "2", reason: "better", why: "a test" };

  test("a listed difference passes, an unlisted one does not", () => {
    expect(judge([found], [line])).toEqual({ unlisted: [], unneeded: [] });
    expect(judge([{ ...found, frame: "step#2" }], [line]).unlisted).toHaveLength(1);
    expect(judge([{ ...found, ours: "3" }], [line]).unlisted).toHaveLength(1);
  });

  test("a line without a difference is not needed", () => {
    expect(judge([], [line]).unneeded).toEqual([line]);
  });

  test("a star stands for any text", () => {
    const wide: Difference = { ...line, script: "suite/*", frame: "*" };
    expect(judge([found], [wide]).unlisted).toEqual([]);
    expect(judge([{ ...found, script: "other/script" }], [wide]).unlisted).toHaveLength(1);
  });

  test("two lines about one frame are one frame to wait for", () => {
    const extra: Difference = { ...line, field: "extra" };
    expect(expectedFrames("suite/script", "step", 3, [extra, { ...extra, script: "suite/*" }])).toBe(4);
  });

  test("a step waits for the frames of the record but for those listed as absent, and for those listed as extra", () => {
    const absent: Difference = { ...line, field: "absent" };
    const extra = [1, 2].map((n): Difference => ({ ...line, field: "extra", frame: `step#${n}` }));
    expect(expectedFrames("suite/script", "step", 2, [absent, ...extra])).toBe(3);
    expect(expectedFrames("suite/script", "other", 2, [absent, ...extra])).toBe(2);
  });
});
