// Starts a program with a command line, and sees whether it serves: it has written its pid file then.

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createSocketPair } from "@passt-ts/linux/unix-socket";
import { argumentsOf, files } from "./lines.ts";
import type { TriedLine } from "./tried-line.ts";

const LOOK_MS = 5;
const START_MS = 20_000;
const END_MS = 5000;

/** What the build of a distribution says of itself, whatever the command line. */
const UNASKED = /^Can't run AVX2 build/;

/** Tries a line; `command` runs the program. It finds a connected socket at descriptor 3, for -F. */
export async function tryLine(command: readonly string[], line: string): Promise<TriedLine> {
  const folder = mkdtempSync(join(tmpdir(), "line-"));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  const [ours, theirs] = createSocketPair();
  const [socket, pidFile] = [join(folder, "socket"), join(folder, "pid")];
  const fixed = ["-f", "-q", "-s", socket, "-P", pidFile];
  // Whatever ends us ends it.
  const own = ["setpriv", "--pdeathsig", "KILL", "--", ...command, ...fixed, ...argumentsOf(line, folder)];
  const child = Bun.spawn(own, { stdio: ["ignore", "pipe", "pipe", theirs.fd], cwd: folder });
  theirs.close();
  try {
    const texts = Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
    const written = argumentsOf(line, folder).includes("-P") ? join(folder, "text") : pidFile;
    const started = await isServing(child, written);
    child.kill("SIGTERM");
    const exitCode = await within(child.exited, END_MS);
    if (exitCode === null) throw new Error(`'${line}': does not end`);
    const [output, errors] = await texts;
    const says = errors.replaceAll(folder, "{dir}").split("\n");
    return {
      line,
      started,
      exitCode,
      writesOutput: output !== "",
      says: says.map((text) => text.trim()).filter((text) => text !== "" && !UNASKED.test(text)),
    };
  } finally {
    child.kill("SIGKILL");
    await child.exited;
    ours.close();
    rmSync(folder, { recursive: true });
  }
}

/** Whether it comes to serve, if only for a moment, or ends before. */
async function isServing(child: Bun.Subprocess, pidFile: string): Promise<boolean> {
  for (let waitedMs = 0; waitedMs < START_MS; waitedMs += LOOK_MS) {
    const hasEnded = child.exitCode !== null;
    if (existsSync(pidFile) && /^\d+\n$/.test(readFileSync(pidFile, "utf8"))) return true;
    if (hasEnded) return false;
    await Bun.sleep(LOOK_MS);
  }
  throw new Error("neither serves nor ends");
}

const within = <T>(promise: Promise<T>, timeMs: number): Promise<T | null> =>
  Promise.race([promise, Bun.sleep(timeMs).then(() => null)]);
