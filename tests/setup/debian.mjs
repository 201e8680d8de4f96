// The Debian packages that real guests need. Each is recognised by a file we use, so whoever has the program from somewhere else
// is not asked to install it again.

import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";

const kernelWithModules = () =>
  existsSync("/lib/modules") &&
  readdirSync("/lib/modules").some(
    (release) => existsSync(`/boot/vmlinuz-${release}`) && existsSync(`/lib/modules/${release}/modules.dep`),
  );
const onPath = (name) =>
  ["/usr/bin", "/bin", "/usr/sbin", "/sbin", "/usr/local/bin"].some((d) => existsSync(`${d}/${name}`));
const libraryFolder = process.arch === "arm64" ? "aarch64-linux-gnu" : "x86_64-linux-gnu";

/** What the demo needs: a namespace, a User-Mode Linux guest, and two programs to put into it. */
const demoPackages = [
  ["iproute2", () => onPath("ip")],
  ["user-mode-linux", () => onPath("linux.uml")],
  ["busybox-static", () => onPath("busybox")],
  ["iperf3", () => onPath("iperf3")],
];

/** What the tests need besides. */
const testPackages = [
  ...demoPackages,
  ["qemu-system-x86", () => onPath("qemu-system-x86_64")],
  ["ipxe", () => existsSync("/usr/lib/ipxe/ipxe.lkrn")],
  ["linux-image-amd64", kernelWithModules],
  ["kmod", () => onPath("depmod")],
  ["xz-utils", () => onPath("xz")],
  ["tshark", () => onPath("tshark")],
  ["gcc", () => onPath("gcc")],
  ["man-db", () => onPath("man")],
  ["libc6-dev", () => existsSync(`/usr/lib/${libraryFolder}/libc.a`)],
];

/** Names of the Debian packages that are missing for `what` ("demo" or "test"). */
export function missingPackages(what) {
  const needed = what === "demo" ? demoPackages : testPackages;
  return needed.filter(([, present]) => !present()).map(([name]) => name);
}

/** Installs what is missing when root; otherwise throws with the line to type. */
export function installPackages(what) {
  const missing = missingPackages(what);
  if (missing.length === 0) return;
  const install = ["apt-get", "install", "-y", "--no-install-recommends", ...missing];
  if (process.getuid() !== 0) {
    throw new Error(`some Debian packages are missing; as root, run\n\n  apt-get update && ${install.join(" ")}\n`);
  }
  if (!onPath("apt-get")) throw new Error(`missing, and there is no apt-get here: ${missing.join(" ")}`);
  console.log(`setup: installing Debian packages: ${missing.join(" ")}`);
  for (const command of [
    ["apt-get", "update", "-qq"],
    [...install, "-qq"],
  ]) {
    const result = spawnSync(command[0], command.slice(1), {
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
    });
    if (result.status !== 0) throw new Error(`${command.join(" ")} failed:\n${result.stdout}${result.stderr}`);
  }
  const still = missingPackages(what);
  if (still.length > 0) throw new Error(`installed, but still not usable: ${still.join(" ")}`);
}
