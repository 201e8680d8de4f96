// Records as files: record/NAME.json.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { RecordFile } from "./played.ts";

export const recordFolder: string = join(import.meta.dir, "record");

const pathOf = (name: string): string => join(recordFolder, `${name}.json`);

export function writeRecord(record: RecordFile): void {
  writeFileSync(pathOf(record.suite.name), `${JSON.stringify(record, null, 1)}\n`);
}

/** @throws Error when the suite was never recorded. */
export function readRecord(name: string): RecordFile {
  const path = pathOf(name);
  if (!existsSync(path)) throw new Error(`${name} was never recorded: bun run conformance:record -- --passt PATH`);
  return JSON.parse(readFileSync(path, "utf8")) as RecordFile;
}
