import { describe, expect, test } from "bun:test";
import { formatAddress, formatMac, parseAddress } from "./address-text.ts";
import { parseCommandLine } from "./command-line.ts";
import { type Configuration, configure, type Surroundings } from "./configuration.ts";
import { parseResolvConf } from "./resolv-conf.ts";

const address = (text: string) => parseAddress(text, "test");

const HOST: Surroundings = {
  network: {
    ipv4: { address: address("192.0.2.2"), prefixLength: 24, gateway: address("192.0.2.1") },
    ipv6: { address: address("2001:db8::2"), prefixLength: 64, gateway: address("2001:db8::1") },
    linkLocal: address("fe80::1234"),
    scopeId: 2,
    defaultRoutes: [4, 6],
  },
  resolver: parseResolvConf("nameserver 127.0.0.53\nnameserver 198.51.100.7\nnameserver ::1\nsearch example.org lab\n"),
  machineId: "0123456789abcdef",
  socketPath: "/tmp/passt_1.socket",
  ephemeral: { first: 32768, last: 60999 },
  warn: () => {},
};
const NO_NETWORK: Surroundings = {
  ...HOST,
  network: { ipv4: null, ipv6: null, linkLocal: null, scopeId: 0, defaultRoutes: [] },
  resolver: parseResolvConf(""),
};

const made = (args: string[], surroundings = HOST): Configuration => configure(parseCommandLine(args), surroundings);
const text = (words: Uint32Array | null | undefined) => (words ? formatAddress(words) : words);

describe("the configuration", () => {
  test("comes from the host where the options leave it open", () => {
    const { ipv4, ipv6, ...rest } = made([]);
    expect([text(ipv4?.guestAddress), ipv4?.prefixLength, text(ipv4?.gateway)]).toEqual(["192.0.2.2", 24, "192.0.2.1"]);
    expect([text(ipv6?.guestAddress), ipv6?.prefixLength, text(ipv6?.gateway)]).toEqual([
      "2001:db8::2",
      64,
      "2001:db8::1",
    ]);
    expect(text(rest.ourLinkLocal)).toBe("fe80::1234");
    expect(rest.mtu).toBe(65520);
    expect(formatMac(rest.ourMac)).toBe("9a:55:9a:55:9a:55");
    expect(rest.searchDomains).toEqual(["example.org", "lab"]);
  });

  test("a resolver on the host's loopback is reached through the address that means the loopback", () => {
    expect(made([]).ipv4?.nameServers.map(text)).toEqual(["192.0.2.1", "198.51.100.7"]);
    expect(made(["--map-host-loopback", "192.0.2.9"]).ipv4?.nameServers.map(text)).toEqual([
      "192.0.2.9",
      "198.51.100.7",
    ]);
    expect(made(["--no-map-gw"]).ipv4?.nameServers.map(text)).toEqual(["198.51.100.7"]);
    expect(made([]).ipv6?.nameServers.map(text)).toEqual(["2001:db8::1"]);
  });

  test("a resolver on the host's loopback is where that address leads to, on its ports of name servers", () => {
    const { ipv4, ipv6 } = made([]);
    expect([text(ipv4?.dnsForward), text(ipv4?.dnsHost)]).toEqual(["192.0.2.1", "127.0.0.53"]);
    expect([text(ipv6?.dnsForward), text(ipv6?.dnsHost)]).toEqual(["2001:db8::1", "::1"]);
    const none = made(["--no-map-gw"]).ipv4;
    expect([none?.dnsForward, none?.dnsHost]).toEqual([null, null]);
    const public4 = made([], { ...HOST, resolver: parseResolvConf("nameserver 198.51.100.7") }).ipv4;
    expect([public4?.nameServers.map(text), public4?.dnsForward]).toEqual([["198.51.100.7"], null]);
  });

  test("--dns-forward stands in for a resolver on loopback, and leads to --dns-host or the host's first", () => {
    const forward = made(["--dns-forward", "10.0.0.5"]).ipv4;
    expect(forward?.nameServers.map(text)).toEqual(["10.0.0.5", "198.51.100.7"]);
    expect([text(forward?.dnsForward), text(forward?.dnsHost)]).toEqual(["10.0.0.5", "127.0.0.53"]);
    const other = made(["--dns-forward", "10.0.0.4", "--dns-forward", "10.0.0.5", "--dns-host", "127.0.0.2"]).ipv4;
    expect([text(other?.dnsForward), text(other?.dnsHost)]).toEqual(["10.0.0.5", "127.0.0.2"]);
    const told = made(["--dns-forward", "10.0.0.5", "-D", "1.1.1.1"]).ipv4;
    expect([told?.nameServers.map(text), text(told?.dnsForward)]).toEqual([["1.1.1.1"], "10.0.0.5"]);
    const warnings: string[] = [];
    const nowhere = { ...NO_NETWORK, warn: (line: string) => void warnings.push(line) };
    expect(made(["--dns-forward", "10.0.0.5"], nowhere).ipv4?.dnsForward).toBe(null);
    expect(warnings.join()).toContain("--dns-forward");
  });

  test("name servers given: for their family instead of the host's, three at most, and none takes back", () => {
    const servers = (...args: string[]) => [made(args).ipv4, made(args).ipv6].map((one) => one?.nameServers.map(text));
    expect(servers("-D", "203.0.113.5")).toEqual([["203.0.113.5"], ["2001:db8::1"]]);
    expect(servers("-D", "127.0.0.1")[0]).toEqual(["127.0.0.1"]);
    expect(servers("-D", "none")).toEqual([[], []]);
    expect(servers("-D", "1.1.1.1", "-D", "none", "-D", "1.1.1.2")[0]).toEqual(["1.1.1.2"]);
    const four = ["1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.1.4"];
    expect(servers(...four.flatMap((one) => ["-D", one]))[0]).toEqual(four.slice(0, 3));
  });

  test("unlike passt: search domains given: one or more in each option, six at most, and none takes back", () => {
    expect(made(["-S", "a.example  b.example", "-S", "c.example"]).searchDomains).toEqual([
      "a.example",
      "b.example",
      "c.example",
    ]);
    expect(made(["-S", "none"]).searchDomains).toEqual([]);
    expect(made(["-S", "a", "-S", "none", "-S", "b"]).searchDomains).toEqual(["b"]);
  });

  test("unlike passt: of more search domains than six, six are told, with a warning, however they are given", () => {
    const domains = ["a", "b", "c", "d", "e", "f", "g"];
    for (const args of [["-S", domains.join(" ")], domains.flatMap((domain) => ["-S", domain])]) {
      const warnings: string[] = [];
      const warn = (line: string) => void warnings.push(line);
      expect(made(args, { ...HOST, warn }).searchDomains).toEqual(domains.slice(0, 6));
      expect(warnings).toEqual(["the guest is told 6 of 7 search domains"]);
    }
  });

  test("names told to the guest", () => {
    expect(made(["-H", "a".repeat(253)]).hostName).toBe("a".repeat(253));
    const { hostName, fqdn } = made(["-H", "vm", "--fqdn", "vm.example.org"]);
    expect([hostName, fqdn]).toEqual(["vm", "vm.example.org"]);
    expect([made([]).hostName, made([]).fqdn]).toEqual(["", ""]);
  });

  test("the host's loopback and own address: by which addresses the guest reaches them", () => {
    const loopback = (...args: string[]) => [text(made(args).ipv4?.loopback), text(made(args).ipv6?.loopback)];
    expect(loopback()).toEqual(["192.0.2.1", "2001:db8::1"]);
    expect(loopback("-g", "192.0.2.8", "-g", "192.0.2.9")).toEqual(["192.0.2.9", "2001:db8::1"]);
    expect(loopback("--no-map-gw")).toEqual([null, null]);
    expect(loopback("--map-host-loopback", "10.0.0.1", "--no-map-gw")).toEqual(["10.0.0.1", null]);
    expect(loopback("--map-host-loopback", "10.0.0.1", "--map-host-loopback", "none")).toEqual([null, null]);
    expect(loopback("--map-host-loopback", "none", "--map-host-loopback", "10.0.0.1")).toEqual(["10.0.0.1", null]);
    const guest = (...args: string[]) => text(made(args).ipv4?.mapGuestAddress);
    expect(guest()).toBe(null);
    expect(guest("--map-guest-addr", "10.0.0.1")).toBe("10.0.0.1");
    expect(guest("--map-guest-addr", "10.0.0.1", "--map-guest-addr", "none")).toBe(null);
    expect(text(made(["-a", "10.9.9.9"]).ipv4?.hostAddress)).toBe("192.0.2.2");
  });

  test("ways out: source address and interface of each family", () => {
    const { ipv4, ipv6 } = made(["-o", "192.0.2.3", "-o", "2001:db8::3", "--outbound-if4", "eth1"]);
    expect([text(ipv4?.outboundAddress), ipv4?.outboundInterface]).toEqual(["192.0.2.3", "eth1"]);
    expect([text(ipv6?.outboundAddress), ipv6?.outboundInterface]).toEqual(["2001:db8::3", null]);
    expect([made([]).ipv4?.outboundAddress, made([]).ipv4?.outboundInterface]).toEqual([null, null]);
  });

  test("our MAC address and the guest's can be given", () => {
    const { ourMac, guestMac } = made(["-M", "52:54:00:00:00:01", "--guest-mac", "52:54:00:00:00:02"]);
    expect([formatMac(ourMac), formatMac(guestMac)]).toEqual(["52:54:00:00:00:01", "52:54:00:00:00:02"]);
    expect(formatMac(made([]).guestMac)).not.toBe(formatMac(made([]).ourMac));
  });

  test("busy polling takes microseconds, and is off unless it is asked for", () => {
    expect([made([]).busyPollUs, made(["--busy-poll", "50"]).busyPollUs]).toEqual([0, 50]);
  });

  test("SO_PEEK_OFF and offloads can be done without", () => {
    expect([made([]).peekOffset, made(["--no-peek-offset"]).peekOffset]).toEqual([true, false]);
    expect([made([]).offloads.length > 0, made(["--offload", "none"]).offloads]).toEqual([true, []]);
  });

  test("services are on, and each is switched off by its option", () => {
    const off = (...args: string[]) =>
      Object.entries(made(args).switches ?? {})
        .filter(([, isOn]) => !isOn)
        .map(([name]) => name)
        .sort();
    expect(off()).toEqual([]);
    expect(off("--no-tcp")).toEqual(["tcp"]);
    expect(off("--no-udp")).toEqual(["udp"]);
    expect(off("--no-icmp")).toEqual(["icmp", "ndp", "routerAdvertisements"]);
    expect(off("--no-dhcp")).toEqual(["dhcp"]);
    expect(off("--no-dhcpv6")).toEqual(["dhcpv6"]);
    expect(off("--no-ndp")).toEqual(["ndp", "routerAdvertisements"]);
    expect(off("--no-ra")).toEqual(["routerAdvertisements"]);
    expect(off("--no-dhcp-dns")).toEqual(["nameServers"]);
    expect(off("--no-dhcp-search")).toEqual(["searchDomains"]);
  });

  test("how much is logged: the last option about it counts, and --trace is more than --debug", () => {
    const level = (...args: string[]) => made(args).logLevel;
    expect([level(), level("-q"), level("-d"), level("--trace")]).toEqual(["info", "warning", "debug", "trace"]);
    expect([level("-d", "-q"), level("-q", "-d"), level("--trace", "-d")]).toEqual(["warning", "debug", "trace"]);
    expect([made([]).statisticsIntervalMs, made(["--stats", "2"]).statisticsIntervalMs]).toEqual([0, 2000]);
  });

  test("an MTU below what a family needs costs a warning for each; 0 means none is told", () => {
    const warned = (mtu: string) => {
      const warnings: string[] = [];
      expect(made(["-m", mtu], { ...HOST, warn: (line) => void warnings.push(line) }).mtu).toBe(Number(mtu));
      return warnings.length;
    };
    expect([warned("0"), warned("67"), warned("68"), warned("1279"), warned("1280"), warned("65521")]).toEqual([
      0, 2, 1, 1, 0, 0,
    ]);
  });

  test("--one-off is implied by --fd, unless --socket comes behind it", () => {
    const oneOff = (...args: string[]) => made(args).oneOff;
    expect([oneOff(), oneOff("-1"), oneOff("-F", "3")]).toEqual([false, true, true]);
    expect([oneOff("-s", "/x", "-F", "3"), oneOff("-F", "3", "-s", "/x")]).toEqual([true, false]);
  });

  test("addresses, masks and gateways given", () => {
    const given = made(["-a", "10.1.2.3/16", "-a", "2001:db8:1::5", "-g", "10.1.0.1", "-g", "fe80::99"]);
    expect([text(given.ipv4?.guestAddress), given.ipv4?.prefixLength, text(given.ipv4?.gateway)]).toEqual([
      "10.1.2.3",
      16,
      "10.1.0.1",
    ]);
    expect([text(given.ipv6?.guestAddress), text(given.ipv6?.gateway)]).toEqual(["2001:db8:1::5", "fe80::99"]);
    expect(text(given.ourLinkLocal)).toBe("fe80::99");
    expect(made(["-a", "10.1.2.3"]).ipv4?.prefixLength).toBe(8);
    expect(made(["-a", "172.16.2.3"]).ipv4?.prefixLength).toBe(16);
    expect(made(["-a", "192.168.2.3"]).ipv4?.prefixLength).toBe(24);
    expect(made(["-n", "255.255.240.0"]).ipv4?.prefixLength).toBe(20);
    expect(made(["-n", "12"]).ipv4?.prefixLength).toBe(12);
    expect(made(["-n", "12", "-a", "10.1.2.3"]).ipv4?.prefixLength).toBe(12);
    expect(text(made(["-a", "10.0.0.1/24", "-a", "10.0.0.2"]).ipv4?.guestAddress)).toBe("10.0.0.2");
    expect([made(["-a", "10.1.2.3/0"]).ipv4?.prefixLength, made(["-n", "0"]).ipv4?.prefixLength]).toEqual([8, 24]);
  });

  test.each([
    ["::ffff:10.1.2.3", 8],
    ["::ffff:10.1.2.3/24", 24],
    ["::ffff:10.1.2.3/120", 24],
    ["10.1.2.3/+24", 24],
  ])("an IPv4 address may be written as an IPv6 one, a prefix with a sign: %s", (given, prefixLength) => {
    const { ipv4, ipv6 } = made(["-a", given, "-g", "::ffff:10.1.0.1", "-o", "::ffff:192.0.2.2"]);
    expect(text(ipv4?.outboundAddress)).toBe("192.0.2.2");
    expect([text(ipv4?.guestAddress), ipv4?.prefixLength, text(ipv4?.gateway)]).toEqual([
      "10.1.2.3",
      prefixLength,
      "10.1.0.1",
    ]);
    expect(text(ipv6?.guestAddress)).toBe("2001:db8::2");
  });

  test("numbers are taken as strtoul(3) takes them: signs, spaces before, hexadecimal, octal", () => {
    const mtus = ["1500", "+1500", " \t1500", "0x5dc", "0X5DC", "02734"].map((given) => made(["-m", given]).mtu);
    expect(mtus).toEqual([1500, 1500, 1500, 1500, 1500, 1500]);
    expect(made(["--stats", "0x10"]).statisticsIntervalMs).toBe(16_000);
  });

  test("addresses are leased for an hour, for good where options give all that DHCP tells of a family", () => {
    const lease = (...args: string[]) => [made(args).ipv4?.leaseSeconds, made(args).ipv6?.leaseSeconds];
    const given4 = ["-a", "10.1.2.3", "-g", "10.1.0.1", "-D", "10.1.0.53", "-S", "none"];
    expect(lease()).toEqual([3600, 3600]);
    expect(lease(...given4)).toEqual([undefined, 3600]);
    for (let i = 0; i < given4.length; i += 2) expect(lease(...given4.toSpliced(i, 2))).toEqual([3600, 3600]);
    expect(lease("-a", "10.1.2.3", "-g", "10.1.0.1", "--no-dhcp-dns", "--no-dhcp-search")).toEqual([undefined, 3600]);
    expect(lease("-a", "2001:db8::9", "-D", "none", "-S", "lab")).toEqual([3600, undefined]);
    expect(made([], NO_NETWORK).ipv4?.leaseSeconds).toBe(3600);
  });

  test("without a usable host interface the guest gets link-local IPv4", () => {
    const local = made([], NO_NETWORK);
    expect([text(local.ipv4?.guestAddress), local.ipv4?.prefixLength, text(local.ipv4?.gateway)]).toEqual([
      "169.254.2.1",
      16,
      "169.254.2.2",
    ]);
    expect(local.ipv6?.guestAddress).toBe(null);
    expect([text(local.ipv6?.gateway), text(local.ipv6?.loopback)]).toEqual(["fe80::1", "fe80::1"]);
    expect(text(local.ourLinkLocal)).toBe("fe80::1");
  });

  test("a search domain that no message can carry is left out with a warning; the others stay", () => {
    const warnings: string[] = [];
    const long = `${"a".repeat(64)}.example`;
    const resolver = parseResolvConf(`search good.example bad..example ${long} caf\u00e9.example lab`);
    const { searchDomains } = made([], { ...HOST, resolver, warn: (line) => void warnings.push(line) });
    expect(searchDomains).toEqual(["good.example", "lab"]);
    expect(warnings.length).toBe(3);
    expect(warnings[0]).toContain("bad..example");
    for (const line of warnings) expect(line).toMatch(/^search domain left out: [^\n]+$/);
  });

  test("one family only", () => {
    expect(made(["-4"]).ipv6).toBe(null);
    expect(made(["-6"]).ipv4).toBe(null);
    expect(made(["-4", "-6"]).ipv4).toBe(null);
    expect(made(["-6", "-4", "-a", "2001:db8::9"]).ipv6).toBe(null);
  });

  test.each([
    [["-m", "65535"]],
    [["-m", "12x"]],
    [["-a", "127.0.0.1"]],
    [["-a", "224.0.0.1"]],
    [["-a", "0.0.0.0"]],
    [["-a", "255.255.255.255"]],
    [["-a", "10.0.0.1/33"]],
    [["-a", "10.0.0.1/24/3"]],
    [["-a", "10.0.0.1/0x18"]],
    [["-a", "10.0.0.1/"]],
    [["-a", "2001:db8::1/129"]],
    [["-a", "::ffff:10.0.0.1/129"]],
    [["-m", "08"]],
    [["-m", "1e3"]],
    [["-m", "1500 "]],
    [["-m", "0x"]],
    [["-M", "9a-55-9a-55-9a-55"]],
    [["-g", "224.0.0.1"]],
    [["-S", `${"a".repeat(64)}.b`]],
    [["--fqdn", `${"a".repeat(64)}.b`]],
    [["--stats", ""]],
    [["--stats", "1.5"]],
    [["-a", "10.0.0.1/24", "-n", "24"]],
    [["-n", "255.0.255.0"]],
    [["-n", "33"]],
    [["-M", "9a:55:9a:55:9a"]],
    [["--guest-mac", "9a:55:9a:55:9a:55"]],
    [["--guest-mac", "01:00:5e:00:00:01"]],
    [["-g", "::"]],
    [["-D", "example.org"]],
    [["-g", "127.0.0.1"]],
    [["-g", "none"]],
    [["-m", "-1"]],
    [["-m", ""]],
    [["-D", ""]],
    [["-D", "1.2.3.4,5.6.7.8"]],
    [["--dns-forward", "127.0.0.1"]],
    [["--dns-forward", "0.0.0.0"]],
    [["--dns-forward", "none"]],
    [["--dns-host", "0.0.0.0"]],
    [["--map-host-loopback", "127.0.0.1"]],
    [["--map-guest-addr", "127.0.0.1"]],
    [["--map-guest-addr", "x"]],
    [["-o", "::"]],
    [["-o", "x"]],
    [["-S", ""]],
    [["-S", "a..b"]],
    [["-H", "two words"]],
    [["-H", "a".repeat(254)]],
    [["--fqdn", "a..b"]],
    [["--stats", "x"]],
    [["--stats", "-1"]],
    [["--busy-poll", "1000001"]],
    [["-t", "99999"]],
    [["-t", "22", "--no-tcp"]],
    [["-u", "53", "--no-udp"]],
  ])("%p is refused with one line", (args) => {
    expect(() => made(args)).toThrow(/^[^\n]+$/);
  });
});
