import { describe, expect, test } from "bun:test";
import { DhcpCounter } from "@passt-ts/guest-services/dhcp";
import { Dhcpv6Counter } from "@passt-ts/guest-services/dhcpv6-counter";
import { NdpCounter } from "@passt-ts/guest-services/ndp";
import { parseAddress } from "./address-text.ts";
import { GuestReporter } from "./guest-reporter.ts";
import type { LogLevel } from "./log.ts";

const MAC = "52:54:00:00:00:09";

const family = (text: string) => {
  return { guestAddress: parseAddress(text, ""), prefixLength: 24, gateway: null, loopback: null, nameServers: [] };
};

function rig(level: LogLevel = "info") {
  const said: string[] = [];
  const guest = { mac: Uint8Array.of(0x52, 0x54, 0, 0, 0, 9), macObserved: false };
  const services = {
    dhcp: { counters: new Float64Array(16) } as { counters: Float64Array } | null,
    dhcpv6: { counters: new Float64Array(16) },
    ndp: { counters: new Float64Array(16) },
  };
  const link = {
    ourMac: new Uint8Array(6),
    ourLinkLocal: new Uint32Array(4),
    mtu: 0,
    ipv4: family("192.0.2.2"),
    ipv6: family("2001:db8::2"),
    searchDomains: [],
    scopeId: 0,
  };
  const reporter = new GuestReporter({
    guest,
    level,
    log: (lineLevel, text) => void said.push(`${lineLevel}: ${text}`),
    link,
  });
  /** What is said in a turn. */
  const turn = (nowMs = 0): string[] => {
    reporter.turn(services, nowMs);
    return said.splice(0);
  };
  return { guest, services, reporter, turn, link };
}

describe("the log says of a guest", () => {
  test("its MAC address when it is known, when it is another one, and of the next guest again", () => {
    const { guest, reporter, turn } = rig();
    expect(turn()).toEqual([]);
    guest.macObserved = true;
    expect([turn(), turn()]).toEqual([[`info: the guest's MAC address is ${MAC}`], []]);
    guest.mac[5] = 10;
    expect([turn(), turn()]).toEqual([["info: the guest's MAC address is now 52:54:00:00:00:0a"], []]);
    reporter.guestGone();
    expect(turn()).toEqual(["info: the guest's MAC address is 52:54:00:00:00:0a"]);
  });

  test.each([
    ["dhcp", DhcpCounter.offers, `DHCP: 192.0.2.2 offered to ${MAC}`],
    ["dhcp", DhcpCounter.acknowledgments, `DHCP: 192.0.2.2 leased to ${MAC}`],
    ["dhcp", DhcpCounter.refusals, `DHCP: another address than 192.0.2.2 refused to ${MAC}`],
    ["dhcp", DhcpCounter.bootpReplies, `BOOTP: 192.0.2.2 given to ${MAC}`],
    ["dhcp", DhcpCounter.informs, `DHCP: ${MAC} answered without an address, as it asked for none`],
    ["dhcpv6", Dhcpv6Counter.advertisements, `DHCPv6: 2001:db8::2 offered to ${MAC}`],
    ["dhcpv6", Dhcpv6Counter.replies, `DHCPv6: ${MAC} answered without an address`],
  ] as const)("each answer of %s: counter %p", (service, counter, text) => {
    const { services, turn } = rig();
    const { counters } = services[service] as { counters: Float64Array };
    counters[counter]++;
    expect([turn(), turn()]).toEqual([[`info: ${text}`], []]);
    counters[counter] += 2;
    expect(turn()).toEqual([`info: ${text} (2 times)`]);
  });

  test("a lease of DHCPv6 is one line, though it counts as a reply, too; the address is the present one", () => {
    const { services, reporter, turn, link } = rig();
    for (const counter of [Dhcpv6Counter.replies, Dhcpv6Counter.leases]) services.dhcpv6.counters[counter]++;
    reporter.link = { ...link, ipv6: family("2001:db8::77") };
    expect(turn()).toEqual([`info: DHCPv6: 2001:db8::77 leased to ${MAC}`]);
  });

  test("solicitations and advertisements of routers at debug only; at warning nothing at all", () => {
    for (const [level, lines] of [
      ["info", 1],
      ["debug", 3],
      ["warning", 0],
    ] as const) {
      const { services, guest, turn } = rig(level);
      guest.macObserved = true;
      services.ndp.counters[NdpCounter.routerSolicitations]++;
      services.ndp.counters[NdpCounter.routerAdvertisements]++;
      expect(turn().length).toBe(lines);
    }
  });

  test("no more than ten lines a second, however often it asks, and how many were left out", () => {
    const { services, guest, reporter, turn } = rig();
    const { counters } = services.dhcp as { counters: Float64Array };
    guest.macObserved = true;
    const lines: string[] = [];
    for (let nowMs = 0; nowMs < 1000; nowMs++) {
      counters[DhcpCounter.offers]++;
      guest.mac[5]++;
      lines.push(...turn(nowMs));
    }
    expect(lines.length).toBe(10);
    expect(reporter.deadlineMs).toBe(1000);
    expect(turn(1000)).toEqual(["info: 1990 further lines about the guest left out"]);
    expect(reporter.deadlineMs).toBe(Number.POSITIVE_INFINITY);
  });

  test("a service that is switched off and on again counts anew", () => {
    const { services, turn } = rig();
    (services.dhcp as { counters: Float64Array }).counters[DhcpCounter.offers] = 5;
    turn();
    services.dhcp = null;
    expect(turn()).toEqual([]);
    services.dhcp = { counters: new Float64Array(16) };
    services.dhcp.counters[DhcpCounter.offers] = 1;
    expect(turn()).toEqual([`info: DHCP: 192.0.2.2 offered to ${MAC}`]);
  });
});
