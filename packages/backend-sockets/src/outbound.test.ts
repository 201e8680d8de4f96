import { beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { reportFromNamespace } from "./testing/namespace.ts";
import type { OutboundReport } from "./testing/outbound-in-namespace.ts";

/** One packet of each kind on a link, from these addresses. */
const all = (link: string, ipv4: string, ipv6: string): string[] => [
  `${link} icmp ${ipv4}`,
  `${link} icmpv6 ${ipv6}`,
  `${link} tcp ${ipv4}`,
  `${link} tcp ${ipv6}`,
  `${link} udp ${ipv4}:40009`,
  `${link} udp ${ipv6}:40009`,
];

describe("what leaves the host for the guest", () => {
  let report: OutboundReport;
  beforeAll(() => {
    report = reportFromNamespace<OutboundReport>(join(import.meta.dir, "testing/outbound-in-namespace.ts"));
  });

  test("goes by the host's routes and with its address when nothing else is said", () => {
    expect(report.byRoute).toEqual(all("far0", "192.0.2.1", "::1"));
  });

  test("has the source address that was asked for (-o), and keeps its port", () => {
    expect(report.byAddress).toEqual(all("far0", "192.0.2.9", "::9"));
  });

  test("goes out of the interface that was asked for (--outbound-if4, --outbound-if6), though routes say otherwise", () => {
    expect(report.byInterface).toEqual(all("far1", "198.51.100.1", "::1"));
  });

  test("takes another way from the next datagram on when that changes, on the port that it had", () => {
    expect(report.changed).toEqual(all("far1", "198.51.100.1", "::1"));
  });

  test("goes nowhere else when the interface is not there: the guest is told at once", () => {
    // Network unreachable (RFC 792).
    expect(report.interfaceGone).toEqual({ errors: [3, 0], leaked: [] });
  });

  test("is bound to nothing when it stays on the host: its loopback, and the address that the guest has too", () => {
    expect(report.ownAddresses).toEqual([true, true]);
  });
});
