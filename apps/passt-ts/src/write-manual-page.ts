// `bun run man`: writes the manual page from the table of options.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { manualPage } from "./manual-page.ts";

const folder = join(import.meta.dir, "../man");
mkdirSync(folder, { recursive: true });
writeFileSync(join(folder, "passt-ts.1"), manualPage());
