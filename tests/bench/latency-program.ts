// The program at both ends of a measurement of latency.

import { join } from "node:path";
import { runToEnd } from "../guests/process.ts";

/** Where the host's end listens. */
export const latencyPort = 7010;

/** Its file in the folder that it was compiled into. */
export const latencyName = "latency";

/** Compiles it into `folder`; guests and host run the same file. */
export function compileLatency(folder: string): string {
  const path = join(folder, latencyName);
  runToEnd(["gcc", "-O2", "-static", "-o", path, join(import.meta.dir, "latency.c")]);
  return path;
}
