/** Pings through a back-end in the network namespace of this process; for a test that made the namespace. */
import { writeFileSync } from "node:fs";
import { EchoCounter } from "@passt-ts/icmp-vu/echo-counter";
import { addressesOf, checksumsRight } from "@passt-ts/icmp-vu/testing/harness";
import { openFileCount, runtimeFilesClosed } from "@passt-ts/linux/testing/open-files";
import { BackendRig, GATEWAY4, GATEWAY6, GUEST4, GUEST6 } from "./backend-rig.ts";
import { isIcmp, pattern, pingFrame } from "./guest-frames.ts";

export interface EchoReply {
  readonly type: number;
  readonly identifier: number;
  readonly sequence: number;
  /** The data is what was sent. */
  readonly intact: boolean;
  readonly checksumsRight: boolean;
  readonly fromPeer: boolean;
}

/** What the pings came to; null for a family without reply. */
export interface EchoReport {
  readonly ipv4: EchoReply | null;
  readonly ipv6: EchoReply | null;
  /** Data of the replies that each of two guests got for the same identifier. */
  readonly twoGuests: readonly number[];
  readonly flowsOpened: number;
  readonly flowsAfterSilence: number;
  readonly flowsAfterReset: number;
  readonly notPermitted: number;
  readonly warnings: readonly string[];
  readonly leakedFiles: number;
}

const DATA = pattern(56);

function replyTo(rig: BackendRig, source: Uint32Array, destination: Uint32Array): EchoReply | null {
  const v4 = source === GUEST4;
  rig.send([pingFrame({ source, destination, identifier: 77, sequence: 5, payload: DATA })], [30]);
  const frame = firstReply(rig);
  if (frame === null) return null;
  const at = v4 ? 34 : 54;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  return {
    type: frame[at],
    identifier: view.getUint16(at + 4),
    sequence: view.getUint16(at + 6),
    intact: frame.length === at + 8 + DATA.length && DATA.every((byte, i) => frame[at + 8 + i] === byte),
    checksumsRight: checksumsRight(frame),
    fromPeer: addressesOf(frame)[0].every((word, i) => word === destination[i]),
  };
}

/** Waits a moment for a reply: loopback has it at once, or there is none. */
function firstReply(rig: BackendRig): Uint8Array | null {
  for (let i = 0; i < 50; i++) {
    rig.pump(i === 0 ? 0 : 2);
    const [frame] = rig.take(isIcmp);
    if (frame !== undefined) return frame.bytes;
  }
  return null;
}

function pingFromTwoGuests(): number[] {
  using one = new BackendRig();
  using two = new BackendRig();
  const rigs = [one, two];
  for (const [i, rig] of rigs.entries()) rig.send([pingFrame({ identifier: 7, payload: [i + 1] })]);
  return rigs.map((rig) => firstReply(rig)?.[42] ?? 0);
}

function report(): EchoReport {
  const filesBefore = openFileCount();
  const rig = new BackendRig();
  const ipv4 = replyTo(rig, GUEST4, GATEWAY4);
  const ipv6 = replyTo(rig, GUEST6, GATEWAY6);
  // Of a third one without permission nobody is warned again.
  if (ipv4 === null) rig.send([pingFrame({ identifier: 78 })]);
  const { icmp } = rig.engines;
  rig.pass(61_000);
  rig.pump();
  const flowsAfterSilence = icmp.flowCount;
  rig.send([pingFrame({ identifier: 79 })]);
  rig.backend.reset(rig.nowMs);
  const flowsAfterReset = icmp.flowCount;
  rig.close();
  const twoGuests = pingFromTwoGuests();
  return {
    ipv4,
    ipv6,
    twoGuests,
    flowsOpened: icmp.counters[EchoCounter.flowsOpened],
    flowsAfterSilence,
    flowsAfterReset,
    notPermitted: icmp.counters[EchoCounter.droppedNotPermitted],
    warnings: rig.warnings,
    leakedFiles: openFileCount() - filesBefore,
  };
}

Bun.spawnSync(["ip", "link", "set", "lo", "up"]);
// A new namespace allows ping sockets to nobody.
if (process.argv[2] === "allow") writeFileSync("/proc/sys/net/ipv4/ping_group_range", "0 0");
await runtimeFilesClosed();
process.stdout.write(JSON.stringify(report()));
