// `bun tests/structure/check.ts`: the last part of `bun run check`.

import { resolve } from "node:path";
import { floors } from "./floors.ts";
import { checkWorkspace, tableFaults } from "./rules.ts";

const root = resolve(import.meta.dir, "../..");
const faults = [...tableFaults(floors), ...checkWorkspace(root, floors)];
for (const fault of faults) console.error(fault);
console.log(
  faults.length === 0 ? "The table of floors holds." : `${faults.length} faults against the table of floors.`,
);
process.exit(faults.length === 0 ? 0 : 1);
