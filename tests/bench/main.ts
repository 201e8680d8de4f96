// `bun run bench`: our daemon against a passt that serves vhost-user, in turns on guests of the same kind. Without a passt it
// measures ours alone and says so.

import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { findKernel, type Kernel } from "../guests/image.ts";
import { runToEnd } from "../guests/process.ts";
import { Contestant, type Program } from "./contestant.ts";
import { type Circumstances, jsonOf, type Row, tableOf } from "./report.ts";
import { type Direction, measureTcpStream, type StreamFigures } from "./tcp-stream.ts";

const usage = `Usage: bun run bench -- [--passt PATH] [--pairs N] [--seconds N] [--mtu LIST] [--flows LIST] [--json FILE]

  --passt PATH     the passt to compare with (default: the one on PATH, if it knows --vhost-user)
  --pairs N        turns of each program for each row (default: 5)
  --seconds N      length of a turn (default: 5)
  --mtu LIST       MTUs, separated by commas (default: 65520)
  --flows LIST     connections at once, separated by commas (default: 1)
  --json FILE      write all samples there
`;

interface Plan {
  readonly programs: readonly Program[];
  readonly kernel: Kernel;
  readonly pairs: number;
  readonly seconds: number;
}

/** The reference: what --passt names, or a passt on PATH that knows the mode. */
function findReference(path: string | undefined): Program | null {
  const found = path ?? Bun.which("passt");
  if (found === null) return null;
  const help = Bun.spawnSync([found, "--help"], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  if (`${help.stdout}${help.stderr}`.includes("--vhost-user")) return { name: "passt", command: [found] };
  if (path !== undefined) throw new Error(`${path} does not know --vhost-user`);
  return null;
}

/** The newest User-Mode Linux where it can be had: Debian 12's does not work with every other daemon. */
function benchKernel(): Kernel {
  const newest = findKernel("uml-newest");
  if (!("missing" in newest)) return newest;
  console.log(`bench: ${newest.missing}; the kernel of this Debian instead`);
  const own = findKernel("uml-debian");
  if ("missing" in own) throw new Error(own.missing);
  return own;
}

/** TCP streams at one MTU: a row for the rate and one for the daemon's processor time, for each direction. */
async function streamRows(plan: Plan, mtu: string, flows: readonly number[]): Promise<Row[]> {
  await using stack = new AsyncDisposableStack();
  const contestants: Contestant[] = [];
  for (const program of plan.programs) {
    contestants.push(stack.use(await Contestant.start(program, plan.kernel, ["-m", mtu])));
  }
  const rows: Row[] = [];
  for (const connections of flows) {
    for (const direction of ["out", "in"] as const) {
      const samples = await takeTurns(plan, contestants, direction, connections);
      const name = `TCP ${direction}, MTU ${mtu}, ${connections} flow${connections === 1 ? "" : "s"}`;
      const column = (pick: (figures: StreamFigures) => number): Pick<Row, "ours" | "theirs"> => ({
        ours: samples[0].map(pick),
        theirs: (samples[1] ?? []).map(pick),
      });
      rows.push(
        { name, unit: "Gbit/s", higherIsBetter: true, ...column((figures) => figures.gbitPerSecond) },
        { name, unit: "CPU s/GB", higherIsBetter: false, ...column((figures) => figures.cpuSecondsPerGigabyte) },
      );
    }
  }
  return rows;
}

async function takeTurns(
  plan: Plan,
  contestants: readonly Contestant[],
  direction: Direction,
  connections: number,
): Promise<StreamFigures[][]> {
  const samples: StreamFigures[][] = contestants.map(() => []);
  for (let turn = 0; turn < plan.pairs; turn++) {
    for (const [index, contestant] of contestants.entries()) {
      samples[index].push(await measureTcpStream(contestant, direction, connections, plan.seconds));
    }
  }
  return samples;
}

const numbers = (list: string): number[] => list.split(",").map(Number);

const firstLine = (command: readonly string[]): string => runToEnd(command).split("\n")[0];

async function bench(): Promise<void> {
  const { values } = parseArgs({
    options: {
      passt: { type: "string" },
      pairs: { type: "string", default: "5" },
      seconds: { type: "string", default: "5" },
      mtu: { type: "string", default: "65520" },
      flows: { type: "string", default: "1" },
      json: { type: "string" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) {
    process.stdout.write(usage);
    return;
  }
  const reference = findReference(values.passt);
  if (reference === null)
    console.log("bench: no passt with --vhost-user on PATH: ours is measured alone (see --passt)");
  const programs = [{ name: "passt-ts", command: null }, ...(reference === null ? [] : [reference])];
  const plan = { programs, kernel: benchKernel(), pairs: Number(values.pairs), seconds: Number(values.seconds) };
  const rows: Row[] = [];
  for (const mtu of values.mtu.split(",")) rows.push(...(await streamRows(plan, mtu, numbers(values.flows))));
  const circumstances: Circumstances = {
    date: new Date().toISOString().slice(0, 10),
    processor: /model name\s*: (.*)/.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1] ?? process.arch,
    kernel: firstLine(["uname", "-r"]),
    ours: `passt-ts on Bun ${Bun.version}`,
    theirs:
      reference?.command === undefined || reference.command === null
        ? null
        : firstLine([...reference.command, "--version"]),
    pairs: plan.pairs,
    seconds: plan.seconds,
  };
  console.log(
    Object.entries(circumstances)
      .map(([name, value]) => `${name}: ${value ?? "none"}`)
      .join("\n"),
  );
  console.log(`\n${tableOf(rows, circumstances)}`);
  if (values.json !== undefined) writeFileSync(values.json, jsonOf(rows, circumstances));
}

try {
  await bench();
} catch (error) {
  console.error(`bench: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
process.exit();
