import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { bindSocket, localAddress, openSocket } from "@passt-ts/linux/inet-socket";
import { closeFd, type OwnedFd } from "@passt-ts/linux/owned-fd";
import { SocketAddress } from "@passt-ts/linux/socket-address";
import { AF_INET, SOCK_STREAM } from "@passt-ts/linux/socket-constants";
import { bindUnixDatagram, receiveUnixDatagram } from "@passt-ts/linux/unix-datagram";
import { createSocketPair } from "@passt-ts/linux/unix-socket";
import { TestFrontEnd } from "@passt-ts/vhost-user-device/testing/front-end";
import { hasFeature, ProtocolFeature } from "@passt-ts/vhost-user-proto/features";
import manifest from "../package.json" with { type: "json" };
import { readStarter } from "./identity.ts";
import { ARP_LINK, ARP_REPLY, askForGateway } from "./testing/arp-exchange.ts";
import { Daemon, MAIN, runToEnd, sharedFolder } from "./testing/daemon.ts";

const STARTER = readStarter();
const isRoot: boolean = STARTER.uid === 0 && STARTER.inFirstUserNamespace;
/** Runs a command where mounts are its own. */
const WORKSPACE: string = resolve(import.meta.dir, "../../..");
const OWN_MOUNTS: readonly string[] = ["unshare", isRoot ? "-m" : "-Urm"];

let folder = "";
beforeEach(() => {
  folder = sharedFolder();
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function until(condition: () => boolean, what: string): Promise<void> {
  for (let i = 0; i < 1000; i++) {
    if (condition()) return;
    await Bun.sleep(5);
  }
  throw new Error(`waited in vain for ${what}`);
}

const isAlive = (pid: number): boolean => existsSync(`/proc/${pid}`);

/** Real, effective, saved and file-system ids of all threads of a process, each combination once. */
function identitiesOf(pid: number): string[] {
  const lines = readdirSync(`/proc/${pid}/task`).map((task) => {
    const status = readFileSync(`/proc/${pid}/task/${task}/status`, "utf8");
    return ["Uid", "Gid", "Groups"]
      .map((key) => new RegExp(`^${key}:[ \\t]*(.*?)[ \\t]*$`, "m").exec(status)?.[1])
      .join("|");
  });
  return [...new Set(lines.map((line) => line.replace(/\s+/g, " ")))];
}

test("unlike passt: --print-capabilities: JSON on standard output, exit code 0", () => {
  const { exitCode, stdout, stderr } = runToEnd(["--print-capabilities", "--fd=3"]);
  expect([exitCode, stderr]).toEqual([0, ""]);
  expect(JSON.parse(stdout)).toEqual({ type: "net" });
});

test.each([
  [["--migrate-exit"], "--migrate-exit"],
  [["-c", "/tmp/x"], "-c"],
  [["--repair-path", "/tmp/x"], "--repair-path"],
  [["--log-size", "100"], "--log-size"],
  [["-l", "/proc/nonexistent/log"], "--log-file: cannot write '/proc/nonexistent/log'"],
  [["--runas", "no such user"], "--runas"],
  ...(isRoot ? ([[["--runas", "0"], "--runas: '0' is root"]] as const) : []),
  [["--outbound-if4", "nonesuch0"], "--outbound-if4"],
  [["-i", "nonesuch0"], "--interface"],
  [["-t", "22", "-t", "127.0.0.1/22"], "port 22 is forwarded twice"],
])("%p: one line, exit code 1, nothing left behind", (args, named) => {
  const { exitCode, stderr } = runToEnd(["-f", "-s", join(folder, "socket"), ...args]);
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(/^[^\n]+\n$/);
  expect(stderr).toContain(named);
  expect(readdirSync(folder)).toEqual([]);
});

describe("in the background", () => {
  test("what QEMU's -netdev passt runs: the first process ends with 0 when the second serves, which ends with its front-end", async () => {
    const port = freePort();
    const pidPath = join(folder, "pid");
    const [ours, theirs] = createSocketPair();
    const line = `--vhost-user --quiet --mtu 9000 --tcp-ports ${port} --pid ${pidPath} --fd 3`;
    const run = Bun.spawnSync([process.execPath, MAIN, ...line.split(" "), ...ARP_LINK], {
      stdio: ["ignore", "pipe", "pipe", theirs.fd],
    });
    theirs.close();
    expect([run.exitCode, run.stdout?.toString()]).toEqual([0, ""]);
    expect(run.stderr?.toString()).toBe(isRoot ? "warning: started as root: going on as user 65534\n" : "");
    const pid = Number(readFileSync(pidPath, "utf8"));
    expect(readFileSync(`/proc/${pid}/cmdline`, "utf8")).toContain("--tcp-ports");
    const frontEnd = new TestFrontEnd().connect(ours).boot();
    // QEMU 11.1 mixes its descriptors up when a program that it started asks for a channel of its own.
    expect(hasFeature(frontEnd.protocolFeatures, ProtocolFeature.BACKEND_REQ)).toBe(false);
    expect(hasFeature(frontEnd.protocolFeatures, ProtocolFeature.REPLY_ACK)).toBe(true);
    expect(askForGateway(frontEnd)).toBe(ARP_REPLY);
    frontEnd[Symbol.dispose]();
    await until(() => !isAlive(pid), "the end of the second process");
  });

  test("descriptors that it was started with are not kept, so that whoever waits for their end gets it", () => {
    const [socket, pidPath] = [join(folder, "socket"), join(folder, "pid")];
    const script = `{ "$0" "$@" 2>&1 5>&1 6>&1; echo "ended with $?"; } | cat`;
    const run = Bun.spawnSync(["sh", "-c", script, process.execPath, MAIN, "-q", "-s", socket, "-P", pidPath], {
      stdout: "pipe",
      timeout: 10_000,
    });
    const pid = Number(readFileSync(pidPath, "utf8"));
    // Only root sees them (of whatever kind).
    const files = STARTER.uid === 0 ? readdirSync(`/proc/${pid}/fd`) : [];
    process.kill(pid, "SIGTERM");
    expect(run.exitCode).toBe(0);
    expect(run.stdout.toString()).toMatch(/ended with 0\n$/);
    expect(files.length).toBeLessThan(30);
  });

  test("without a path the first free one of /tmp is taken", async () => {
    // What runs may itself lie below /tmp: it stays where it is.
    const kept = [WORKSPACE, dirname(process.execPath)].filter((path) => path.startsWith("/tmp/"));
    const keep = kept.map((path, i) => `mkdir /mnt/${i} && mount --bind "${path}" /mnt/${i} && `).join("");
    const putBack = kept.map((path, i) => `mkdir -p "${path}" && mount --bind /mnt/${i} "${path}" && `).join("");
    const script = `mount -t tmpfs tmpfs /mnt && ${keep} mount -t tmpfs tmpfs /tmp && ${putBack} mkdir -m 777 /tmp/own &&
      "$0" "$@" -P /tmp/own/pid &&
      { "$0" "$@" -f -P /tmp/own/pid2 & }; while ! [ -s /tmp/own/pid2 ]; do sleep 0.05; done
      stat -c %F:%n /tmp/*.socket; kill $(cat /tmp/own/pid /tmp/own/pid2)`;
    const run = Bun.spawnSync([...OWN_MOUNTS, "sh", "-c", script, process.execPath, MAIN, "-q"], {
      stdout: "pipe",
      timeout: 10_000,
    });
    expect(run.stdout.toString()).toBe("socket:/tmp/passt_1.socket\nsocket:/tmp/passt_2.socket\n");
  });
});

describe("whom it becomes", () => {
  test("unlike passt: root becomes nobody on every thread; log, capture and pid file in a folder of root's are written all the same", async () => {
    chmodSync(folder, 0o700);
    const [log, capture] = [join(folder, "log"), join(folder, "capture")];
    await using daemon = await new Daemon([...ARP_LINK, "-1", "-d", "-l", log, "-p", capture]).ready();
    const [ids] = identitiesOf(daemon.pid);
    expect(identitiesOf(daemon.pid)).toEqual([ids]);
    if (isRoot) expect(ids).toBe("65534 65534 65534 65534|65534 65534 65534 65534|");
    else expect(ids).toStartWith(`${STARTER.uid} `);
    const frontEnd = new TestFrontEnd().connect(daemon.socketPath).boot();
    expect(askForGateway(frontEnd)).toBe(ARP_REPLY);
    frontEnd[Symbol.dispose]();
    expect(await daemon.ended()).toBe(0);
    expect(readFileSync(log, "utf8")).toContain("front-end disconnected");
    expect(statSync(capture).size).toBeGreaterThan(24 + 2 * 76 - 1);
    for (const path of [log, capture]) expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  test("--runas: user and group; a user that may not change is told so", async () => {
    if (!isRoot) {
      expect(runToEnd(["-f", "-s", join(folder, "socket"), "--runas", "1234:2345"]).stderr).toContain(
        "--runas: cannot",
      );
      return;
    }
    await using daemon = await new Daemon(["--runas", "1234:2345"]).ready();
    expect(identitiesOf(daemon.pid)).toEqual(["1234 1234 1234 1234|2345 2345 2345 2345|"]);
    daemon.signal("SIGTERM");
    expect(await daemon.ended()).toBe(0);
  });

  test("a port below 1024 and a socket in a folder of its starter's are open before it changes", async () => {
    if (!isRoot) return;
    const own = join(folder, "own");
    mkdirSync(own, { mode: 0o700 });
    const namespace = ["unshare", "-n", "sh", "-c", `ip link set lo up; exec "$0" "$@"`];
    const args = ["-t", "127.0.0.1/22", "-s", join(own, "socket")];
    await using daemon = new Daemon(args, null, namespace);
    await daemon.until(() => daemon.log.includes("listening at"), "the daemon to listen");
    expect(identitiesOf(daemon.pid)[0]).toStartWith("65534 ");
    expect(statSync(join(own, "socket")).isSocket()).toBe(true);
  });
});

describe("the log", () => {
  test("a file: a header, then lines with time and level; what it was before is gone", async () => {
    const path = join(folder, "log");
    writeFileSync(path, "an old log");
    await using daemon = await new Daemon([...ARP_LINK, "-1", "-l", path, "--log-size", "40960"]).ready();
    new TestFrontEnd().connect(daemon.socketPath).boot()[Symbol.dispose]();
    expect(await daemon.ended()).toBe(0);
    const lines = readFileSync(path, "utf8").trimEnd().split("\n");
    expect(lines[0]).toBe(`passt-ts ${manifest.version}: ${process.execPath} (${daemon.pid})`);
    for (const line of lines.slice(1)) expect(line).toMatch(/^\d+\.\d{4}: (ERROR: {3}|WARNING: |info: {4}| {9})\S/);
    expect(lines.slice(1).join("\n")).toContain("info:    listening at");
    expect(daemon.log).toContain("listening at");
  });

  test("a file: why it could not start is in it as well", () => {
    const path = join(folder, "log");
    const { exitCode, stderr } = runToEnd(["-f", "-s", "/proc/nonexistent/socket", "-l", path]);
    expect([exitCode, stderr.split("\n").length]).toEqual([1, 2]);
    expect(readFileSync(path, "utf8")).toContain(`ERROR:   ${stderr}`);
  });

  test("the system log, when no file is named: foreground and background", async () => {
    const device = join(folder, "dev");
    mkdirSync(device);
    chmodSync(device, 0o755);
    using receiver = bindUnixDatagram(join(device, "log"));
    chmodSync(join(device, "log"), 0o777);
    const script = `for node in null zero random urandom; do : > ${device}/$node; mount --bind /dev/$node ${device}/$node; done
      mount --rbind ${device} /dev && exec "$0" "$@"`;
    await using daemon = await new Daemon(ARP_LINK, null, [...OWN_MOUNTS, "sh", "-c", script]).ready();
    const lines = received(receiver);
    expect(lines.at(-1)).toMatch(
      new RegExp(`^<30>[A-Z][a-z]{2} [ \\d]\\d \\d\\d:\\d\\d:\\d\\d passt-ts\\[${daemon.pid}\\]: listening at `),
    );
    const [socket, pidPath] = [join(folder, "other"), join(folder, "other.pid")];
    const command = [...OWN_MOUNTS, "sh", "-c", script, process.execPath, MAIN, "-s", socket, "-P", pidPath];
    expect(Bun.spawnSync(command, { stderr: "ignore" }).exitCode).toBe(0);
    const pid = Number(readFileSync(pidPath, "utf8"));
    received(receiver);
    process.kill(pid, "SIGTERM");
    new TestFrontEnd().connect(daemon.socketPath).boot()[Symbol.dispose]();
    await until(() => received(receiver).some((line) => line.includes("disconnected")), "a line in the system log");
  });

  test("--quiet leaves out what is no warning; --debug puts the time before each line; --stderr does nothing", async () => {
    await using quiet = new Daemon([...ARP_LINK, "-q", "--runas", isRoot ? "65534" : String(STARTER.uid)]);
    await until(() => existsSync(quiet.pidPath) && statSync(quiet.pidPath).size > 0, "the pid file");
    expect(quiet.log).toBe("");
    await using debug = await new Daemon([...ARP_LINK, "-d", "-e"]).ready();
    expect(debug.log).toMatch(/^warning: \d+\.\d{4}: --stderr has no effect\n/);
    expect(debug.log).toMatch(/(^|\n)\d+\.\d{4}: listening at /);
  });

  test("--debug says whether SO_PEEK_OFF is used", async () => {
    const said = async (...args: readonly string[]): Promise<string | undefined> => {
      await using daemon = await new Daemon([...ARP_LINK, "--debug", ...args]).ready();
      return / SO_PEEK_OFF is (.*)\n/.exec(daemon.log)?.[1];
    };
    expect(await said()).toMatch(/^(not )?used$/);
    expect(await said("--no-peek-offset")).toBe("not used");
  });

  test("--trace: a line for every frame, with who sends what to whom", async () => {
    await using daemon = await new Daemon([...ARP_LINK, "-1", "--trace"]).ready();
    const frontEnd = new TestFrontEnd().connect(daemon.socketPath).boot();
    expect(askForGateway(frontEnd)).toBe(ARP_REPLY);
    frontEnd.send(udpFrame());
    frontEnd.send(new Uint8Array(14));
    frontEnd.sent();
    frontEnd[Symbol.dispose]();
    expect(await daemon.ended()).toBe(0);
    expect(daemon.log).toContain("from guest: 60 bytes, ARP\n");
    expect(daemon.log).toContain("to guest: 60 bytes, ARP\n");
    expect(daemon.log).toContain("from guest: 60 bytes, UDP 10.0.0.2 port 1000 > 10.0.0.9 port 2000\n");
    expect(daemon.log).toContain("from guest: 14 bytes, ethertype 0x0, not looked at further: etherType\n");
  });

  test("--stats: counters that changed, at most once in the time, and nothing when nothing happens", async () => {
    await using daemon = await new Daemon([...ARP_LINK, "--stats", "1"]).ready();
    using frontEnd = new TestFrontEnd().connect(daemon.socketPath).boot();
    expect(askForGateway(frontEnd)).toBe(ARP_REPLY);
    const count = () => daemon.log.split("statistics: ").length - 1;
    await daemon.until(() => /statistics: .*frames frames=1 /.test(daemon.log), "the counters");
    const before = count();
    await Bun.sleep(1500);
    expect(count()).toBeLessThanOrEqual(before + 1);
    // No group without a counter.
    expect(daemon.log).not.toMatch(/(; |statistics: )\w+(;|\n)/);
  });
});

/** A UDP datagram of the guest's to a port of its subnet. */
function udpFrame(): Uint8Array {
  const text = `9a559a559a55 525400000009 0800 4500 0020 0000 4000 4011 0000 0a000002 0a000009 03e8 07d0 000c 0000 01020304`;
  const frame = new Uint8Array(60);
  frame.set(Uint8Array.fromHex(text.replaceAll(" ", "")));
  const header = new DataView(frame.buffer, 14, 20);
  let sum = 0;
  for (let at = 0; at < 20; at += 2) sum += header.getUint16(at);
  header.setUint16(10, ~((sum & 0xffff) + (sum >>> 16)) & 0xffff);
  return frame;
}

function received(receiver: OwnedFd): string[] {
  const bytes = new Uint8Array(4096);
  const lines: string[] = [];
  for (;;) {
    const length = receiveUnixDatagram(receiver.fd, bytes);
    if (length < 0) return lines;
    lines.push(new TextDecoder().decode(bytes.subarray(0, length)));
  }
}

function freePort(): number {
  const fd = openSocket(AF_INET, SOCK_STREAM);
  bindSocket(fd, new SocketAddress().set(Uint32Array.of(0, 0, 0xffff, 0), 0));
  const local = new SocketAddress();
  localAddress(fd, local);
  closeFd(fd);
  return local.port;
}
