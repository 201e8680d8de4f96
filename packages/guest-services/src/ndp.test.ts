import { describe, expect, test } from "bun:test";
import { bytesOf, written } from "@passt-ts/wire/testing/frame-bytes";
import { NDP_REPLY_BYTES_MAX, type NdpConfig, NdpCounter, NdpResponder } from "./ndp.ts";
import { ask, icmp6 } from "./testing/ask.ts";

const plain = (text: string) => text.replaceAll(/[^0-9a-f]/g, "");
const withoutSum = (reply: string) => `${reply.slice(0, 4 * 28)}0000${reply.slice(4 * 29)}`;

const GUEST_LL = "fe80000000000000 0000000000000099";
const GUEST_GLOBAL = "20010db800000000 0000000000000099";
const OUR_LL = "fe80000000000000 0000000000000001";
const GATEWAY = "20010db800000000 0000000000000001";
const ANY = "00".repeat(16);
const ALL_NODES = "ff02000000000000 0000000000000001";
const SOLICITED = "ff02000000000000 00000001ff000001";

const config: NdpConfig = {
  ourMac: bytesOf("9a559a559a55"),
  ourLinkLocal: Uint32Array.of(0xfe80_0000, 0, 0, 1),
  ourAddresses: [Uint32Array.of(0x2001_0db8, 0, 0, 1)],
  guestAddresses: [Uint32Array.of(0x2001_0db8, 0, 0, 0x99), Uint32Array.of(0xfe80_0000, 0, 0, 0x99)],
  router: { prefix: Uint32Array.of(0x2001_0db8, 7, 0xaaaa_aaaa, 0x99) },
};

const solicitation = (target: string) => `87 00 0000 00000000 ${target} 01 01 020000000001`;

function advertisement(source: string, destination: string, flags: string, target: string): string {
  return plain(
    `020000000001 9a559a559a55 86dd 60000000 0020 3a ff ${source} ${destination}
     88 00 0000 ${flags} ${target} 02 01 9a559a559a55`,
  );
}

describe("neighbor solicitations", () => {
  test.each([
    ["our link-local address", OUR_LL],
    ["the gateway", GATEWAY],
    ["any other address on the link", "20010db800000000 00000000000000aa"],
  ])("for %s: advertised byte for byte", (_name, target) => {
    const service = new NdpResponder(config);
    const reply = ask(service, icmp6(GUEST_LL, SOLICITED, solicitation(target)));
    expect(withoutSum(reply)).toBe(advertisement(OUR_LL, GUEST_LL, "e0000000", target));
    expect(service.counters[NdpCounter.neighborAdvertisements]).toBe(1);
  });

  test("the reply goes to the source, a global one too", () => {
    const reply = ask(new NdpResponder(config), icmp6(GUEST_GLOBAL, SOLICITED, solicitation(GATEWAY)));
    expect(withoutSum(reply)).toBe(advertisement(OUR_LL, GUEST_GLOBAL, "e0000000", GATEWAY));
  });

  test.each([
    ["global", GUEST_GLOBAL],
    ["link-local", GUEST_LL],
  ])("for the guest's own %s address: never answered", (_name, target) => {
    const service = new NdpResponder(config);
    expect(ask(service, icmp6(GUEST_LL, SOLICITED, solicitation(target)))).toBe("");
    expect(service.counters[NdpCounter.ownAddress]).toBe(1);
    expect(ask(service, icmp6(ANY, SOLICITED, `87 00 0000 00000000 ${target}`))).toBe("");
  });

  test("duplicate address detection is answered for our addresses only, to all nodes", () => {
    const service = new NdpResponder(config);
    const detect = (target: string) => ask(service, icmp6(ANY, SOLICITED, `87 00 0000 00000000 ${target}`));
    expect(detect("20010db800000000 00000000000000aa")).toBe("");
    expect(withoutSum(detect(OUR_LL))).toBe(advertisement(OUR_LL, ALL_NODES, "a0000000", OUR_LL));
    expect(withoutSum(detect(GATEWAY))).toBe(advertisement(OUR_LL, ALL_NODES, "a0000000", GATEWAY));
    expect(service.counters[NdpCounter.duplicateDetections]).toBe(3);
  });

  test("an address that the guest was about to take is its own: passt answers for it", () => {
    const service = new NdpResponder(config);
    const temporary = "20010db800000000 00000000000000bb";
    const asks = () => ask(service, icmp6(GUEST_LL, SOLICITED, solicitation(temporary)));
    expect(asks()).not.toBe("");
    expect(ask(service, icmp6(ANY, SOLICITED, `87 00 0000 00000000 ${temporary}`))).toBe("");
    expect(asks()).toBe("");
    expect(service.counters[NdpCounter.ownAddress]).toBeGreaterThan(0);
    service.stop();
    expect(asks()).not.toBe("");
  });

  test("our own solicitation for the guest's address, byte for byte", () => {
    const service = new NdpResponder(config);
    const target = Uint32Array.of(0x2001_0db8, 0, 0, 0x12ab_cdef);
    const frame = written((view, at) => at + service.ask(target, view, at));
    expect(withoutSum(frame)).toBe(
      plain(`3333ffabcdef 9a559a559a55 86dd 60000000 0020 3a ff ${OUR_LL} ff02000000000000 00000001ffabcdef
       87 00 0000 00000000 20010db800000000 0000000012abcdef 01 01 9a559a559a55`),
    );
    expect(service.counters[NdpCounter.sentSolicitations]).toBe(2);
    expect(service.ask(new Uint32Array(4), new DataView(new ArrayBuffer(0)), 0)).toBe(0);
  });

  test.each([
    ["a hop limit of 254", icmp6(GUEST_LL, SOLICITED, solicitation(OUR_LL), "fe")],
    ["code 1", icmp6(GUEST_LL, SOLICITED, solicitation(OUR_LL).replace("87 00", "87 01"))],
    ["23 bytes", icmp6(GUEST_LL, SOLICITED, plain(solicitation(OUR_LL)).slice(0, 46))],
    ["an option of length 0", icmp6(GUEST_LL, SOLICITED, solicitation(OUR_LL).replace("01 01 02", "01 00 02"))],
    ["an option behind the end", icmp6(GUEST_LL, SOLICITED, solicitation(OUR_LL).replace("01 01 02", "01 02 02"))],
    ["a multicast target", icmp6(GUEST_LL, SOLICITED, solicitation(ALL_NODES))],
    ["a link-layer option from nowhere", icmp6(ANY, SOLICITED, solicitation(OUR_LL))],
    ["from nowhere to one node", icmp6(ANY, OUR_LL, `87 00 0000 00000000 ${OUR_LL}`)],
    ["from nowhere to all nodes", icmp6(ANY, ALL_NODES, `87 00 0000 00000000 ${OUR_LL}`)],
    ["from a group", icmp6(ALL_NODES, SOLICITED, solicitation(OUR_LL))],
  ])("%s: dropped as malformed", (_name, frame) => {
    const service = new NdpResponder(config);
    expect(ask(service, frame)).toBe("");
    expect(service.counters[NdpCounter.malformed]).toBe(1);
  });

  test("other ICMPv6 messages are left alone", () => {
    const service = new NdpResponder(config);
    expect(ask(service, icmp6(GUEST_LL, OUR_LL, "80 00 0000 0001 0001"))).toBe("");
    expect(ask(service, icmp6(GUEST_LL, OUR_LL, "88 00 0000 60000000"))).toBe("");
    expect(service.counters[NdpCounter.ignored]).toBe(2);
  });
});

describe("router advertisements", () => {
  const head = (length: string, destination: string) =>
    `020000000001 9a559a559a55 86dd 60000000 ${length} 3a ff ${OUR_LL} ${destination} 86 00 0000 ff`;
  const prefix = "03 04 40 c0 ffffffff ffffffff 00000000 20010db800000007 0000000000000000";
  const link = "01 01 9a559a559a55";
  const solicit = (source: string, option = "") =>
    icmp6(source, `ff02${"00".repeat(13)}02`, `85 00 0000 00000000 ${option}`);

  test("the prefix has no host bits (RFC 4861 section 4.6.2); passt sends the full address", () => {
    expect(ask(new NdpResponder(config), solicit(GUEST_LL))).toContain(plain(prefix));
  });

  test("no default router: lifetime 0, all else as before", () => {
    const service = new NdpResponder({ ...config, router: { ...config.router, isDefaultRouter: false } });
    const expected = plain(`${head("0038", GUEST_LL)} 00 0000 00000000 00000000 ${prefix} ${link}`);
    expect(withoutSum(ask(service, solicit(GUEST_LL)))).toBe(expected);
  });

  test("the least", () => {
    const service = new NdpResponder(config);
    const expected = plain(`${head("0038", GUEST_LL)} 00 ffff 00000000 00000000 ${prefix} ${link}`);
    expect(withoutSum(ask(service, solicit(GUEST_LL, "01 01 020000000001")))).toBe(expected);
    expect(withoutSum(ask(service, solicit(ANY)))).toBe(expected.replace(plain(GUEST_LL), plain(ALL_NODES)));
    expect(service.counters[NdpCounter.routerAdvertisements]).toBe(2);
    expect(ask(service, solicit(ANY, "01 01 020000000001"))).toBe("");
  });

  test("everything there is", () => {
    const router = {
      ...config.router,
      mtu: 65_520,
      managed: true,
      dnsServers: [Uint32Array.of(0x2001_0db8, 0, 0, 0x53), Uint32Array.of(0xfe80_0000, 0, 0, 1)],
      searchDomains: ["a.org"],
    };
    const dns = `19 05 0000 ffffffff 20010db800000000 0000000000000053 ${OUR_LL}`;
    const search = "1f 02 0000 ffffffff 0161 036f7267 00 00";
    const expected = `${head("0078", GUEST_LL)} 80 ffff 00000000 00000000 ${prefix} ${link} 05 01 0000 0000fff0 ${dns} ${search}`;
    const service = new NdpResponder({ ...config, router });
    expect(withoutSum(ask(service, solicit(GUEST_LL)))).toBe(plain(expected));
  });

  test("a search list only beside servers, and the longest advertisement fits", () => {
    const searchDomains = Array.from({ length: 60 }, (_, i) => `${"x".repeat(20)}${i}.example.org`);
    const bare = new NdpResponder({ ...config, router: { ...config.router, searchDomains } });
    expect(withoutSum(ask(bare, solicit(GUEST_LL)))).toHaveLength(2 * (54 + 56));
    const dnsServers = Array.from({ length: 16 }, () => Uint32Array.of(1, 2, 3, 4));
    const full = new NdpResponder({ ...config, router: { ...config.router, mtu: 1500, dnsServers, searchDomains } });
    const length = ask(full, solicit(GUEST_LL)).length / 2;
    expect(length).toBeGreaterThan(NDP_REPLY_BYTES_MAX - 80);
    expect(length).toBeLessThanOrEqual(NDP_REPLY_BYTES_MAX);
    const tooMany = { ...config, router: { dnsServers: [...dnsServers, ...dnsServers] } };
    expect(() => full.configure(tooMany, 0)).toThrow(RangeError);
    expect(ask(full, solicit(GUEST_LL)).length / 2).toBe(length);
  });

  test("no router: no advertisement", () => {
    const service = new NdpResponder({ ...config, router: null });
    expect(ask(service, solicit(GUEST_LL))).toBe("");
    expect(service.advertise(new DataView(new ArrayBuffer(0)), 0, config.ourMac)).toBe(0);
  });

  test("unsolicited: to all nodes, when due", () => {
    const service = new NdpResponder(config);
    const bytes = new Uint8Array(NDP_REPLY_BYTES_MAX);
    const length = service.advertise(new DataView(bytes.buffer), 0, bytesOf("020000000001"));
    const reply = Array.from(bytes.subarray(0, length), (byte) => byte.toString(16).padStart(2, "0")).join("");
    const solicited = ask(service, solicit(ANY));
    expect(reply).toBe(solicited);

    expect([service.due(1e9, 0.5), service.deadlineMs]).toEqual([false, Number.POSITIVE_INFINITY]);
    service.schedule(1000, 0);
    expect(service.deadlineMs).toBe(201_000);
    expect(service.due(200_999, 0.5)).toBe(false);
    expect(service.due(201_000, 0.5)).toBe(true);
    expect(service.deadlineMs).toBe(201_000 + 400_000);
    expect(service.due(201_001, 0.5)).toBe(false);
    service.schedule(0, 0.999_999);
    expect(service.deadlineMs).toBeLessThan(600_000);
    service.stop();
    expect(service.due(1e12, 0)).toBe(false);
  });
});
