// Tries the command lines of a share, in namespaces of its own that play-lines.ts made; writes what came of them.
//
// player.ts SHARE SHARES COMMAND...

import { commandLines } from "./lines.ts";
import type { TriedLine } from "./tried-line.ts";
import { tryLine } from "./try-line.ts";

const [share, shares, ...command] = process.argv.slice(2);
const tried: TriedLine[] = [];
for (const [index, line] of commandLines.entries()) {
  if (index % Number(shares) === Number(share)) tried.push(await tryLine(command, line));
}
await Bun.write(Bun.stdout, `${JSON.stringify(tried)}\n`);
process.exit(0);
