// `bun tests/structure/check.ts`: the last part of `bun run check:rules`.

import { resolve } from "node:path";
import { floors } from "./floors.ts";
import { checkWorkspace, tableFaults } from "./rules.ts";
import { shownByFaults } from "./shown-by.ts";

const root = resolve(import.meta.dir, "../..");
const faults = [
  ...tableFaults(floors),
  ...checkWorkspace(root, floors),
  ...shownByFaults(root, "apps/passt-ts/README.md"),
];
for (const fault of faults) console.error(fault);
console.log(
  faults.length === 0
    ? "The table of floors holds, and the daemon's README names tests that there are."
    : `${faults.length} faults against the table of floors, or in the tables of the daemon's README.`,
);
process.exit(faults.length === 0 ? 0 : 1);
