// The record of command lines: record/command-lines.json.

import { readFileSync, writeFileSync } from "node:fs";
import { release } from "node:os";
import { join } from "node:path";
import { recordFolder } from "../record-file.ts";
import { lineHostSetUp, playLines } from "./play-lines.ts";
import type { CommandLineRecord } from "./tried-line.ts";

/** What these are called among the suites. */
export const commandLinesName = "command-lines";

const path: string = join(recordFolder, `${commandLinesName}.json`);

/** Tries all lines with a passt, and writes down what came of them; how many there are. */
export async function recordCommandLines(passt: string, version: string): Promise<number> {
  const tried = await playLines([passt, "--vhost-user"]);
  // What it says is for readers of the record: the first line does, without what differs from machine to machine.
  const lines = tried.map((one) => ({
    ...one,
    says: one.says.slice(0, 1).map((text) => text.replaceAll(passt, "passt").replace(/\/proc\/\d+/, "/proc/PID")),
  }));
  const [date] = new Date().toISOString().split("T");
  const record: CommandLineRecord = {
    version,
    date,
    kernel: release().split("-")[0],
    hostSetUp: lineHostSetUp,
    lines,
  };
  writeFileSync(path, `${JSON.stringify(record, null, 1)}\n`);
  return lines.length;
}

/** @throws Error when none were recorded. */
export function readCommandLines(): CommandLineRecord {
  return JSON.parse(readFileSync(path, "utf8")) as CommandLineRecord;
}
