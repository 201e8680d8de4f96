import { beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { LinkConfiguration } from "@passt-ts/backend-sockets/link-configuration";
import { reportFromNamespace } from "@passt-ts/backend-sockets/testing/namespace";
import { parseAddress } from "./address-text.ts";
import { parseCommandLine } from "./command-line.ts";
import { configure, type Surroundings } from "./configuration.ts";
import { HostFollower, type HostState } from "./host-follower.ts";
import type { FollowReport } from "./testing/follow-in-namespace.ts";
import { UsageError } from "./usage-error.ts";

const INFINITE = 0xffff_ffff;
const HOME = { address: "192.0.2.2", router: "192.0.2.1", nameServers: "192.0.2.53" };
const AWAY = { address: "198.51.100.2", router: "198.51.100.1", nameServers: "198.51.100.53" };

describe("while the daemon runs and its host changes,", () => {
  let report: FollowReport;
  beforeAll(() => {
    report = reportFromNamespace<FollowReport>(join(import.meta.dir, "testing/follow-in-namespace.ts"), "nm");
  }, 60_000);

  test("DHCP follows address, default route and resolver", () => {
    expect(report.offers).toEqual([HOME, AWAY]);
  });

  test("a router advertisement says what is new at once, and takes back what was before", () => {
    expect(report.advertisement).toEqual({
      lifetimeSeconds: 65535,
      prefixes: [
        ["20010db800020000", INFINITE],
        ["20010db800010000", 0],
      ],
      nameServers: [
        ["00020000 00000053", INFINITE],
        ["00010000 00000053", 0],
      ],
    });
  });

  test("what options have given does not follow", () => {
    const given = { address: "10.0.0.2", router: "10.0.0.1", nameServers: "10.0.0.53" };
    expect(report.fixed).toEqual([given, given]);
  });

  test("the next question to --dns-forward reaches the new resolver, from the same port of the guest", () => {
    expect(report.resolvers).toEqual(["53", "54"]);
  });

  test("without any network left the guest keeps what it has, but hears that there is no way out; then it gets the next one", () => {
    expect(report.lost).toEqual([HOME, HOME, { ...AWAY, nameServers: "192.0.2.53" }]);
    expect(report.routerLifetimes).toEqual([0, 65535]);
  });

  test("a host that had no network at first is followed out of local mode", () => {
    expect(report.found.map(({ address, router }) => [address, router])).toEqual([
      ["169.254.2.1", "169.254.2.2"],
      ["192.0.2.2", "192.0.2.1"],
    ]);
  });

  test("a guest that renews its lease of an hour gets the new resolver, and is refused an address that the host has no longer", () => {
    const ack = { answer: "ACK", server: "192.0.2.1", nameServers: "192.0.2.53", leaseSeconds: 3600 };
    const nak = { answer: "NAK", server: "192.0.2.1", nameServers: "", leaseSeconds: 0 };
    expect(report.renewals as unknown).toEqual([ack, { ...ack, nameServers: "192.0.2.54" }, nak]);
  });

  test("a lease is for good where options give all that could change", () => {
    const { answer, nameServers, leaseSeconds } = report.fixedRenewal;
    expect([answer, nameServers, leaseSeconds]).toEqual(["ACK", "10.0.0.53", INFINITE]);
  });

  test("no guest loses its lease to a host that has lost its default route, or its gateway", () => {
    expect(report.kept).toEqual([
      { ...HOME, nameServers: "192.0.2.54" },
      { ...HOME, nameServers: "192.0.2.55" },
    ]);
  });
});

const words4 = (value: number): Uint32Array => Uint32Array.of(0, 0, 0xffff, value);

const surroundings: Surroundings = {
  network: {
    ipv4: { address: words4(0xc0000202), prefixLength: 24, gateway: words4(0xc0000201) },
    ipv6: null,
    linkLocal: null,
    scopeId: 2,
    defaultRoutes: [4],
  },
  resolver: { nameServers: [words4(0xc0000235)], searchDomains: [] },
  machineId: "",
  socketPath: "",
  ephemeral: { first: 32768, last: 60999 },
  warn: () => {},
};

/** Lets a follower look at the host as `read` shows it; what it put in force, and what it said. */
function look(read: () => HostState): { readonly applied: number[]; readonly said: string[] } {
  const line = parseCommandLine(["-f"]);
  const [applied, said] = [[] as number[], [] as string[]];
  const follower = new HostFollower({
    line,
    surroundings,
    configuration: configure(line, surroundings),
    read,
    apply: (link) => void applied.push(link.ipv4?.guestAddress?.[3] ?? 0),
    log: (level, text) => void said.push(`${level}: ${text}`),
  });
  follower.follow();
  follower.follow();
  return { applied, said };
}

describe("a look at the host", () => {
  test("that shows what was known before is no news", () => {
    const { network, resolver } = surroundings;
    expect(look(() => ({ network: { ...network }, resolver: { ...resolver } }))).toEqual({ applied: [], said: [] });
  });

  test("that shows something else is news once", () => {
    const ipv4 = { address: words4(0xc6336402), prefixLength: 25, gateway: words4(0xc6336401) };
    const { network, resolver } = surroundings;
    const { applied, said } = look(() => ({ network: { ...network, ipv4 }, resolver }));
    expect(applied).toEqual([0xc6336402]);
    expect(said).toEqual([
      "info: the host's network has changed (IPv4 address, IPv4 router, IPv4 address of the host's loopback): " +
        "IPv4 198.51.100.2/25 via 198.51.100.1, name servers 192.0.2.53; IPv6 no address via fe80::1",
    ]);
  });

  test.each<[string, Partial<HostState["network"]>]>([
    ["no IPv4", { ipv4: null, defaultRoutes: [] }],
    ["no default route", { ipv4: { address: words4(0xac110001), prefixLength: 16, gateway: null }, defaultRoutes: [] }],
    ["no gateway", { ipv4: { address: words4(0x0a000002), prefixLength: 32, gateway: null } }],
  ])("that shows %s any more leaves the guest what it has", (_name, change) => {
    const { network, resolver } = surroundings;
    expect(look(() => ({ network: { ...network, ...change }, resolver }))).toEqual({ applied: [], said: [] });
  });

  test("that shows but deprecated IPv6 addresses leaves the guest its own and the way out; without a route it has none", () => {
    const { resolver } = surroundings;
    const ipv6 = { address: parseAddress("2001:db8::2", ""), prefixLength: 64, gateway: null };
    const before = { network: { ...surroundings.network, ipv6, defaultRoutes: [4, 6] as const }, resolver };
    const line = parseCommandLine([]);
    const configuration = configure(line, { ...surroundings, ...before });
    const applied: LinkConfiguration[] = [];
    const states = [[4, 6] as const, [4] as const].map((defaultRoutes): HostState => {
      return { network: { ...before.network, ipv6: null, defaultRoutes }, resolver };
    });
    const follower = new HostFollower({
      line,
      surroundings: { ...surroundings, ...before },
      configuration,
      read: () => states.shift() as HostState,
      apply: (link) => void applied.push(link),
      log: () => {},
    });
    follower.follow();
    expect(applied).toEqual([]);
    follower.follow();
    expect(applied.map((link) => [link.ipv6?.guestAddress, link.ipv6?.isDefaultRouter])).toEqual([
      [ipv6.address, false],
    ]);
  });

  test("that shows what the guest sees nothing of is put in force, and no news", () => {
    const { network, resolver } = surroundings;
    const { applied, said } = look(() => ({ network: { ...network, scopeId: 3 }, resolver }));
    expect([applied.length, said]).toEqual([1, ["debug: the host's ways out have changed"]]);
  });

  test("that shows another link-local address only says so", () => {
    const { network, resolver } = surroundings;
    const gateway = parseAddress("2001:db8::1", "");
    const ipv6 = { address: parseAddress("2001:db8::2", ""), prefixLength: 64, gateway };
    const states = ["fe80::1", "fe80::2"].map((text): HostState => {
      return { network: { ...network, ipv6, linkLocal: parseAddress(text, "") }, resolver };
    });
    const { said } = look(() => states.shift() as HostState);
    expect(said[1]).toStartWith("info: the host's network has changed (our link-local address): IPv4 192.0.2.2/24");
  });

  test("that fails, as when an interface is gone that an option names, changes nothing", () => {
    const gone = (): HostState => {
      throw new UsageError("--interface: there is no interface 'wlan0'");
    };
    const { applied, said } = look(gone);
    expect(applied).toEqual([]);
    expect(said[0]).toMatch(/^warning: .*wlan0/);
  });
});
