// Our daemon on a tap beside our daemon with sockets: what a guest loses or wins when its frames pass as they are. Both are ours, so
// each has rows of its own; their turns alternate.

import { gateway4 } from "../guests/namespace.ts";
import { addressGuest, addressHost, makeTap, noDhcp, tapHost4, tapName } from "../guests/tap-link.ts";
import { Contestant, type Link } from "./contestant.ts";
import { modes, transactions } from "./latency.ts";
import { Contestants, type Plan } from "./plan.ts";
import type { Row } from "./report.ts";
import { runIperf, type StreamFigures } from "./tcp-stream.ts";

/** The MTU that a guest is told by default with sockets, and the usual one of an interface. */
const mtus = [65_520, 1500] as const;

const tapLink = (mtu: number): Link => ({
  arguments: [noDhcp],
  prepare(host) {
    makeTap(host, tapName, mtu);
    addressHost(host, tapName);
  },
  settle: (guest) => addressGuest(guest),
});

/** One of the two, and the address by which its guest reaches the host. */
const backends = [
  { name: "tap", options: ["--backend", `tap:${tapName}`], address: tapHost4 },
  { name: "sockets", options: [], address: gateway4 },
] as const;

async function start(plan: Plan, mtu: number): Promise<Contestants> {
  const contestants = new Contestants(plan.pairs);
  try {
    for (const { name, options } of backends) {
      const link = name === "tap" ? tapLink(mtu) : null;
      const command = { name, command: null };
      contestants.add(await Contestant.start(command, plan.kernel, [...options, "-m", String(mtu)], link));
    }
  } catch (error) {
    await contestants[Symbol.asyncDispose]();
    throw error;
  }
  return contestants;
}

const addressFor = ({ name }: Contestant): string => backends.find((one) => one.name === name)?.address ?? gateway4;

/** Rows of each back-end from samples that hold those of the one as ours and those of the other as theirs. */
function rowsOf(
  row: Omit<Row, "ours" | "theirs">,
  samples: readonly [tap: readonly number[], sockets: readonly number[]],
) {
  return backends.map(
    ({ name }, index): Row => ({
      ...row,
      name: `${name}: ${row.name}`,
      ours: samples[index],
      theirs: [],
    }),
  );
}

async function streams(plan: Plan, contestants: Contestants, mtu: number): Promise<Row[]> {
  const rows: Row[] = [];
  for (const direction of ["out", "in"] as const) {
    const figures: StreamFigures[] = [];
    const rates = await contestants.inTurns(async (contestant) => {
      figures.push(await runIperf(contestant, direction, addressFor(contestant), 1, plan.seconds));
      return figures[figures.length - 1].gbitPerSecond;
    });
    const cpu = figures.map(({ cpuSecondsPerGigabyte }) => cpuSecondsPerGigabyte);
    const name = `TCP ${direction}, IPv4, MTU ${mtu}, 1 flow`;
    rows.push(
      ...rowsOf({ name, unit: "Gbit/s", higherIsBetter: true }, [rates.ours, rates.theirs]),
      ...rowsOf({ name, unit: "CPU s/GB", higherIsBetter: false }, [
        cpu.filter((_, turn) => turn % 2 === 0),
        cpu.filter((_, turn) => turn % 2 === 1),
      ]),
    );
  }
  return rows;
}

async function latencies(plan: Plan, contestants: Contestants): Promise<Row[]> {
  const rows: Row[] = [];
  for (const mode of modes) {
    const { ours, theirs } = await contestants.inTurns((contestant) =>
      transactions(contestant, mode, plan.seconds, addressFor(contestant)),
    );
    rows.push(...rowsOf({ name: mode, unit: "1/s", higherIsBetter: true }, [ours, theirs]));
  }
  return rows;
}

/** For each back-end of ours: streams each way at two MTUs, and transactions at the smaller. */
export async function tapRows(plan: Plan): Promise<Row[]> {
  const rows: Row[] = [];
  for (const mtu of mtus) {
    await using contestants = await start(plan, mtu);
    rows.push(...(await streams(plan, contestants, mtu)));
    if (mtu === mtus[1]) rows.push(...(await latencies(plan, contestants)));
  }
  return rows;
}
