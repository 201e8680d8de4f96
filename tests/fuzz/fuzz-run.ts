// Runs a fuzzer for a time, in a namespace of its own and in processes that may die or hang, and collects what it finds.

import { spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export type Fuzzed = "messages" | "rings";

export interface FoundRound {
  readonly what: Fuzzed;
  readonly seed: number;
  /** Negative: one of those that a process begins with. */
  readonly round: number;
  readonly why: string;
}

export interface FuzzFigures {
  readonly what: Fuzzed;
  readonly seed: number;
  readonly rounds: number;
  /** Messages, or frames and changes of rings. */
  readonly executions: number;
  readonly findings: readonly FoundRound[];
}

export interface FuzzOptions {
  readonly what: Fuzzed;
  readonly seed: number;
  readonly seconds: number;
  readonly firstRound?: number;
  /** Default: as many as there is time for. */
  readonly rounds?: number;
  readonly findingsMax?: number;
}

/** A process that says nothing for so long hangs; it says something each second. */
const SILENCE_MS = 15_000;

/** What one process did, and how it ended. */
export interface Ended {
  readonly nextRound: number;
  readonly executions: number;
  readonly finding: { readonly round: number; readonly why: string } | null;
}

export async function fuzz(options: FuzzOptions): Promise<FuzzFigures> {
  const { what, seed, seconds, firstRound = 0, findingsMax = 10 } = options;
  const endMs = performance.now() + seconds * 1000;
  const findings: FoundRound[] = [];
  let round = firstRound;
  let executions = 0;
  let left = options.rounds ?? Number.POSITIVE_INFINITY;
  while (left > 0 && findings.length < findingsMax) {
    const leftSeconds = (endMs - performance.now()) / 1000;
    if (leftSeconds <= 0) break;
    const ended = await runProcess(what, seed, round, leftSeconds, left);
    executions += ended.executions;
    left -= ended.nextRound - round;
    round = ended.nextRound;
    if (ended.finding !== null) findings.push({ what, seed, ...ended.finding });
    else break;
  }
  return { what, seed, rounds: round - firstRound, executions, findings };
}

async function runProcess(what: Fuzzed, seed: number, first: number, seconds: number, rounds: number): Promise<Ended> {
  const folder = mkdtempSync(join(tmpdir(), "passt-ts-"));
  const roundFd = openSync(join(folder, "round"), "w+");
  const command = [process.execPath, join(import.meta.dir, "fuzz-process.ts"), what, seed, first, seconds];
  if (Number.isFinite(rounds)) command.push(rounds);
  // Frames go to addresses of the whole Internet: in a namespace there is none.
  const enter = ["--pdeathsig", "KILL", "--", "unshare", process.getuid?.() === 0 ? "-n" : "-Urn", "--", "sh", "-c"];
  const child = spawn("setpriv", [...enter, 'ip link set lo up && exec "$@"', "sh", ...command.map(String)], {
    stdio: ["ignore", "pipe", "pipe", roundFd],
  });
  let said = "";
  let heardMs = performance.now();
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (text: string) => {
      said += text;
      heardMs = performance.now();
    });
  }
  let hangs = false;
  const watch = setInterval(() => {
    if (performance.now() - heardMs < SILENCE_MS) return;
    hangs = true;
    child.kill("SIGKILL");
  }, 500);
  const how = await new Promise<string>((done) => child.on("close", (code, signal) => done(signal ?? `code ${code}`)));
  clearInterval(watch);
  const number = new Float64Array(1);
  readSync(roundFd, number, 0, 8, 0);
  closeSync(roundFd);
  rmSync(folder, { recursive: true });
  return endedOf(said, number[0], hangs ? "it hangs" : `the process ended with ${how}`);
}

/**
 * Reads what a process said.
 *
 * @param lastRound the round that it was in.
 * @param how it ended, for a round that ended it.
 */
export function endedOf(said: string, lastRound: number, how: string): Ended {
  const [, executions = "0"] = [...said.matchAll(/^(?:at|end) -?\d+ (\d+)$/gm)].at(-1) ?? [];
  const end = /^end (-?\d+) /m.exec(said);
  const found = /^finding (-?\d+) (.*)$/m.exec(said);
  const finding =
    found !== null
      ? { round: Number(found[1]), why: JSON.parse(found[2]) as string }
      : end === null
        ? { round: lastRound, why: `${how}; it said:\n${said.slice(-2000)}` }
        : null;
  const nextRound = end === null ? lastRound + 1 : Number(end[1]);
  return { nextRound: Math.max(nextRound, 0), executions: Number(executions), finding };
}

/** The command that plays a finding's round again. */
export function againText({ what, seed, round }: FoundRound): string {
  return `bun run fuzz -- --only ${what} --seed ${seed} --round ${round}`;
}
