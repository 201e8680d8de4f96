// The examples that open each package's README.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";

const packages = resolve(import.meta.dir, "../../packages");

/** Names of all packages, without the scope. */
export const packageNames: readonly string[] = readdirSync(packages).sort();

/** The first ```ts block of a package's README; null without one. */
export function exampleOf(name: string): string | null {
  const path = join(packages, name, "README.md");
  if (!existsSync(path)) return null;
  return /^```ts\n([\s\S]*?)^```$/m.exec(readFileSync(path, "utf8"))?.[1] ?? null;
}
