/**
 * Runs a script as root of namespaces of its own, which end with it; what it wrote to standard output, parsed as JSON.
 *
 * @param kinds of namespaces: n network, m mounts.
 */
export function reportFromNamespace<T>(script: string, kinds: "n" | "nm" = "n"): T {
  const flags = process.getuid?.() === 0 ? `-${kinds}` : `-Ur${kinds}`;
  const run = Bun.spawnSync(["unshare", flags, process.execPath, script], { stdout: "pipe", stderr: "pipe" });
  if (run.exitCode !== 0) throw new Error(`${script}: ${run.stderr.toString()}${run.stdout.toString()}`);
  return JSON.parse(run.stdout.toString()) as T;
}

/** Runs ip(8) commands, one a line, in the namespace of this process. @throws Error when one fails. */
export function ip(commands: string): void {
  const lines = commands.split("\n").map((line) => line.trim());
  for (const line of lines.filter((text) => text !== "")) {
    const run = Bun.spawnSync(["ip", ...line.split(" ")], { stderr: "pipe" });
    if (run.exitCode !== 0) throw new Error(`ip ${line}: ${run.stderr.toString()}`);
  }
}
