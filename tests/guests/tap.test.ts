// Real guests on `--backend tap:`: no DHCP and no services, the kernel of the host's namespace is their neighbour; and two guests on
// two daemons, on one bridge.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Daemon } from "./daemon.ts";
import type { Guest } from "./guest.ts";
import { findKernel } from "./image.ts";
import {
  addressGuest,
  addressHost,
  makeTap,
  noDhcp,
  tapGuest4,
  tapGuest6,
  tapHost4,
  tapHost6,
  tapName,
} from "./tap-link.ts";
import { TestBed } from "./test-bed.ts";

setDefaultTimeout(60_000);

const kernel = findKernel("uml-debian");
const missing = "missing" in kernel ? kernel.missing : null;
if (missing !== null) console.log(`User-Mode Linux cannot be had here, its cases are not run: ${missing}`);

const port = 5001;
const secondGuest4 = "10.77.0.3";
const secondGuest6 = "fd77::3";
const sizes = [1, 333, 1472, 9000, 60_000];

describe.skipIf(missing !== null)("a guest on a tap", () => {
  let bed: TestBed;
  let daemon: Daemon;
  let guest: Guest;

  beforeAll(async () => {
    if ("missing" in kernel) return;
    bed = await TestBed.create();
    makeTap(bed.host, tapName, 1400);
    addressHost(bed.host, tapName);
    daemon = await bed.startDaemon(["-d", "--stats", "1", "--backend", `tap:${tapName}`]);
    const iperf = Bun.which("iperf3");
    if (iperf === null) throw new Error("no iperf3");
    bed.start([iperf, "-s"]);
    bed.start([bed.traffic, "serve", String(port)]);
    guest = await bed.boot(kernel, daemon, { arguments: [noDhcp], programs: [iperf, bed.traffic] });
    await addressGuest(guest);
    await guest.must(`traffic serve ${port} >/dev/null 2>&1 &`);
  }, 120_000);
  afterAll(async () => {
    await bed?.[Symbol.asyncDispose]();
  }, 30_000);

  test("is told the interface's MTU", async () => {
    expect(await guest.must("cat /sys/class/net/eth0/mtu")).toBe("1400");
  });

  test.each([
    ["IPv4", `ping -c 3 -W 5 -s 8000 ${tapHost4}`],
    ["IPv6", `ping6 -c 3 -W 5 -s 8000 ${tapHost6}`],
  ])("pings the host's kernel over %s, with more than a frame holds", async (_, command) => {
    expect(await guest.must(command)).toContain("3 packets received, 0% packet loss");
  });

  test.each([
    ["tcp", tapHost4, tapGuest4],
    ["tcp", tapHost6, tapGuest6],
    ["udp", tapHost4, tapGuest4],
    ["udp", tapHost6, tapGuest6],
  ])("%s: the same bytes come back, from the host at %s and from the guest at %s", async (protocol, host, own) => {
    for (const bytes of sizes) {
      expect(await guest.must(`traffic ask ${protocol} ${host} ${port} ${bytes} 10`)).toBe("answered 10");
      const fromHost = [bed.traffic, "ask", protocol, own, String(port), String(bytes), "10"];
      expect(bed.host.run(fromHost)).toBe("answered 10\n");
    }
  });

  test.each([
    ["to the host", "", "tx"],
    ["to the guest", "-R", "rx"],
  ])("a stream %s passes in frames of up to 64 KiB that nobody has cut", async (_, reverse, way) => {
    const counted = (name: string) => daemon.statistic("tap", `${way}${name}`);
    // The counters are logged once a second while they change.
    await Bun.sleep(2200);
    const before = { frames: counted("Frames"), bytes: counted("Bytes"), segmented: counted("Segmented") };
    const report = await guest.must(`iperf3 -J -c ${tapHost4} -n 100M ${reverse} | sed -n '/"sum_received"/,/}/p'`);
    expect(Number(/"bytes":\s*(\d+)/.exec(report)?.[1])).toBeGreaterThan(90 * 2 ** 20);
    await Bun.sleep(2200);
    const segmented = counted("Segmented") - before.segmented;
    const bytesPerFrame = (counted("Bytes") - before.bytes) / (counted("Frames") - before.frames);
    expect(segmented).toBeGreaterThan(1000);
    // Far beyond the 1414 bytes of the wire.
    expect(bytesPerFrame).toBeGreaterThan(20_000);
  });

  test("has seen no malformed frame", async () => {
    expect(await guest.receiveErrors()).toEqual({});
    expect(["txRefused", "txFull", "rxTooLong", "rxOffload"].map((name) => daemon.statistic("tap", name))).toEqual([
      0, 0, 0, 0,
    ]);
  });

  test("an interface that goes down, or is deleted, is reported once; frames pass again when it is back", async () => {
    const said = (line: string): number => daemon.log.split(`${tapName} ${line}`).length - 1;
    const reached = async (): Promise<number> => (await guest.run(`ping -c 2 -i 0.2 -W 1 ${tapHost4}`)).status;
    const fromHost = (): string => bed.host.run([bed.traffic, "ask", "tcp", tapGuest4, String(port), "60000", "3"]);

    bed.host.run(["ip", "link", "set", tapName, "down"]);
    expect(await reached()).toBe(1);
    bed.host.run(["ip", "link", "set", tapName, "up"]);
    expect(await reached()).toBe(0);
    expect([said("is down, frames are dropped"), said("is up again"), said("was deleted")]).toEqual([1, 1, 0]);

    bed.host.run(["ip", "link", "del", tapName]);
    expect(await reached()).toBe(1);
    makeTap(bed.host, tapName, 1400);
    addressHost(bed.host, tapName);
    await daemon.program.waitFor(new RegExp(`${tapName} is there again`), 10_000);
    // The host asks for the guest's MAC address, by which the guest learns that the host's is another one.
    expect(fromHost()).toBe("answered 3\n");
    expect(await reached()).toBe(0);
    expect([said("was deleted"), said("is there again")]).toEqual([1, 1]);
    expect(daemon.statistic("tap", "txLinkDown")).toBeGreaterThan(0);
  });
});

test.skipIf(missing !== null)(
  "two guests on two daemons reach each other over a bridge, and the host",
  async () => {
    if ("missing" in kernel) throw new Error(kernel.missing);
    await using bed = await TestBed.create();
    bed.host.run(["ip", "link", "add", "bridge0", "type", "bridge"]);
    const taps = ["one0", "two0"];
    for (const name of taps) {
      makeTap(bed.host, name);
      bed.host.run(["ip", "link", "set", name, "master", "bridge0"]);
    }
    bed.host.run(["ip", "link", "set", "bridge0", "up"]);
    addressHost(bed.host, "bridge0");
    const daemons = await Promise.all(
      taps.map((name) => {
        const folder = join(bed.folder, name);
        mkdirSync(folder);
        return Daemon.start(bed.host, folder, ["-d", "--backend", `tap:${name}`]);
      }),
    );
    try {
      const [one, two] = await Promise.all(daemons.map((daemon) => bed.boot(kernel, daemon, { arguments: [noDhcp] })));
      await addressGuest(one);
      await addressGuest(two, secondGuest4, secondGuest6);
      const macs = await Promise.all([one, two].map((guest) => guest.must("cat /sys/class/net/eth0/address")));
      expect(macs[0]).not.toBe(macs[1]);
      await two.must(`traffic serve ${port} >/dev/null 2>&1 &`);
      expect(await one.must(`ping -c 3 -W 5 -s 8000 ${secondGuest4}`)).toContain("3 packets received, 0% packet loss");
      for (const address of [secondGuest4, secondGuest6]) {
        for (const protocol of ["tcp", "udp"]) {
          for (const bytes of sizes) {
            expect(await one.must(`traffic ask ${protocol} ${address} ${port} ${bytes} 10`)).toBe("answered 10");
          }
        }
      }
      expect([await one.receiveErrors(), await two.receiveErrors()]).toEqual([{}, {}]);
      await one.powerOff();
      await two.powerOff();
      for (const daemon of daemons) expect(await daemon.stop()).toBe(0);
    } finally {
      for (const daemon of daemons) await daemon.program.kill();
    }
  },
  240_000,
);
