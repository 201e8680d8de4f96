// QEMU of the newest Debian (sid), with a kernel of its for virtual machines: QEMU runs in place, with its own dynamic linker and
// libraries.

import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { type DebianSid, keptFromSid } from "./debian-sid.ts";
import { cacheFolder, type Kernel } from "./image.ts";
import { runToEnd } from "./process.ts";
import type { Qemu } from "./qemu.ts";

export interface QemuAndKernel {
  readonly qemu: Qemu;
  readonly kernel: Kernel;
}

const libraries = "usr/lib/x86_64-linux-gnu";
/** All of QEMU's packages that a machine without graphics, sound and firmware of its card needs. */
const neededPaths = ["usr/bin/qemu-system-x86_64", libraries, "usr/share/qemu", "usr/share/seabios"];

function makeQemu(folder: string, sid: DebianSid): void {
  const work = join(folder, "unpacked");
  sid.unpackWithNeeds(["qemu-system-x86"], work);
  for (const path of neededPaths) {
    const target = join(folder, path);
    mkdirSync(dirname(target), { recursive: true });
    renameSync(join(work, path), target);
  }
  rmSync(work, { recursive: true });
}

/** The package of a kernel comes in several parts, and without the table of what its modules need. */
function makeKernel(folder: string, sid: DebianSid): void {
  const [image] = sid.needsOf("linux-image-cloud-amd64").filter((name) => /^linux-image-\d/.test(name));
  const parts = sid.needsOf(image).filter((name) => /^linux-(?:binary|modules)-\d/.test(name));
  sid.unpack([image, ...parts], folder);
  // depmod looks for modules in lib/ only.
  if (!existsSync(join(folder, "lib"))) symlinkSync("usr/lib", join(folder, "lib"));
  const [release] = readdirSync(join(folder, "lib/modules"));
  runToEnd(["/sbin/depmod", "-b", folder, release]);
}

function describe(folder: string): QemuAndKernel {
  const library = join(folder, libraries);
  const path = (name: string): string => join(folder, name);
  const [release] = readdirSync(path("kernel/lib/modules"));
  const modules = path(`kernel/lib/modules/${release}`);
  const executables = [join(modules, "vmlinuz"), path(`kernel/boot/vmlinuz-${release}`)];
  const executable = executables.find((name) => existsSync(name));
  if (executable === undefined) throw new Error(`no kernel in ${folder}`);
  const linker = [join(library, "ld-linux-x86-64.so.2"), "--library-path", `${library}:${library}/pulseaudio`];
  const data = ["-L", path("usr/share/qemu"), "-L", path("usr/share/seabios")];
  return {
    qemu: { command: [...linker, path("usr/bin/qemu-system-x86_64"), ...data], card: "" },
    kernel: { kind: "qemu", executable, modules, folder: "/", environment: {} },
  };
}

/** The newest QEMU, and a kernel. @throws Error where they cannot be had */
export function newestQemu(): QemuAndKernel {
  mkdirSync(cacheFolder, { recursive: true });
  const folder = keptFromSid(cacheFolder, "qemu-newest", (work, sid) => {
    makeQemu(work, sid);
    makeKernel(join(work, "kernel"), sid);
  });
  if (typeof folder !== "string") throw new Error(`the newest QEMU cannot be had here: ${folder.missing}`);
  return describe(folder);
}
