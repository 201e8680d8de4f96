// What a real guest's kernel makes of a link of 1500 bytes: datagrams and pings in fragments, answers longer than the link, and the
// errors that its programs see when there is no way to a peer.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { Guest } from "./guest.ts";
import { findKernel } from "./image.ts";
import { gateway4, gateway6 } from "./namespace.ts";
import { echoPort } from "./ports.ts";
import { TestBed } from "./test-bed.ts";

setDefaultTimeout(60_000);

describe("a guest with an MTU of 1500", () => {
  let bed: TestBed;
  let guest: Guest;

  beforeAll(async () => {
    const kernel = findKernel("uml-debian");
    if ("missing" in kernel) throw new Error(kernel.missing);
    bed = await TestBed.create();
    const daemon = await bed.startDaemon(["-m", "1500"]);
    guest = await bed.boot(kernel, daemon);
    await guest.waitForIpv6();
    for (const [family, network] of [
      ["-4", "203.0.113.0/24"],
      ["-6", "2001:db8:dead::/48"],
    ]) {
      bed.host.run(["ip", family, "route", "add", "unreachable", network]);
    }
  }, 120_000);
  afterAll(async () => {
    await bed?.[Symbol.asyncDispose]();
  }, 30_000);

  const reassembled = async (family: "Ip" | "Ip6"): Promise<number> => {
    const name = family === "Ip" ? "FragCreates" : "Ip6FragCreates";
    const file = family === "Ip" ? "/proc/net/snmp" : "/proc/net/snmp6";
    const script =
      family === "Ip" ? `awk '/^Ip:/ { if (n++) print $20 }' ${file}` : `awk '$1 == "${name}" { print $2 }' ${file}`;
    return Number(await guest.must(script));
  };

  test.each([
    ["IPv4", gateway4, "Ip"],
    ["IPv6", gateway6, "Ip6"],
  ] as const)(
    "sends datagrams of up to 60000 bytes in fragments over %s and gets each answer whole",
    async (_, address, family) => {
      const before = await reassembled(family);
      for (const bytes of [1473, 3000, 9000, 60_000]) {
        expect(await guest.must(`traffic ask udp ${address} ${echoPort} ${bytes} 10`)).toBe("answered 10");
      }
      expect(await reassembled(family)).toBeGreaterThan(400 + before);
    },
  );

  test.each([
    ["IPv4", `ping -c 3 -W 5 -s 8000 ${gateway4}`],
    ["IPv6", `ping6 -c 3 -W 5 -s 8000 ${gateway6}`],
  ])("pings with 8000 bytes over %s", async (_, command) => {
    expect(await guest.must(command)).toContain("3 packets received, 0% packet loss");
  });

  test.each(["203.0.113.5", "2001:db8:dead::5"])(
    "sees why it cannot connect to %s: no way there, not refused",
    async (address) => {
      const { status, output } = await guest.run(`nc -w 10 ${address} 80 </dev/null 2>&1`);
      expect(status).not.toBe(0);
      expect(output).toContain("No route to host");
    },
  );

  test("has seen no malformed frame", async () => {
    expect(await guest.receiveErrors()).toEqual({});
  });
});
