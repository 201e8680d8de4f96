// What guests boot: kernels, and an initramfs for each made of busybox, iperf3, the traffic program and the kernel's own modules.

import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { CpioArchive } from "./cpio.ts";
import { newestUml } from "./newest-uml.ts";
import { runToEnd } from "./process.ts";

const here = import.meta.dir;

/** Downloads and builds worth keeping; ignored by git. */
export const cacheFolder: string = resolve(here, "../../node_modules/.cache/passt-ts");

/** A kernel that can be booted, and how. */
export interface Kernel {
  readonly kind: "uml" | "qemu";
  readonly executable: string;
  readonly modules: string;
  readonly folder: string;
  readonly environment: Record<string, string>;
}

export type KernelName = "uml-debian" | "uml-newest" | "qemu-debian";

const wantedModules = ["ipv6", "virtio_uml", "virtio_pci", "virtio_net"];

function umlDebian(): Kernel {
  const root = "/usr/lib/uml/modules";
  return {
    kind: "uml",
    executable: "/usr/bin/linux.uml",
    modules: join(root, readdirSync(root)[0]),
    folder: "/",
    environment: {},
  };
}

function qemuDebian(): Kernel {
  const releases = readdirSync("/lib/modules").filter((release) => existsSync(`/boot/vmlinuz-${release}`));
  const release = releases.sort().at(-1);
  if (release === undefined) throw new Error("no kernel in /boot with modules in /lib/modules");
  return {
    kind: "qemu",
    executable: `/boot/vmlinuz-${release}`,
    modules: `/lib/modules/${release}`,
    folder: "/",
    environment: {},
  };
}

/** The kernel of that name, or why it cannot be had. */
export function findKernel(name: KernelName): Kernel | { readonly missing: string } {
  if (name === "uml-debian") return umlDebian();
  if (name === "qemu-debian") return qemuDebian();
  mkdirSync(cacheFolder, { recursive: true });
  const tree = newestUml(cacheFolder);
  return "missing" in tree ? tree : { kind: "uml", ...tree };
}

/** Module files to load for `wanted`, dependencies first. Modules that are built in, or unknown to this kernel, are left out. */
function moduleFiles(modules: string, wanted: readonly string[]): string[] {
  const dependencies = new Map<string, string[]>();
  for (const line of readFileSync(join(modules, "modules.dep"), "utf8").split("\n")) {
    const [file, rest] = line.split(":");
    if (rest !== undefined) dependencies.set(file, rest.trim().split(" ").filter(Boolean));
  }
  const order: string[] = [];
  const add = (file: string): void => {
    if (order.includes(file)) return;
    for (const other of dependencies.get(file) ?? []) add(other);
    order.push(file);
  };
  for (const name of wanted) {
    const file = [...dependencies.keys()].find(
      (path) =>
        basename(path)
          .replace(/\.ko.*$/, "")
          .replaceAll("-", "_") === name,
    );
    if (file !== undefined) add(file);
  }
  return order;
}

function addModules(archive: CpioArchive, modules: string): void {
  const names: string[] = [];
  for (const file of moduleFiles(modules, wantedModules)) {
    const path = join(modules, file);
    const compressed = { ".xz": "xz", ".zst": "zstd", ".gz": "gzip" }[/\.(xz|zst|gz)$/.exec(file)?.[0] ?? ""];
    const name = basename(file).replace(/\.ko.*$/, ".ko");
    const data =
      compressed === undefined
        ? readFileSync(path)
        : Bun.spawnSync([compressed, "-dc", path], { stdout: "pipe" }).stdout;
    archive.addFile(`modules/${name}`, data);
    names.push(name);
  }
  archive.addFile("modules/order", names.map((name) => `${name}\n`).join(""));
}

/** Adds a program of the host with the shared libraries it needs. */
function addProgram(archive: CpioArchive, path: string): void {
  archive.addFile(`bin/${basename(path)}`, readFileSync(path), "executable");
  const libraries = Bun.spawnSync(["ldd", path], { stdout: "pipe", stderr: "ignore" }).stdout.toString();
  for (const [library] of libraries.matchAll(/\/\S+/g))
    archive.addFile(library.slice(1), readFileSync(library), "executable");
}

/** The traffic program, compiled into `folder`; guests and host run the same file. */
export function compileTraffic(folder: string): string {
  const path = join(folder, "traffic");
  runToEnd(["gcc", "-O2", "-Wall", "-static", "-o", path, join(here, "traffic.c")]);
  return path;
}

/** The initramfs for a kernel; `programs` are files of the host to put into /bin. */
export function buildInitramfs(kernel: Kernel, programs: readonly string[]): Uint8Array {
  const archive = new CpioArchive();
  for (const name of ["proc", "sys", "dev", "tmp", "etc", "sbin"]) archive.addDirectory(name);
  archive.addCharacterDevice("dev/console", 5, 1);
  archive.addCharacterDevice("dev/null", 1, 3);
  archive.addFile("init", readFileSync(join(here, "image/init")), "executable");
  archive.addFile("etc/udhcpc", readFileSync(join(here, "image/udhcpc")), "executable");
  archive.addFile("bin/busybox", readFileSync(busybox()), "executable");
  addModules(archive, kernel.modules);
  for (const program of programs) addProgram(archive, program);
  return archive.finish();
}

/** An initramfs that only says the SHA-256 of the bytes it carries, as "payload HASH", and powers off. */
export function buildPayloadInitramfs(payload: Uint8Array): Uint8Array {
  const archive = new CpioArchive();
  for (const name of ["proc", "dev"]) archive.addDirectory(name);
  archive.addCharacterDevice("dev/console", 5, 1);
  archive.addFile("bin/busybox", readFileSync(busybox()), "executable");
  archive.addFile("payload", payload);
  const script = [
    "#!/bin/busybox sh",
    'echo "payload $(/bin/busybox sha256sum </payload)"',
    "/bin/busybox poweroff -f",
    "",
  ];
  archive.addFile("init", script.join("\n"), "executable");
  return archive.finish();
}

/** Busybox as the guest needs it: static. */
function busybox(): string {
  const path = Bun.which("busybox");
  if (path === null) throw new Error("no busybox: install busybox-static");
  return join(dirname(path), "busybox");
}
