// Plays suites against our daemon as a record says, and compares.

import { join } from "node:path";
import { compareSuites, type Found } from "./compare.ts";
import type { Difference } from "./difference.ts";
import { createHost } from "./host.ts";
import { ourCommand } from "./our-daemon.ts";
import { playAll } from "./play-all.ts";
import type { PlayedSuite } from "./played.ts";
import { readRecord } from "./record-file.ts";
import type { Suite } from "./script.ts";
import { clockSuites } from "./scripts/clock.ts";
import { expectedFrames } from "./verdict.ts";

/** What the back-end of this process sends in minutes of its clock, it sends in less of ours. */
const CLOCK_MS = 60_000;

/** Two cores hide each other's waits; more at once would make timers late. */
const AT_ONCE = 4;

/** The differences of each suite, by its name, or why it could not be played. */
export async function compareWithRecord(
  suites: readonly Suite[],
  lines: readonly Difference[],
): Promise<Map<string, Found[] | Error>> {
  const played = await playAll({
    command: ourCommand,
    suites,
    atOnce: AT_ONCE,
    expected: (suite) => {
      const record = readRecord(suite.name).suite;
      return (script, step) => {
        const recorded = record.scripts.find(({ name }) => name === script.name);
        const came = recorded?.steps.find(({ name }) => name === step.name)?.received.length;
        return came === undefined ? null : expectedFrames(`${suite.name}/${script.name}`, step.name, came, lines);
      };
    },
  });
  return new Map(
    suites.map((suite) => {
      const ours = played.get(suite.name) ?? new Error("not played");
      return [suite.name, ours instanceof Error ? ours : compareSuites(suite, readRecord(suite.name).suite, ours)];
    }),
  );
}

/** The same for the suites that are played on a moved clock, all of them. */
export async function compareClockWithRecord(): Promise<Map<string, Found[]>> {
  const host = await createHost();
  try {
    const program = host.start([process.execPath, join(import.meta.dir, "clock-player.ts")]);
    const exitCode = await program.waitForExit(CLOCK_MS);
    if (exitCode !== 0) throw new Error(`clock-player.ts ended with ${exitCode}:\n${program.output}`);
    const played = JSON.parse(program.output.trim().split("\n").at(-1) ?? "") as PlayedSuite[];
    return new Map(
      clockSuites.map((suite, i) => [suite.name, compareSuites(suite, readRecord(suite.name).suite, played[i])]),
    );
  } finally {
    await host.close();
  }
}
