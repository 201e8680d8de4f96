// User-Mode Linux of the newest Debian (sid). It wants a newer libc than a stable Debian has, so that comes along, and the kernel is
// pointed at it.

import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { keptFromSid } from "./debian-sid.ts";

export interface UmlTree {
  /** Folder to start the kernel in: its program interpreter is a relative path. */
  readonly folder: string;
  readonly executable: string;
  readonly modules: string;
  readonly environment: Record<string, string>;
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

/** Brings libraries and kernel where the tree is said to have them. */
function arrange(folder: string): void {
  const libraries = join(folder, "usr/lib/x86_64-linux-gnu");
  mkdirSync(join(folder, "lib"));
  for (const name of ["libc.so.6", "ld-linux-x86-64.so.2"]) {
    renameSync(join(libraries, name), join(folder, "lib", name));
  }
  const executable = readFileSync(join(folder, "usr/bin/linux.uml"));
  setInterpreter(executable, "lib/ld-linux-x86-64.so.2");
  writeFileSync(join(folder, "linux.uml"), executable, { mode: 0o755 });
}

/** The newest User-Mode Linux, or the reason why it cannot be had here. */
export function newestUml(cache: string): UmlTree | { readonly missing: string } {
  const folder = keptFromSid(cache, "uml-newest", (work, sid) => {
    sid.unpack(["user-mode-linux", "libc6"], work);
    arrange(work);
  });
  if (typeof folder !== "string") return folder;
  const modulesRoot = join(folder, "usr/lib/uml/modules");
  return {
    folder,
    executable: join(folder, "linux.uml"),
    modules: join(modulesRoot, readdirSync(modulesRoot)[0]),
    environment: { LD_LIBRARY_PATH: join(folder, "lib") },
  };
}
