// Real Linux guests on our daemon: addresses, neighbours, ping, and TCP and UDP both ways over IPv4 and IPv6.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { Guest } from "./guest.ts";
import { findKernel, type KernelName } from "./image.ts";
import { gateway4, gateway6, host4 } from "./namespace.ts";
import { echoPort } from "./ports.ts";
import { TestBed } from "./test-bed.ts";

// Addresses take seconds to settle, and a test that is given up takes its guest along.
setDefaultTimeout(60_000);

const guestPort = 5001;
const kernels: readonly (readonly [KernelName, string])[] = [
  ["uml-debian", "User-Mode Linux of this Debian"],
  ["uml-newest", "User-Mode Linux of the newest Debian"],
  ["qemu-debian", "the Debian kernel in QEMU"],
];

/** Bytes and times of the requests: one byte, an odd length, an Ethernet frame's fill, more than a frame of 1500. */
const requests: readonly (readonly [number, number])[] = [
  [1, 20],
  [333, 20],
  [1472, 20],
  [9000, 5],
  [60000, 5],
];

for (const [name, title] of kernels) {
  const kernel = findKernel(name);
  const missing = "missing" in kernel ? kernel.missing : null;
  if (missing !== null) console.log(`${title} cannot be had here, its cases are not run: ${missing}`);

  describe.skipIf(missing !== null)(title, () => {
    let bed: TestBed;
    let guest: Guest;

    beforeAll(async () => {
      if ("missing" in kernel) return;
      bed = await TestBed.create();
      const daemon = await bed.startDaemon(["-t", String(guestPort), "-u", String(guestPort)]);
      guest = await bed.boot(kernel, daemon);
      await guest.must(`traffic serve ${guestPort} >/dev/null 2>&1 &`);
    }, 240_000);
    afterAll(async () => {
      await bed?.[Symbol.asyncDispose]();
    }, 30_000);

    /** Requests from one side, each size; the program compares the answers. */
    const ask = (protocol: string, address: string, port: number): string =>
      requests.map(([bytes, times]) => `traffic ask ${protocol} ${address} ${port} ${bytes} ${times}`).join(" && ");
    const askFromHost = (protocol: string, address: string): void => {
      for (const [bytes, times] of requests) {
        const command = [bed.traffic, "ask", protocol, address, String(guestPort), String(bytes), String(times)];
        expect(bed.host.run(command)).toBe(`answered ${times}\n`);
      }
    };

    test("gets the host's address, mask, gateway and the MTU by DHCP", async () => {
      const lease = await guest.lease();
      expect(lease.ip).toBe(host4);
      expect(lease.mask).toBe("24");
      expect(lease.router).toBe(gateway4);
      expect(lease.mtu).toBe("65520");
      expect(await guest.must("cat /sys/class/net/eth0/mtu")).toBe("65520");
    });

    test("makes an address of the host's prefix by SLAAC, with a default route", async () => {
      expect(await guest.waitForIpv6()).toStartWith("2001:db8::");
      expect(await guest.must("ip -6 route show default")).toContain("via fe80::");
    });

    test("pings the gateway over IPv4", async () => {
      expect(await guest.must(`ping -c 3 -W 5 ${gateway4}`)).toContain("3 packets received, 0% packet loss");
    });

    test("pings the gateway over IPv6, by its global and by its link-local address", async () => {
      await guest.waitForIpv6();
      expect(await guest.must(`ping6 -c 3 -W 5 ${gateway6}`)).toContain("3 packets received, 0% packet loss");
      const router = await guest.must("ip -6 route show default | sed -n 's/.* via \\([^ ]*\\).*/\\1/p' | head -n 1");
      expect(await guest.must(`ping6 -c 3 -W 5 ${router}%eth0`)).toContain("3 packets received, 0% packet loss");
    });

    for (const protocol of ["tcp", "udp"]) {
      test(`${protocol} out to the host's loopback through the gateway over IPv4`, async () => {
        expect(await guest.must(ask(protocol, gateway4, echoPort), 60_000)).toContain("answered 5\nanswered 5");
      });
      test(`${protocol} out to the host's loopback through the gateway over IPv6`, async () => {
        await guest.waitForIpv6();
        expect(await guest.must(ask(protocol, gateway6, echoPort), 60_000)).toContain("answered 5\nanswered 5");
      });
      test(`${protocol} in through a forwarded port over IPv4`, () => askFromHost(protocol, "127.0.0.1"));
      test(`${protocol} in through a forwarded port over IPv6`, async () => {
        await guest.waitForIpv6();
        askFromHost(protocol, "::1");
      });
      test(`${protocol} in through a forwarded port on the host's own address`, () => askFromHost(protocol, host4));
    }

    test("its card has seen no malformed frame", async () => {
      expect(await guest.receiveErrors()).toEqual({});
    });
  });
}
