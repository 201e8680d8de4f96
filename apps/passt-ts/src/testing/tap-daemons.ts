/** Daemons on taps; for a test that made a network namespace for them. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { assertOwnNamespace, run } from "@passt-ts/backend-tap/testing/host-commands";
import { TEST_ETHER_TYPE, testFrame } from "@passt-ts/backend-tap/testing/tap-rig";
import { openTunDescriptor, TunFlag } from "@passt-ts/backend-tap/testing/tun-descriptor";
import { interfaceIndex } from "@passt-ts/linux/interface-status";
import { closeFd } from "@passt-ts/linux/owned-fd";
import { PacketSocket } from "@passt-ts/linux/testing/packet-socket";
import { TestFrontEnd } from "@passt-ts/vhost-user-device/testing/front-end";
import { Daemon, MAIN, sharedFolder } from "./daemon.ts";

/** What was seen of daemons on taps. */
export interface TapReport {
  /** MTU that the guest was told: the interface's own, that of -m, and of a descriptor from another network namespace. */
  readonly mtus: readonly number[];
  /** Lengths of frames that arrived at the host, and at the guest. */
  readonly carried: readonly number[];
  /** The groups of the last line of statistics. */
  readonly counted: readonly string[];
  /** Real user ids of the daemon. */
  readonly uid: number;
  readonly reopened: readonly string[];
  /** With a descriptor handed on to the background: exit code of the first process, and what was carried. */
  readonly inherited: readonly number[];
  /** Whether a new interface was there while the daemon ran, and afterwards. */
  readonly made: readonly boolean[];
}

const MTU_AT = 10;

/** A guest on a daemon, without anything that the driver would have to complete. */
class Guest implements Disposable {
  readonly frontEnd: TestFrontEnd;
  readonly mtu: number;

  constructor(socketPath: string) {
    this.frontEnd = new TestFrontEnd().connect(socketPath).boot({ features: 1n << 32n });
    const config = this.frontEnd.session.readConfig(0, MTU_AT + 2);
    this.mtu = new DataView(config.buffer, config.byteOffset).getUint16(MTU_AT, true);
  }

  /** Sends a frame each way until it arrives; the lengths of both. */
  async exchange(host: PacketSocket): Promise<number[]> {
    this.frontEnd.offerBuffers(8);
    let toHost: Uint8Array | null = null;
    for (let attempt = 0; attempt < 500 && toHost === null; attempt++) {
      this.frontEnd.send(testFrame(100, 1));
      await Bun.sleep(10);
      toHost = host.receive();
    }
    host.send(testFrame(200, 2));
    const [toGuest] = this.frontEnd.receiveMany(1);
    return [toHost?.length ?? 0, toGuest.bytes.length];
  }

  [Symbol.dispose](): void {
    this.frontEnd[Symbol.dispose]();
  }
}

function make(name: string, mtu: number, ...options: string[]): void {
  run("ip", "tuntap", "add", "dev", name, "mode", "tap", ...options);
  run("ip", "link", "set", name, "mtu", String(mtu), "up");
}

async function onInterface(): Promise<Pick<TapReport, "mtus" | "carried" | "counted" | "uid" | "reopened">> {
  make("tap0", 1400);
  await using daemon = await new Daemon(["-d", "--backend", "tap:tap0"]).ready();
  const { uid } = await Bun.file(`/proc/${daemon.pid}/status`)
    .text()
    .then((text) => ({ uid: Number(/^Uid:\s+(\d+)/m.exec(text)?.[1]) }));
  const guest = new Guest(daemon.socketPath);
  let host = new PacketSocket("tap0", TEST_ETHER_TYPE);
  const carried = await guest.exchange(host);
  host[Symbol.dispose]();
  const seen = daemon.log.length;
  const said = async (text: string): Promise<void> =>
    await daemon.until(() => daemon.log.slice(seen).includes(text), text);
  run("ip", "link", "del", "tap0");
  await said("until it is there again");
  // Root of a user namespace stays root, and may open everybody's; there are no other users.
  if (uid !== 0) {
    make("tap0", 1400, "user", "12345");
    await said("cannot be opened");
    run("ip", "link", "del", "tap0");
  }
  make("tap0", 1400, "user", String(uid));
  await said("is there again\n");
  host = new PacketSocket("tap0", TEST_ETHER_TYPE);
  carried.push(...(await guest.exchange(host)));
  host[Symbol.dispose]();
  guest[Symbol.dispose]();
  await daemon.until(() => daemon.log.includes("statistics: "), "the counters");
  const [statistics] = daemon.log.split("statistics: ").slice(-1);
  const reopened = [...daemon.log.slice(seen).matchAll(/(?:warning|info)?:? ?(tap0 [^\n]*)/g)].map(([, line]) => line);
  const counted = statistics.split("\n")[0].split("; ");
  daemon.signal("SIGTERM");
  await daemon.ended();
  await using other = await new Daemon(["-m", "9000", "--backend", "tap:tap0"]).ready();
  using told = new Guest(other.socketPath);
  return { mtus: [guest.mtu, told.mtu], carried, counted, uid, reopened };
}

async function onNewInterface(): Promise<boolean[]> {
  await using daemon = await new Daemon(["--backend", "tap:new0"]).ready();
  const made = [interfaceIndex("new0") > 0];
  daemon.signal("SIGTERM");
  await daemon.ended();
  return [...made, interfaceIndex("new0") > 0];
}

/** In the background, behind another descriptor, and from a namespace that has another interface of that name. */
async function onDescriptor(): Promise<{ readonly mtu: number; readonly inherited: number[] }> {
  const fd = openTunDescriptor("given0", TunFlag.tap | TunFlag.noPacketInformation);
  run("ip", "link", "set", "given0", "mtu", "1300", "up");
  const folder = sharedFolder();
  const [socket, pidPath] = [join(folder, "socket"), join(folder, "pid")];
  const args = ["-q", "-s", socket, "-P", pidPath, "--backend", "tap:fd=4"];
  const elsewhere = ["unshare", "-n", "sh", "-c", `ip tuntap add dev given0 mode tap; exec "$0" "$@"`];
  const started = Bun.spawnSync([...elsewhere, process.execPath, MAIN, ...args], {
    stdio: ["ignore", "inherit", "inherit", "ignore", fd],
  });
  closeFd(fd);
  try {
    using guest = new Guest(socket);
    using host = new PacketSocket("given0", TEST_ETHER_TYPE);
    return { mtu: guest.mtu, inherited: [started.exitCode, ...(await guest.exchange(host))] };
  } finally {
    process.kill(Number(await Bun.file(pidPath).text()), "SIGTERM");
    rmSync(folder, { recursive: true });
  }
}

assertOwnNamespace();
const { mtus, ...named } = await onInterface();
const { mtu, inherited } = await onDescriptor();
const report: TapReport = { ...named, mtus: [...mtus, mtu], inherited, made: await onNewInterface() };
process.stdout.write(JSON.stringify(report));
process.exit();
