// `bun run bench`: our daemon against a passt that serves vhost-user, in turns on guests of the same kind. Without a passt it
// measures ours alone and says so.

import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { findKernel, type Kernel } from "../guests/image.ts";
import { runToEnd } from "../guests/process.ts";
import { benchCongestionControl } from "./bench-bed.ts";
import type { Program } from "./contestant.ts";
import { busyPollRows, latencyRows } from "./latency.ts";
import { memoryStreamRows } from "./memory-stream.ts";
import { pictureOf } from "./picture.ts";
import { type PlacementName, placementNames, placementOf } from "./placement.ts";
import { Plan } from "./plan.ts";
import { type Circumstances, jsonOf, type Row, tableOf } from "./report.ts";
import { memoryRows, startRows } from "./start-and-memory.ts";
import { tapRows } from "./tap.ts";
import { streamRows } from "./tcp-stream.ts";
import { datagramRows } from "./testpmd.ts";

const usage = `Usage: bun run bench -- [OPTION]...

  --passt PATH     the passt to compare with (default: the one on PATH, if it knows --vhost-user)
  --rows LIST      of stream, memory-stream, latency, busy-poll, datagram, start, memory, tap (default: all)
  --pairs N        turns of each program for each row (default: 5)
  --seconds N      length of a turn (default: 5)
  --mtu LIST       MTUs of the streams (default: 65520,1500)
  --flows LIST     connections at once of the streams (default: 1,16)
  --ip LIST        IP versions of the streams (default: 4)
  --placement P    apart: the guest on one processor, all else on the others (default); together: everything on one;
                   guest: all else on any; free: the kernel decides
  --json FILE      write all samples there
  --svg FILE       draw the ratios there
`;

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

function readOptions() {
  return parseArgs({
    options: {
      passt: { type: "string" },
      rows: { type: "string", default: "stream,memory-stream,latency,busy-poll,datagram,start,memory,tap" },
      pairs: { type: "string", default: "5" },
      seconds: { type: "string", default: "5" },
      mtu: { type: "string", default: "65520,1500" },
      flows: { type: "string", default: "1,16" },
      ip: { type: "string", default: "4" },
      placement: { type: "string", default: "apart" },
      json: { type: "string" },
      svg: { type: "string" },
      help: { type: "boolean", short: "h" },
    },
  }).values;
}

function readPlacement(name: string): PlacementName {
  const known = placementNames.find((each) => each === name);
  if (known === undefined) throw new Error(`--placement: '${name}' is none of ${placementNames.join(", ")}`);
  return known;
}

type Options = ReturnType<typeof readOptions>;

/** What each name of --rows measures. */
const groups: Record<string, (plan: Plan, options: Options) => Promise<Row[]>> = {
  async stream(plan, options) {
    const rows: Row[] = [];
    const flows = options.flows.split(",").map(Number);
    for (const mtu of options.mtu.split(",")) {
      for (const ip of options.ip.split(",")) rows.push(...(await streamRows(plan, mtu, ip === "6" ? 6 : 4, flows)));
    }
    return rows;
  },
  "memory-stream": memoryStreamRows,
  latency: latencyRows,
  "busy-poll": busyPollRows,
  datagram: datagramRows,
  start: startRows,
  memory: memoryRows,
  tap: tapRows,
};

const firstLine = (command: readonly string[]): string => runToEnd(command).split("\n")[0];

function circumstancesOf(plan: Plan, congestionControl: string): Circumstances {
  const reference = plan.programs[1]?.command;
  return {
    date: new Date().toISOString().slice(0, 10),
    processor: /model name\s*: (.*)/.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1] ?? process.arch,
    processors: navigator.hardwareConcurrency,
    kernel: /^[\d.]+/.exec(firstLine(["uname", "-r"]))?.[0] ?? "",
    congestionControl,
    placement: plan.placement.name,
    ours: `passt-ts on Bun ${Bun.version}`,
    theirs: reference ? firstLine([...reference, "--version"]) : null,
    pairs: plan.pairs,
    seconds: plan.seconds,
  };
}

async function bench(): Promise<void> {
  const options = readOptions();
  if (options.help) {
    process.stdout.write(usage);
    return;
  }
  const names = options.rows.split(",");
  const unknown = names.find((name) => !Object.hasOwn(groups, name));
  if (unknown !== undefined) throw new Error(`--rows: '${unknown}' is none of ${Object.keys(groups).join(", ")}`);
  const reference = findReference(options.passt);
  if (reference === null)
    console.log("bench: no passt with --vhost-user on PATH: ours is measured alone (see --passt)");
  const programs = [{ name: "passt-ts", command: null }, ...(reference === null ? [] : [reference])];
  const placement = placementOf(readPlacement(options.placement));
  const plan = new Plan(programs, benchKernel(), Number(options.pairs), Number(options.seconds), placement);
  const rows: Row[] = [];
  for (const name of names) rows.push(...(await groups[name](plan, options)));
  const circumstances = circumstancesOf(plan, await benchCongestionControl());
  for (const [name, value] of Object.entries(circumstances)) console.log(`${name}: ${value ?? "none"}`);
  console.log(`\n${tableOf(rows, circumstances)}`);
  if (options.json !== undefined) writeFileSync(options.json, jsonOf(rows, circumstances));
  const picture = pictureOf(rows, circumstances);
  if (options.svg !== undefined && picture !== null) writeFileSync(options.svg, picture);
}

try {
  await bench();
} catch (error) {
  console.error(`bench: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
process.exit();
