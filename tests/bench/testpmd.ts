// UDP at the highest rate that DPDK's testpmd gets through a daemon, with a sink or a source of ours on the host.

import { join } from "node:path";
import { gateway4, host4 } from "../guests/namespace.ts";
import type { Program } from "../guests/process.ts";
import { createBenchBed } from "./bench-bed.ts";
import type { Program as Contender } from "./contestant.ts";
import { inTurns, type Plan } from "./plan.ts";
import { cpuSecondsOf } from "./process-usage.ts";
import type { Row } from "./report.ts";

const udpPort = 5555;
const ourMac = "9a:55:9a:55:9a:55";
const guestMac = "52:54:00:00:00:01";

interface DatagramFigures {
  /** Datagrams in a second that arrived at the other end. */
  readonly perSecond: number;
  /** Share of the datagrams given to the daemon that did not arrive. */
  readonly lost: number;
  readonly cpuSeconds: number;
}

/** Path of testpmd, or null when DPDK is not there. */
const findTestpmd = (): string | null => Bun.which("dpdk-testpmd");

function testpmdCommand(testpmd: string, socket: string, options: readonly string[]): string[] {
  return [
    // Its lines are wanted as they come.
    ...["stdbuf", "-oL"],
    testpmd,
    ..."-l 0-1 --no-huge -m 256 --no-pci --no-telemetry".split(" "),
    `--vdev=net_virtio_user0,path=${socket},mac=${guestMac},queues=1,queue_size=1024`,
    "--",
    ..."--total-num-mbufs=32768 --mbcache=512 --no-numa --no-lsc-interrupt --auto-start".split(" "),
    ...options,
  ];
}

const count = (text: string, pattern: RegExp): number => Number([...text.matchAll(pattern)].at(-1)?.[1] ?? Number.NaN);

/** Ends testpmd as its terminal would, so that it prints its counters. */
async function endTestpmd(program: Program): Promise<string> {
  program.closeInput();
  await program.waitForExit(20_000);
  return program.output;
}

/** testpmd sends frames with `frameBytes` bytes as fast as the daemon takes them, for `seconds`. */
async function measureDatagramsOut(
  contender: Contender,
  testpmd: string,
  frameBytes: number,
  seconds: number,
): Promise<DatagramFigures> {
  await using bed = await createBenchBed();
  const sink = bed.start([process.execPath, join(import.meta.dir, "datagram-sink.ts"), String(udpPort)]);
  await sink.waitFor(/ready/, 10_000);
  const daemon = await bed.startDaemon([], contender.command ?? undefined);
  const options = [
    "--forward-mode=txonly",
    `--tx-ip=${host4},${gateway4}`,
    `--tx-udp=4000,${udpPort}`,
    `--txpkts=${frameBytes}`,
    `--eth-peer=0,${ourMac}`,
  ];
  const program = bed.start(testpmdCommand(testpmd, daemon.socket, options));
  await program.waitFor(/Press enter to exit|testpmd>/i, 30_000);
  await Bun.sleep(seconds * 1000);
  const cpuSeconds = cpuSecondsOf(daemon.program.pid);
  const said = await endTestpmd(program);
  sink.closeInput();
  await sink.waitForExit(10_000);
  const given = count(said, /TX-packets:\s+(\d+)/g);
  const received = count(sink.output, /received (\d+)/g);
  const elapsedSeconds = count(sink.output, /seconds ([\d.]+)/g);
  return { perSecond: received / elapsedSeconds, lost: 1 - received / given, cpuSeconds };
}

/** What a trial at one rate of the source showed. */
interface Trial {
  readonly perSecond: number;
  readonly lost: number;
}

/** The highest rate at which at most 1 % of a source's datagrams are missing at testpmd, found by halving. */
async function measureDatagramsIn(
  contender: Contender,
  testpmd: string,
  payloadBytes: number,
  steps: number,
): Promise<DatagramFigures> {
  await using bed = await createBenchBed();
  const daemon = await bed.startDaemon(["-u", String(udpPort)], contender.command ?? undefined);
  const program = bed.start(testpmdCommand(testpmd, daemon.socket, ["--forward-mode=rxonly", "--stats-period=1"]));
  await program.waitFor(/RX-packets/, 30_000);
  const command = [
    process.execPath,
    join(import.meta.dir, "datagram-source.ts"),
    String(udpPort),
    String(payloadBytes),
  ];
  const source = bed.start(command);
  await source.waitFor(/ready/, 10_000);
  const trial = (perSecond: number): Promise<Trial> => tryRate(source, program, perSecond);
  // The first datagrams open the flow and tell nothing of rates.
  await trial(1000);
  let low: Trial = { perSecond: 0, lost: 0 };
  let high = 2_000_000;
  let cpuSeconds = 0;
  for (let step = 0; step < steps; step++) {
    const rate = low.perSecond === 0 ? high / 2 : (low.perSecond + high) / 2;
    const before = cpuSecondsOf(daemon.program.pid);
    const seen = await trial(rate);
    if (seen.lost <= 0.01 && seen.perSecond > low.perSecond) {
      low = seen;
      cpuSeconds = cpuSecondsOf(daemon.program.pid) - before;
    } else high = rate;
  }
  return { perSecond: low.perSecond, lost: low.lost, cpuSeconds };
}

const trialSeconds = 1;
const halvings = 7;

async function tryRate(source: Program, program: Program, perSecond: number): Promise<Trial> {
  const received = (): number => count(program.output, /RX-packets:\s+(\d+)/g);
  const before = received();
  const from = source.output.length;
  source.write(`${Math.round(perSecond)} ${trialSeconds}\n`);
  const [, sent] = await source.waitFor(/sent (\d+)/, 20_000, from);
  // testpmd tells once a second what it has.
  await Bun.sleep(2200);
  return { perSecond: Number(sent) / trialSeconds, lost: 1 - (received() - before) / Number(sent) };
}

/** UDP at 64 and 1400 bytes each way; without DPDK no rows, and a line that says so. */
export async function datagramRows(plan: Plan): Promise<Row[]> {
  const testpmd = findTestpmd();
  if (testpmd === null) {
    console.log("bench: no dpdk-testpmd (Debian packages dpdk-dev, librte-net-virtio23): no rows for UDP rates");
    return [];
  }
  const rows: Row[] = [];
  for (const bytes of [64, 1400]) {
    const out = await inTurns(plan.pairs, plan.programs, async (program) => {
      const { perSecond } = await measureDatagramsOut(program, testpmd, bytes, plan.seconds);
      return perSecond / 1000;
    });
    rows.push({ name: `UDP out, frames of ${bytes} bytes`, unit: "1000/s", higherIsBetter: true, ...out });
    const into = await inTurns(plan.pairs, plan.programs, async (program) => {
      const { perSecond } = await measureDatagramsIn(program, testpmd, bytes, halvings);
      return perSecond / 1000;
    });
    rows.push({ name: `UDP in, payload of ${bytes} bytes`, unit: "1000/s", higherIsBetter: true, ...into });
  }
  return rows;
}
