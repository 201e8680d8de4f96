// User-Mode Linux of the newest Debian (sid), unpacked beside the system: fetched by apt with its signatures checked, kept in the
// cache. It wants a newer libc than a stable Debian has, so that comes along, and the kernel is pointed at it.

import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runToEnd } from "./process.ts";

const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
const packages = ["user-mode-linux", "libc6"];
const attemptAfterMs = 6 * 3600_000;

export interface UmlTree {
  /** Folder to start the kernel in: its program interpreter is a relative path. */
  readonly folder: string;
  readonly executable: string;
  readonly modules: string;
  readonly environment: Record<string, string>;
}

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

/**
 * Points an ELF file at another program interpreter, in place: the old path's bytes are overwritten, so the new one may not be
 * longer. A relative path is looked up in the folder the program is started in.
 */
function setInterpreter(executable: Uint8Array, path: string): void {
  const view = new DataView(executable.buffer, executable.byteOffset, executable.byteLength);
  const headers = Number(view.getBigUint64(32, true));
  const headerBytes = view.getUint16(54, true);
  for (let i = 0; i < view.getUint16(56, true); i++) {
    const at = headers + i * headerBytes;
    const interpreter = 3;
    if (view.getUint32(at, true) !== interpreter) continue;
    const offset = Number(view.getBigUint64(at + 8, true));
    const size = Number(view.getBigUint64(at + 32, true));
    if (path.length >= size) throw new Error(`the interpreter's path has no room for ${path}`);
    executable.fill(0, offset, offset + size);
    executable.set(new TextEncoder().encode(path), offset);
    return;
  }
  throw new Error("the executable names no interpreter");
}

function fetchPackages(folder: string): void {
  if (!existsSync(keyring)) throw new Error(`${keyring} is missing, so signatures cannot be checked`);
  const state = join(folder, "apt");
  for (const name of ["lists/partial", "archives/partial"]) mkdirSync(join(state, name), { recursive: true });
  writeFileSync(join(state, "sources.list"), `deb [signed-by=${keyring}] ${mirror()} sid main\n`);
  const options = [
    `Dir::Etc::SourceList=${state}/sources.list`,
    "Dir::Etc::SourceParts=-",
    `Dir::State::Lists=${state}/lists`,
    `Dir::Cache=${state}`,
    `Dir::Cache::archives=${state}/archives`,
    "Acquire::Languages=none",
    "Acquire::PDiffs=false",
    "Acquire::Retries=1",
    "Acquire::http::Timeout=20",
    "APT::Sandbox::User=root",
    "Acquire::AllowInsecureRepositories=false",
    "APT::Get::AllowUnauthenticated=false",
  ].map((option) => `-o${option}`);
  // Without this, apt-get update ends with 0 although a list could not be fetched or verified.
  runToEnd(["apt-get", ...options, "-oAPT::Update::Error-Mode=any", "-qq", "update"]);
  runToEnd(["apt-get", ...options, "-qq", "download", ...packages], { cwd: folder });
  for (const name of readdirSync(folder)) {
    if (!name.endsWith(".deb")) continue;
    runToEnd(["dpkg", "-x", name, "."], { cwd: folder });
    rmSync(join(folder, name));
  }
  rmSync(state, { recursive: true });
}

function describe(folder: string): UmlTree {
  const modulesRoot = join(folder, "usr/lib/uml/modules");
  return {
    folder,
    executable: join(folder, "linux.uml"),
    modules: join(modulesRoot, readdirSync(modulesRoot)[0]),
    environment: { LD_LIBRARY_PATH: join(folder, "lib") },
  };
}

function build(folder: string): void {
  const work = `${folder}.${process.pid}`;
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  try {
    fetchPackages(work);
    const libraries = join(work, "usr/lib/x86_64-linux-gnu");
    mkdirSync(join(work, "lib"));
    for (const name of ["libc.so.6", "ld-linux-x86-64.so.2"])
      renameSync(join(libraries, name), join(work, "lib", name));
    const executable = readFileSync(join(work, "usr/bin/linux.uml"));
    setInterpreter(executable, "lib/ld-linux-x86-64.so.2");
    writeFileSync(join(work, "linux.uml"), executable, { mode: 0o755 });
    rmSync(folder, { recursive: true, force: true });
    renameSync(work, folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** The newest User-Mode Linux, or the reason why it cannot be had here. */
export function newestUml(cache: string): UmlTree | { readonly missing: string } {
  if (process.arch !== "x64") return { missing: `Debian has no User-Mode Linux for ${process.arch}` };
  const folder = join(cache, "uml-newest");
  const failure = join(cache, "uml-newest.failed");
  if (existsSync(join(folder, "linux.uml"))) return describe(folder);
  if (existsSync(failure) && Date.now() - Bun.file(failure).lastModified < attemptAfterMs) {
    return { missing: readFileSync(failure, "utf8") };
  }
  try {
    build(folder);
    rmSync(failure, { force: true });
    return describe(folder);
  } catch (error) {
    const missing = error instanceof Error ? error.message : String(error);
    writeFileSync(failure, missing);
    return { missing };
  }
}
