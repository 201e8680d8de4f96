// Each package's README opens with an example that checks itself: here they are run as they stand.

import { expect, test } from "bun:test";
import { resolve } from "node:path";
import { exampleOf, packageNames } from "./examples.ts";

// From here @passt-ts/* can be imported, since the tests depend on all packages.
const cwd = resolve(import.meta.dir, "..");

for (const name of packageNames) {
  test(`the example of ${name} runs`, async () => {
    const example = exampleOf(name);
    if (example === null) throw new Error(`packages/${name}/README.md has no \`\`\`ts block`);
    expect(example).toContain(`"@passt-ts/${name}/`);
    const run = Bun.spawn([process.execPath, "-e", example], { cwd, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
    const said = (await new Response(run.stdout).text()) + (await new Response(run.stderr).text());
    if ((await run.exited) !== 0) throw new Error(`the example of ${name} failed:\n${said}`);
  }, 20_000);
}
