// Finds the Bun that package.json pins, or installs it through npm into node_modules/.cache (ignored by git, not touched by
// `bun install`). Nothing but Node's own modules: this runs before anything is installed.

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** The version in package.json's `packageManager` field. */
export function pinnedBunVersion(root) {
  const { packageManager } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const version = /^bun@(\d+\.\d+\.\d+)$/.exec(packageManager)?.[1];
  if (version === undefined) throw new Error(`package.json: packageManager is "${packageManager}", not bun@X.Y.Z`);
  return version;
}

/** The version a Bun executable reports, or null when it does not run. */
export function bunVersion(executable) {
  const result = spawnSync(executable, ["--version"], { encoding: "utf8" });
  return result.status === 0 ? result.stdout.trim() : null;
}

// npm chooses among these by CPU and libc; which ones it brings differs between its versions, so each is tried.
const executables = ["bun-linux-x64", "bun-linux-x64-baseline", "bun-linux-aarch64"];

function installedBun(folder, version) {
  for (const name of executables) {
    const executable = join(folder, "node_modules/@oven", name, "bin/bun");
    if (existsSync(executable) && bunVersion(executable) === version) return executable;
  }
  return null;
}

/** Path of a Bun of the pinned version: the one on PATH, one installed earlier, or one npm installs now. */
export function findOrInstallBun(root) {
  const version = pinnedBunVersion(root);
  if (bunVersion("bun") === version) return "bun";
  const folder = join(root, "node_modules/.cache/passt-ts/bun", version);
  const present = installedBun(folder, version);
  if (present !== null) return present;

  console.log(`setup: installing bun ${version} through npm`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), '{ "private": true }\n');
  // The package's postinstall script only links the executable, and npm may be told to block scripts: we do without it.
  const flags = ["--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"];
  const result = spawnSync("npm", ["install", "--prefix", folder, ...flags, `bun@${version}`], {
    cwd: folder,
    stdio: ["ignore", "inherit", "inherit"],
  });
  if (result.status !== 0) throw new Error(`npm could not install bun ${version}`);
  const installed = installedBun(folder, version);
  if (installed === null) throw new Error(`npm installed bun ${version}, but no executable in ${folder} runs`);
  return installed;
}
