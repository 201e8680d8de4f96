import { expect, test } from "bun:test";
import { dirname } from "node:path";

// The taps of these tests live in a network namespace that goes with the process in it. As root that is all it takes;
// anybody else gets a user namespace around it, where the system allows that.
const FLAGS: readonly string[] = process.getuid?.() === 0 ? ["-n"] : ["-Urn"];

for (const [what, file] of [
  ["keep the contract of a back-end", "real-tap-contract.ts"],
  ["are opened, adopted, refused, lost and found again", "real-tap-life.ts"],
  ["carry segments between the host's network stack and a guest", "real-tap-offload.ts"],
]) {
  test(`taps of the kernel ${what}`, async () => {
    const command = ["unshare", ...FLAGS, "--", process.execPath, "test", `./src/testing/${file}`];
    const run = Bun.spawn(command, { cwd: dirname(import.meta.dir), stdout: "pipe", stderr: "pipe" });
    const said = (await new Response(run.stdout).text()) + (await new Response(run.stderr).text());
    if ((await run.exited) !== 0) throw new Error(`in a network namespace of its own:\n${said}`);
    expect(said).toMatch(/[1-9]\d* pass\n\s*0 fail/);
  }, 60_000);
}
