// Packages of the newest Debian (sid), unpacked beside the system: fetched by apt with their signatures checked, and kept.

import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runToEnd } from "./process.ts";

const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
const attemptAfterMs = 6 * 3600_000;

/** The Debian mirror that the machine uses. @throws Error without one */
function mirror(): string {
  const folder = "/etc/apt/sources.list.d";
  const files = existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : [];
  for (const file of ["/etc/apt/sources.list", ...files]) {
    const found =
      existsSync(file) && /^(?:URIs:|deb\s(?:\[.*\]\s*)?)\s*(\S+\/debian\/?)(?:\s|$)/m.exec(readFileSync(file, "utf8"));
    if (found) return found[1];
  }
  throw new Error("apt's sources name no Debian mirror");
}

/** What sid has, for as long as this lives. The system's own packages are not looked at, and nothing is installed. */
export class DebianSid implements Disposable {
  readonly #state: string;
  readonly #archives: string;
  readonly #options: readonly string[];

  /** Fetches the list of packages into `state`, a folder that is made here and removed in the end. @throws Error */
  constructor(state: string) {
    if (!existsSync(keyring)) throw new Error(`${keyring} is missing, so signatures cannot be checked`);
    this.#state = state;
    this.#archives = join(state, "archives");
    for (const name of ["lists/partial", "archives/partial"]) mkdirSync(join(state, name), { recursive: true });
    writeFileSync(join(state, "sources.list"), `deb [signed-by=${keyring}] ${mirror()} sid main\n`);
    writeFileSync(join(state, "status"), "");
    this.#options = [
      `Dir::Etc::SourceList=${state}/sources.list`,
      "Dir::Etc::SourceParts=-",
      `Dir::State=${state}`,
      `Dir::State::Lists=${state}/lists`,
      `Dir::State::status=${state}/status`,
      `Dir::Cache=${state}`,
      `Dir::Cache::archives=${this.#archives}`,
      "Acquire::Languages=none",
      "Acquire::PDiffs=false",
      "Acquire::Retries=1",
      "Acquire::http::Timeout=20",
      "APT::Sandbox::User=root",
      "Acquire::AllowInsecureRepositories=false",
      "APT::Get::AllowUnauthenticated=false",
    ].map((option) => `-o${option}`);
    // Without this, apt-get update ends with 0 although a list could not be fetched or verified.
    runToEnd(["apt-get", ...this.#options, "-oAPT::Update::Error-Mode=any", "-qq", "update"]);
  }

  /** Names of the packages that this one needs. */
  needsOf(name: string): string[] {
    const output = runToEnd(["apt-cache", ...this.#options, "depends", "--important", name]);
    return [...output.matchAll(/^\s+\|?(?:Pre)?Depends: ([^\s<>]+)$/gm)].map(([, needed]) => needed);
  }

  /** Unpacks these packages, and no others, into `folder`. */
  unpack(names: readonly string[], folder: string): void {
    runToEnd(["apt-get", ...this.#options, "-qq", "download", ...names], { cwd: this.#archives });
    this.#unpackArchives(folder);
  }

  /** Unpacks these packages and all that they need into `folder`. */
  unpackWithNeeds(names: readonly string[], folder: string): void {
    const flags = ["-qq", "-y", "--no-install-recommends", "--download-only"];
    runToEnd(["apt-get", ...this.#options, ...flags, "install", ...names]);
    this.#unpackArchives(folder);
  }

  #unpackArchives(folder: string): void {
    for (const name of readdirSync(this.#archives)) {
      if (!name.endsWith(".deb")) continue;
      const archive = join(this.#archives, name);
      runToEnd(["dpkg", "-x", archive, folder]);
      rmSync(archive);
    }
  }

  [Symbol.dispose](): void {
    rmSync(this.#state, { recursive: true, force: true });
  }
}

/**
 * The folder of that name in `cache`, made by `make` where it is not there yet, or why it cannot be had: that is kept as well,
 * for some hours. `make` gets an empty folder, whose files may not depend on where it lies, and what sid has.
 */
export function keptFromSid(
  cache: string,
  name: string,
  make: (folder: string, sid: DebianSid) => void,
): string | { readonly missing: string } {
  if (process.arch !== "x64") return { missing: `there is none for ${process.arch}` };
  const folder = join(cache, name);
  const failure = `${folder}.failed`;
  if (existsSync(folder)) return folder;
  if (existsSync(failure) && Date.now() - Bun.file(failure).lastModified < attemptAfterMs) {
    return { missing: readFileSync(failure, "utf8") };
  }
  const work = `${folder}.${process.pid}`;
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  try {
    {
      using sid = new DebianSid(join(work, "apt"));
      make(work, sid);
    }
    if (!existsSync(folder)) renameSync(work, folder);
    rmSync(failure, { force: true });
    return folder;
  } catch (error) {
    const missing = error instanceof Error ? error.message : String(error);
    writeFileSync(failure, missing);
    return { missing };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
