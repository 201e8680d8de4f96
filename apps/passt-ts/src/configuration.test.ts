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
  },
  resolver: parseResolvConf("nameserver 127.0.0.53\nnameserver 198.51.100.7\nnameserver ::1\nsearch example.org lab\n"),
  machineId: "0123456789abcdef",
  socketPath: "/tmp/passt_1.socket",
  ephemeral: { first: 32768, last: 60999 },
  warn: () => {},
};
const NO_NETWORK: Surroundings = {
  ...HOST,
  network: { ipv4: null, ipv6: null, linkLocal: null, scopeId: 0 },
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
    expect(made(["-D", "203.0.113.5"]).ipv4?.nameServers.map(text)).toEqual(["203.0.113.5"]);
    expect(made(["-D", "none"]).ipv4?.nameServers).toEqual([]);
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
  });

  test("without a usable host interface the guest gets link-local IPv4", () => {
    const local = made([], NO_NETWORK);
    expect([text(local.ipv4?.guestAddress), local.ipv4?.prefixLength, text(local.ipv4?.gateway)]).toEqual([
      "169.254.2.1",
      16,
      "169.254.2.2",
    ]);
    expect(local.ipv6?.guestAddress).toBe(null);
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
  });

  test.each([
    [["-m", "65535"]],
    [["-m", "12x"]],
    [["-a", "127.0.0.1"]],
    [["-a", "224.0.0.1"]],
    [["-a", "0.0.0.0"]],
    [["-a", "255.255.255.255"]],
    [["-a", "::ffff:1.2.3.4"]],
    [["-a", "10.0.0.1/33"]],
    [["-a", "10.0.0.1/24/3"]],
    [["-a", "10.0.0.1", "-a", "10.0.0.2"]],
    [["-a", "10.0.0.1/24", "-n", "24"]],
    [["-n", "255.0.255.0"]],
    [["-n", "33"]],
    [["-M", "9a:55:9a:55:9a"]],
    [["--guest-mac", "9a:55:9a:55:9a:55"]],
    [["--guest-mac", "01:00:5e:00:00:01"]],
    [["-g", "::"]],
    [["-D", "example.org"]],
    [["-D", "none", "-D", "1.2.3.4"]],
    [["--map-host-loopback", "none", "--map-host-loopback", "1.2.3.4"]],
    [["-t", "99999"]],
  ])("%p is refused with one line", (args) => {
    expect(() => made(args)).toThrow(/^[^\n]+$/);
  });
});
