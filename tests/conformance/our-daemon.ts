import { join, resolve } from "node:path";

/** The command line of our daemon. PASST_DAEMON names another one, for comparing by hand. */
export const ourCommand: readonly string[] = process.env.PASST_DAEMON?.split(" ") ?? [
  process.execPath,
  join(resolve(import.meta.dir, "../.."), "apps/passt-ts/src/main.ts"),
];
