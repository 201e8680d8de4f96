import { describe, expect, test } from "bun:test";
import { existsSync, openSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { join } from "node:path";
import { openSocket } from "@passt-ts/linux/inet-socket";
import { OwnedFd } from "@passt-ts/linux/owned-fd";
import { AF_INET, AF_UNIX, SOCK_DGRAM, SOCK_STREAM } from "@passt-ts/linux/socket-constants";
import { createSocketPair, listenUnix } from "@passt-ts/linux/unix-socket";
import { TestFrontEnd } from "@passt-ts/vhost-user-device/testing/front-end";
import { hexOf } from "@passt-ts/wire/testing/frame-bytes";
import manifest from "../package.json" with { type: "json" };
import { ARP_LINK, ARP_REPLY, ARP_REQUEST, askForGateway } from "./testing/arp-exchange.ts";
import { Daemon, MAIN, runToEnd, sharedFolder } from "./testing/daemon.ts";

describe("options that end the program at once", () => {
  test("--help: the options on standard output, exit code 0", () => {
    for (const option of ["--help", "-h"]) {
      const { exitCode, stdout, stderr } = runToEnd([option]);
      expect([exitCode, stderr]).toEqual([0, ""]);
      expect(stdout).toContain("--map-host-loopback");
      expect(stdout.split("\n").filter((line) => line.length > 80)).toEqual([]);
    }
  });

  test("--version: one line on standard output, exit code 0", () => {
    expect(runToEnd(["--version"])).toEqual({ exitCode: 0, stdout: `passt-ts ${manifest.version}\n`, stderr: "" });
  });

  test.each([
    [["--nonsense"], "--nonsense"],
    [["-f", "extra"], "extra"],
    [["-f", "-m", "65535"], "-m"],
    [["-f", "-F", "2"], "-F"],
    [["-f", "-F", "77"], "descriptor 77"],
    [["-F", "999999"], "descriptor 999999"],
    [["-f", "-F", "x"], "-F"],
    [["-f", "-4", "-t", "::1/2222"], "-t: cannot listen for [::1]/2222:2222: --ipv4-only leaves its family out"],
    [
      ["-f", "-6", "-u", "127.0.0.1/2222"],
      "-u: cannot listen for 127.0.0.1/2222:2222: --ipv6-only leaves its family out",
    ],
    [["-f", "-s", ""], "-s: the path is empty"],
    [["-f", "-s", import.meta.dir], `-s: ${import.meta.dir} exists and is not a socket`],
    [["-f", "-s", "/dev/null/socket"], "-s: cannot listen at /dev/null/socket"],
    [["-f", "-s", "/proc/nonexistent/socket"], "/proc/nonexistent/socket"],
  ])("%p: one line on standard error that names it, exit code 1", (args, named) => {
    const { exitCode, stdout, stderr } = runToEnd(args);
    expect([exitCode, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(/^[^\n]+\n$/);
    expect(stderr).toContain(named);
  });

  test("a file that cannot be written, or a port that cannot be had: one line, exit code 1, no socket left behind", () => {
    const folder = sharedFolder();
    const socket = join(folder, "socket");
    for (const args of [
      ["-P", "/proc/nonexistent/pid"],
      ["-p", "/proc/nonexistent/capture"],
      ["-t", "192.0.2.77/22"],
    ]) {
      const { exitCode, stderr } = runToEnd(["-f", "-s", socket, ...args]);
      expect(exitCode).toBe(1);
      expect(stderr).toMatch(/^[^\n]+\n$/);
      expect(readdirSync(folder)).toEqual([]);
    }
    rmSync(folder, { recursive: true });
  });
});

describe("the daemon", () => {
  test("says where it listens and writes its pid file; SIGTERM: the socket's path is removed, exit code 0", async () => {
    for (const signal of ["SIGTERM", "SIGINT", "SIGQUIT"] as const) {
      await using daemon = await new Daemon().ready();
      expect(readFileSync(daemon.pidPath, "utf8")).toBe(`${daemon.pid}\n`);
      expect(statSync(daemon.pidPath).mode & 0o777).toBe(0o600);
      expect(statSync(daemon.socketPath).isSocket()).toBe(true);
      expect(daemon.log).toContain(daemon.socketPath);
      daemon.signal(signal);
      expect(await daemon.ended()).toBe(0);
      expect(existsSync(daemon.socketPath)).toBe(false);
    }
  });

  test("serves front-ends one after the other", async () => {
    await using daemon = await new Daemon(ARP_LINK).ready();
    for (let i = 0; i < 2; i++) {
      using frontEnd = new TestFrontEnd().connect(daemon.socketPath).boot();
      expect(askForGateway(frontEnd)).toBe(ARP_REPLY);
    }
    expect(daemon.exitCode).toBe(null);
  });

  test("-1: ends with exit code 0 when the first front-end has gone", async () => {
    await using daemon = await new Daemon([...ARP_LINK, "-1"]).ready();
    const frontEnd = new TestFrontEnd().connect(daemon.socketPath).boot();
    expect(askForGateway(frontEnd)).toBe(ARP_REPLY);
    frontEnd[Symbol.dispose]();
    expect(await daemon.ended()).toBe(0);
    expect(existsSync(daemon.socketPath)).toBe(false);
  });

  test("-1: a second daemon that looks whether the path is served is not the one front-end", async () => {
    await using daemon = await new Daemon([...ARP_LINK, "-1"]).ready();
    expect(runToEnd(["-f", "-s", daemon.socketPath]).exitCode).toBe(1);
    await daemon.until(() => daemon.log.includes("disconnected"), "the end of the look");
    const frontEnd = new TestFrontEnd().connect(daemon.socketPath).boot();
    expect(askForGateway(frontEnd)).toBe(ARP_REPLY);
    frontEnd[Symbol.dispose]();
    expect(await daemon.ended()).toBe(0);
  });

  test("-F: serves the socket that it inherited, listens nowhere, and ends when the front-end has gone", async () => {
    const [ours, theirs] = createSocketPair();
    await using daemon = new Daemon(ARP_LINK, theirs.fd);
    theirs.close();
    const frontEnd = new TestFrontEnd().connect(ours).boot();
    expect(askForGateway(frontEnd)).toBe(ARP_REPLY);
    expect(existsSync(daemon.socketPath)).toBe(false);
    frontEnd[Symbol.dispose]();
    expect(await daemon.ended()).toBe(0);
  });

  test("-F: what is no connected stream socket of the UNIX domain is refused with one line", () => {
    const folder = sharedFolder();
    const path = join(folder, "socket");
    const [sequence, other] = createSocketPair("seqpacket");
    using listener = listenUnix({ path });
    const udp = new OwnedFd(openSocket(AF_INET, SOCK_DGRAM));
    const unconnected = new OwnedFd(openSocket(AF_UNIX, SOCK_STREAM));
    const file = new OwnedFd(openSync("/dev/null", "r"));
    for (const [{ fd }, why] of [
      [file, "is not an open socket"],
      [udp, "is not a stream socket of the UNIX domain"],
      [sequence, "is not a stream socket of the UNIX domain"],
      [listener, "listens; a connected socket is needed"],
      [unconnected, "is not connected"],
    ] as const) {
      const run = Bun.spawnSync([process.execPath, MAIN, "-f", "-F", "3"], { stdio: ["ignore", "ignore", "pipe", fd] });
      expect([run.exitCode, run.stderr?.toString()]).toEqual([1, `-F: descriptor 3 ${why}\n`]);
    }
    for (const socket of [sequence, other, udp, unconnected, file]) socket.close();
    rmSync(folder, { recursive: true });
  });

  test("a path that is served already is refused; one left behind by a process that died is taken over", async () => {
    await using daemon = await new Daemon().ready();
    const { exitCode, stderr } = runToEnd(["-f", "-s", daemon.socketPath]);
    expect([exitCode, stderr]).toEqual([1, `-s: ${daemon.socketPath} is in use by another process\n`]);
    process.kill(daemon.pid, "SIGKILL");
    await daemon.ended();
    expect(existsSync(daemon.socketPath)).toBe(true);
    const again = runToEnd(["-f", "-s", daemon.socketPath, "-p", "/proc/nonexistent/capture"]);
    expect(again.stderr).toContain("/proc/nonexistent/capture");
    expect(existsSync(daemon.socketPath)).toBe(false);
  });

  test("a client that sends frames of passt's stream mode is refused with one clear line, and the next one is served", async () => {
    await using daemon = await new Daemon(ARP_LINK).ready();
    const before = daemon.log.length;
    const length = new Uint8Array([0, 0, 0, ARP_REQUEST.length]);
    const client = createConnection(daemon.socketPath);
    const closed = new Promise<void>((resolve) => void client.on("close", () => resolve()).on("error", () => {}));
    client.write(Buffer.concat([length, ARP_REQUEST]));
    client.resume();
    await closed;
    await daemon.until(() => daemon.log.slice(before).includes("stream"), "a line about it");
    const lines = daemon.log.slice(before).trimEnd().split("\n");
    const refusals = lines.filter((line) => line.includes("stream-mode frames"));
    expect(refusals).toEqual([expect.stringMatching(/^warning: /)]);
    expect(lines.length).toBeLessThanOrEqual(2);
    using frontEnd = new TestFrontEnd().connect(daemon.socketPath).boot();
    expect(askForGateway(frontEnd)).toBe(ARP_REPLY);
  });

  test("-p: a named pipe that nobody reads is waited for; SIGTERM ends that as well, exit code 0, no socket left behind", async () => {
    const folder = sharedFolder();
    const path = join(folder, "pipe");
    expect(Bun.spawnSync(["mkfifo", path]).exitCode).toBe(0);
    for (const isRead of [true, false]) {
      await using daemon = new Daemon([...ARP_LINK, "-p", path]);
      await daemon.until(() => existsSync(daemon.pidPath), "what is opened before the capture");
      expect(existsSync(daemon.socketPath)).toBe(true);
      if (isRead) {
        await using reader = Bun.spawn(["head", "-c", "4", path], { stdout: "pipe" });
        await daemon.ready();
        daemon.signal("SIGTERM");
        expect(hexOf(await new Response(reader.stdout).bytes())).toBe("d4c3b2a1");
      } else daemon.signal("SIGTERM");
      expect(await daemon.ended()).toBe(0);
      expect(existsSync(daemon.socketPath)).toBe(false);
    }
    rmSync(folder, { recursive: true });
  });
});

test("a search domain in resolv.conf that no message can carry costs a warning and not the daemon", async () => {
  const folder = sharedFolder();
  const resolvConf = join(folder, "resolv.conf");
  writeFileSync(resolvConf, "nameserver 192.0.2.53\nnameserver 127.1\nsearch bad..example good.example\n");
  const unshare = ["unshare", process.getuid?.() === 0 ? "-m" : "-Urm"];
  const bind = ["sh", "-c", `mount --bind ${resolvConf} /etc/resolv.conf && exec "$0" "$@"`];
  await using daemon = await new Daemon(ARP_LINK, null, [...unshare, ...bind]).ready();
  await daemon.until(() => daemon.log.includes("listening"), "the daemon to listen");
  expect(daemon.log).toMatch(/(^|\n)warning: search domain left out: [^\n]*"bad\.\.example"\n/);
  using frontEnd = new TestFrontEnd().connect(daemon.socketPath).boot();
  expect(askForGateway(frontEnd)).toBe(ARP_REPLY);
  rmSync(folder, { recursive: true });
});

describe("in the background", () => {
  test("the first process returns when the socket is there and the pid file names the one that stays", async () => {
    const folder = sharedFolder();
    const [socket, pid] = [join(folder, "socket"), join(folder, "pid")];
    const { exitCode } = runToEnd([...ARP_LINK, "-s", socket, "-P", pid]);
    expect(exitCode).toBe(0);
    const daemonPid = Number(readFileSync(pid, "utf8"));
    try {
      using frontEnd = new TestFrontEnd().connect(socket).boot();
      expect(askForGateway(frontEnd)).toBe(ARP_REPLY);
    } finally {
      process.kill(daemonPid, "SIGTERM");
    }
    for (let i = 0; i < 500 && existsSync(socket); i++) await Bun.sleep(10);
    expect(existsSync(socket)).toBe(false);
    rmSync(folder, { recursive: true });
  });

  test("an error in the one that stays is the exit code and the one line of the first", () => {
    const { exitCode, stderr } = runToEnd(["-s", "/proc/nonexistent/socket"]);
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/^-s: [^\n]+\n$/);
  });
});
