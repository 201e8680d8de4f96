import { describe, expect, test } from "bun:test";
import { parseAddress } from "./address-text.ts";
import { parseCommandLine } from "./command-line.ts";
import { type Configuration, configure, type Surroundings } from "./configuration.ts";
import type { HostNetwork } from "./host-network.ts";
import { differencesOf, linkWarnings, localModeWarning, startLines, tapStartLines } from "./link-report.ts";

const address = (text: string): Uint32Array => parseAddress(text, "");

const HOST: HostNetwork = {
  ipv4: { interfaceName: "eth0", address: address("192.0.2.2"), prefixLength: 24, gateway: address("192.0.2.1") },
  ipv6: { interfaceName: "wlan0", address: address("2001:db8::2"), prefixLength: 64, gateway: address("fe80::1") },
  linkLocal: address("fe80::2"),
  scopeId: 2,
  defaultRoutes: [4, 6],
};
const NO_HOST: HostNetwork = { ipv4: null, ipv6: null, linkLocal: null, scopeId: 0, defaultRoutes: [] };

function configured(args: readonly string[], network: HostNetwork = HOST): Configuration {
  const surroundings: Surroundings = {
    network,
    resolver: {
      nameServers: [address("192.0.2.53"), address("2001:db8::53")],
      searchDomains: ["one.example", "two.example"],
    },
    machineId: "",
    socketPath: "",
    ephemeral: { first: 32768, last: 60999 },
    warn: () => {},
  };
  return configure(parseCommandLine(["--guest-mac", "52:54:00:00:00:02", ...args]), surroundings);
}

const lines = (args: readonly string[], network: HostNetwork = HOST): string[] =>
  startLines(configured(args, network), network);

describe("what the log says before there is a guest", () => {
  test("template, MAC addresses, each family, search domains, what means the host, forwards", () => {
    const options = ["--map-guest-addr", "192.0.2.9", "--dns-forward", "192.0.2.5", "-t", "2222:22", "-u", "5000"];
    expect(lines(options)).toEqual([
      "template interface: eth0 (IPv4), wlan0 (IPv6)",
      "MAC addresses: ours 9a:55:9a:55:9a:55, offered to the guest 52:54:00:00:00:02; MTU 65520",
      "IPv4 192.0.2.2/24 via 192.0.2.1, name servers 192.0.2.53",
      "IPv6 2001:db8::2/64 via fe80::1, name servers 2001:db8::53",
      "search domains: one.example two.example",
      "the host's loopback is for the guest at 192.0.2.1 and fe80::1",
      "the host's own address is for the guest at 192.0.2.9",
      "the host's resolver is for the guest at 192.0.2.5",
      "forward: TCP 2222 to 22",
      "forward: UDP 5000 to 5000",
    ]);
  });

  test("nothing of a family that is off, nor of what the guest is not told", () => {
    expect(lines(["-4", "-m", "0", "--no-dhcp-dns", "--no-dhcp-search", "--no-map-gw"])).toEqual([
      "template interface: eth0",
      "MAC addresses: ours 9a:55:9a:55:9a:55, offered to the guest 52:54:00:00:00:02; MTU not told",
      "IPv4 192.0.2.2/24 via 192.0.2.1",
      "the host's loopback is out of the guest's reach",
    ]);
  });

  test("a host without a usable interface has no template", () => {
    const [template, , ipv4, ipv6] = lines([], NO_HOST);
    expect([template, ipv4.split(",")[0], ipv6.split(",")[0]]).toEqual([
      "template interface: none",
      "IPv4 169.254.2.1/16 via 169.254.2.2",
      "IPv6 no address via fe80::1",
    ]);
  });

  test("on a tap: its name, and what the guest has from us", () => {
    expect(tapStartLines(configured(["-m", "1400"]), "tap0")).toEqual([
      "frames go to and come from tap0",
      "MAC address offered to the guest 52:54:00:00:00:02; MTU 1400",
    ]);
  });
});

describe("warnings", () => {
  const noNextHop: HostNetwork = { ...HOST, ipv4: { address: address("192.0.2.2"), prefixLength: 24, gateway: null } };

  test("no gateway, as of a default route without a next hop: no DHCP; not with -g, --no-dhcp or -6, nor where there is one", () => {
    const warned = (args: readonly string[], network: HostNetwork) => linkWarnings(configured(args, network)).length;
    expect(linkWarnings(configured([], noNextHop))).toEqual([expect.stringMatching(/no DHCP.*-g/)]);
    for (const args of [["-g", "192.0.2.1"], ["--no-dhcp"], ["-6"]]) expect(warned(args, noNextHop)).toBe(0);
    expect([warned([], HOST), warned([], NO_HOST)]).toEqual([0, 0]);
  });

  test("local mode, when nobody gives the guest an address; one family of the host is enough", () => {
    expect(localModeWarning(configured([], NO_HOST), NO_HOST, false)).toContain("local mode");
    expect(localModeWarning(configured([], NO_HOST), NO_HOST, true)).toBe(null);
    const onlyIpv4: HostNetwork = { ...HOST, ipv6: null };
    expect(localModeWarning(configured([], onlyIpv4), onlyIpv4, false)).toBe(null);
    expect(localModeWarning(configured(["-6"], onlyIpv4), onlyIpv4, false)).toContain("local mode");
  });
});

describe("what differs between two links", () => {
  test("each thing that a guest can notice, by its name; nothing else", () => {
    const link = configured([]);
    const ipv4 = link.ipv4 as NonNullable<typeof link.ipv4>;
    const ipv6 = link.ipv6 as NonNullable<typeof link.ipv6>;
    const other = address("192.0.2.77");
    expect(differencesOf(link, configured([]))).toEqual([]);
    for (const [changed, name] of [
      [{ ipv4: { ...ipv4, guestAddress: other } }, "IPv4 address"],
      [{ ipv4: { ...ipv4, prefixLength: 25 } }, "IPv4 address"],
      [{ ipv4: { ...ipv4, gateway: other } }, "IPv4 router"],
      [{ ipv4: { ...ipv4, nameServers: [] } }, "IPv4 name servers"],
      [{ ipv4: { ...ipv4, loopback: null } }, "IPv4 address of the host's loopback"],
      [{ ipv6: { ...ipv6, isDefaultRouter: false } }, "IPv6 way out"],
      [{ ipv6: { ...ipv6, dnsForward: address("2001:db8::5") } }, "IPv6 address of the host's resolver"],
      [{ ourLinkLocal: address("fe80::9") }, "our link-local address"],
      [{ searchDomains: [] }, "search domains"],
    ] as const) {
      expect(differencesOf(link, { ...link, ...changed })).toEqual([name]);
    }
    expect(differencesOf(link, { ...link, scopeId: 9, ipv4: { ...ipv4, hostAddress: other } })).toEqual([]);
  });
});
