// Entry of `npm run demo` and `npm test`: brings a bare Debian machine with Node and npm to the point where everything runs, then
// runs it. Plain Node, no dependencies. Safe to call again and again; quick when nothing is missing.

import { spawn, spawnSync } from "node:child_process";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { findOrInstallBun } from "./bun.mjs";
import { installPackages } from "./debian.mjs";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "../..");

const turbo = ["bun", "run", "turbo", "run"];
const report = ["--reporter=junit", "--reporter-outfile=.test-report.xml"];

const commands = {
  demo: [["bun", "tests/guests/demo.ts"]],
  // Packages first, then (they depend on all packages) the tests that cross packages, real guests included. One after the other:
  // some need two processors to themselves, and time-outs are to mean that something hangs.
  // The reports are for the last step, which holds that the tests named in the daemon's README have passed.
  test: [
    [...turbo, "test", "--concurrency=1", "--continue=always", "--output-logs=full", "--", ...report],
    ["bun", "tests/structure/run-shown.ts", "--from-reports"],
  ],
  setup: [],
};

/** Installs what `what` needs; returns the environment in which `bun` is the pinned one. */
function setUp(what) {
  if (process.platform !== "linux") throw new Error("passt-ts runs on Linux only");
  const bun = findOrInstallBun(root);
  const path = bun === "bun" ? process.env.PATH : `${dirname(bun)}:${process.env.PATH}`;
  const env = { ...process.env, PATH: path, TURBO_TELEMETRY_DISABLED: "1", DO_NOT_TRACK: "1" };
  const result = spawnSync(bun, ["install", "--frozen-lockfile"], { cwd: root, env, encoding: "utf8" });
  if (result.status !== 0) throw new Error(`bun install failed:\n${result.stdout}${result.stderr}`);
  installPackages(what === "demo" ? "demo" : "test");
  return env;
}

/** Runs a command with our terminal; passes signals on and waits, so that the command can put everything away. Its exit code. */
function run(command, env) {
  const child = spawn(command[0], command.slice(1), { cwd: root, env, stdio: ["ignore", "inherit", "inherit"] });
  const passOn = (signal) => child.kill(signal);
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"];
  for (const signal of signals) process.on(signal, passOn);
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code) => {
      for (const signal of signals) process.off(signal, passOn);
      resolve(code ?? 1);
    });
  });
}

const what = process.argv[2];
if (!Object.hasOwn(commands, what)) {
  console.error(`usage: node ${join("tests/setup/run.mjs")} ${Object.keys(commands).join("|")}`);
  process.exit(2);
}
try {
  const env = setUp(what);
  for (const command of commands[what]) {
    process.exitCode = await run(command, env);
    if (process.exitCode !== 0) break;
  }
} catch (error) {
  console.error(`setup: ${error.message}`);
  process.exit(1);
}
