// Runs inside the namespace: a line of its standard input is a list of HostAction as JSON, answered with "done"; what the sockets see
// is reported as "event NAME WHAT". Ends with its standard input.

import { createInterface } from "node:readline";
import { HostSockets } from "./host-sockets.ts";
import type { HostAction } from "./script.ts";

const sockets = new HostSockets((event) => console.log(`event ${event}`));
console.log("ready");
for await (const line of createInterface({ input: process.stdin })) {
  for (const action of JSON.parse(line) as HostAction[]) await sockets.run(action);
  console.log("done");
}
process.exit(0);
