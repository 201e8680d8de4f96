import { describe, expect, test } from "bun:test";
import { Packet } from "@passt-ts/wire/packet";
import { bytesOf, hexOf, viewOf } from "@passt-ts/wire/testing/frame-bytes";
import { GuestServices, SERVICE_FRAME_BYTES_MAX } from "./guest-services.ts";
import type { FamilySettings, GuestOnLink, LinkSettings, ServiceSwitches } from "./link-settings.ts";
import { icmp6, udp4, udp6 } from "./testing/ask.ts";

const ipv4 = (address: number) => Uint32Array.of(0, 0, 0xffff, address);
const GUEST6 = Uint32Array.of(0x2001_0db8, 0, 0, 2);
const GATEWAY6 = Uint32Array.of(0x2001_0db8, 0, 0, 1);
const GUEST_LL = "fe80000000000000 0000000000000099";
const ALL_SERVERS = "ff02000000000000 0000000000010002";
const CLIENT = "0001 000a 00030001020000000001";

const settings: LinkSettings = {
  ourMac: bytesOf("9a559a559a55"),
  ourLinkLocal: Uint32Array.of(0xfe80_0000, 0, 0, 1),
  mtu: 65_520,
  ipv4: {
    guestAddress: ipv4(0xc000_0202),
    prefixLength: 24,
    gateway: ipv4(0xc000_0201),
    nameServers: [ipv4(0xc000_0235)],
    ourAddresses: [ipv4(0xc000_0235)],
  },
  ipv6: { guestAddress: GUEST6, prefixLength: 64, gateway: GATEWAY6, nameServers: [GATEWAY6] },
  searchDomains: ["example.org"],
  hostName: "vm",
  fqdn: "vm.example.org",
  duidSeconds: 1,
};

/** A guest of which nothing was seen yet, with what was configured for it. */
const unseen = (): { -readonly [K in keyof GuestOnLink]: GuestOnLink[K] } => ({
  mac: new Uint8Array(6).fill(0xff),
  macObserved: false,
  ipv4: ipv4(0xc000_0202),
  ipv6Global: GUEST6.slice(),
  ipv6LinkLocal: new Uint32Array(4),
});

const arp = (sender: string, target: string) =>
  bytesOf(`ffffffffffff 020000000001 0806 0001 0800 0604 0001 020000000001 ${sender} 000000000000 ${target}`);
const dhcp = (options: string) =>
  udp4(
    "00000000",
    "ffffffff",
    "0044 0043",
    `01 01 06 00 11223344 0000 0000 ${"00".repeat(16)} 020000000001 ${"00".repeat(202)} 63825363 ${options} ff`,
  );
const neighbor = (target: string, source = GUEST_LL) =>
  icmp6(source, `ff02000000000000 00000001ff${target.slice(-6)}`, `87 00 0000 00000000 ${target}`);

const FRAMES = {
  arp: arp("c0000202", "c0000201"),
  ndp: neighbor("20010db800000000 0000000000000001"),
  router: icmp6(GUEST_LL, `ff02${"00".repeat(13)}02`, "85 00 0000 00000000"),
  dhcp: dhcp("35 01 01"),
  dhcpv6: udp6(GUEST_LL, ALL_SERVERS, "0222 0223", `01 c0ffee ${CLIENT} 0003 000c 00000001 00000000 00000000`),
};
type FrameName = keyof typeof FRAMES;

/** The reply to a frame, in hexadecimal; "" when there is none. */
function answer(services: GuestServices, frame: Uint8Array): string {
  const packet = new Packet();
  const view = viewOf(frame);
  expect(packet.parse(view, 0, frame.length, frame.length)).toBe(0);
  const reply = new Uint8Array(SERVICE_FRAME_BYTES_MAX);
  const replyView = new DataView(reply.buffer);
  let length = 0;
  if (packet.ipVersion === 0) length = services.respondArp(packet, view, replyView, 0);
  else if (packet.ipVersion === 4) length = services.respondDhcp(packet, view, replyView, 0);
  else if (packet.protocol === 58) length = services.respondNdp(packet, view, replyView, 0);
  else length = services.respondDhcpv6(packet, view, replyView, 0);
  return hexOf(reply.subarray(0, length));
}

function answered(services: GuestServices): FrameName[] {
  return (Object.keys(FRAMES) as FrameName[]).filter((name) => answer(services, FRAMES[name]) !== "");
}

/** The frames that are due now, in hexadecimal. */
function due(services: GuestServices, nowMs: number): string[] {
  const frames: string[] = [];
  const frame = new Uint8Array(SERVICE_FRAME_BYTES_MAX);
  for (;;) {
    const length = services.writeDue(nowMs, 0, new DataView(frame.buffer), 0);
    if (length === 0) return frames;
    frames.push(hexOf(frame.subarray(0, length)));
    if (frames.length > 20) throw new Error("no end of frames that are due");
  }
}

const ARP_QUESTION = "ffffffffffff9a559a559a550806000108000604" + "00019a559a559a55c0000201000000000000c0000202";
const isArp = (frame: string) => frame === ARP_QUESTION;
const isSolicitation = (frame: string) => frame.slice(108, 110) === "87";
const isAdvertisement = (frame: string) => frame.slice(108, 110) === "86";

describe("switches", () => {
  test.each<[string, Partial<LinkSettings>, FrameName[]]>([
    ["all on", {}, ["arp", "ndp", "router", "dhcp", "dhcpv6"]],
    ["no DHCP", { switches: { dhcp: false } }, ["arp", "ndp", "router", "dhcpv6"]],
    ["no DHCPv6", { switches: { dhcpv6: false } }, ["arp", "ndp", "router", "dhcp"]],
    ["no neighbor discovery", { switches: { ndp: false } }, ["arp", "dhcp", "dhcpv6"]],
    ["no router advertisements", { switches: { routerAdvertisements: false } }, ["arp", "ndp", "dhcp", "dhcpv6"]],
    ["no IPv4", { ipv4: null }, ["ndp", "router", "dhcpv6"]],
    ["no IPv6", { ipv6: null }, ["arp", "dhcp"]],
  ])("%s", (_name, change, expected) => {
    expect(answered(new GuestServices({ ...settings, ...change }, unseen()))).toEqual(expected);
  });

  test("no gateway: no DHCP", () => {
    const services = new GuestServices({ ...settings, ipv4: { ...settings.ipv4, gateway: null } as never }, unseen());
    expect(answered(services)).not.toContain("dhcp");
  });

  test("no IPv6 address: router advertisements without prefix, no DHCPv6", () => {
    const local = { guestAddress: null, prefixLength: 64, gateway: null, nameServers: [] };
    const services = new GuestServices({ ...settings, ipv6: local }, unseen());
    expect(answered(services)).toEqual(["arp", "ndp", "router", "dhcp"]);
    const advertisement = answer(services, FRAMES.router);
    expect(advertisement).not.toContain("030440c0");
    // Flags: not managed.
    expect(advertisement.slice(118, 120)).toBe("00");
  });

  test("with DHCPv6 the advertisement says managed, without it does not", () => {
    const flags = (switches: ServiceSwitches) =>
      answer(new GuestServices({ ...settings, switches }, unseen()), FRAMES.router).slice(118, 120);
    expect([flags({}), flags({ dhcpv6: false })]).toEqual(["80", "00"]);
  });

  const NAME = "076578616d706c65036f726700";
  test.each<[string, ServiceSwitches, [FrameName, string, boolean][]]>([
    [
      "all said",
      {},
      [
        ["dhcp", "0604c0000235", true],
        ["dhcpv6", "00170010", true],
        ["router", "19030000", true],
        ["dhcp", `770d${NAME}`, true],
        ["dhcpv6", `0018000d${NAME}`, true],
        ["router", "1f030000", true],
      ],
    ],
    [
      "no DNS servers; router advertisements then name no domains either",
      { nameServers: false },
      [
        ["dhcp", "0604c0000235", false],
        ["dhcpv6", "00170010", false],
        ["router", "19030000", false],
        ["dhcp", `770d${NAME}`, true],
        ["router", "1f030000", false],
      ],
    ],
    [
      "no search domains",
      { searchDomains: false },
      [
        ["dhcp", "0604c0000235", true],
        ["dhcp", `770d${NAME}`, false],
        ["dhcpv6", `0018000d${NAME}`, false],
        ["router", "1f030000", false],
      ],
    ],
  ])("%s", (_name, switches, expected) => {
    const services = new GuestServices({ ...settings, switches }, unseen());
    for (const [frame, part, isThere] of expected) {
      const found = answer(services, FRAMES[frame]).includes(part);
      expect([frame, part, found]).toEqual([frame, part, isThere]);
    }
  });

  test("names and MTU", () => {
    const offer = answer(new GuestServices(settings, unseen()), FRAMES.dhcp);
    expect(offer).toContain("0c02766d");
    expect(offer).toContain("1a02fff0");
    expect(offer).toContain(`511304ffff02766d${NAME}`);
    const bare = new GuestServices({ ...settings, mtu: 0, hostName: "", fqdn: "" }, unseen());
    expect(answer(bare, FRAMES.dhcp)).not.toContain("1a02");
    expect(answer(bare, FRAMES.router)).not.toContain("05010000");
  });
});

describe("whose an address is", () => {
  test("the guest's, given or seen: no answer", () => {
    const guest = unseen();
    const services = new GuestServices(settings, guest);
    guest.ipv4[3] = 0xc000_0209;
    guest.ipv6LinkLocal.set([0xfe80_0000, 0, 0, 0x99]);
    for (const target of ["c0000202", "c0000209"]) expect(answer(services, arp("c0000201", target))).toBe("");
    for (const target of ["20010db800000000 0000000000000002", GUEST_LL]) {
      expect(answer(services, neighbor(target))).toBe("");
    }
  });

  test("ours: gateway and what else stands for the host's is defended, the rest of the link is not", () => {
    const services = new GuestServices(settings, unseen());
    const probe = (target: string) => answer(services, arp("00000000", target)) !== "";
    expect(["c0000201", "c0000235", "c0000236"].map(probe)).toEqual([true, true, false]);
    const detect = (target: string) => answer(services, neighbor(target, "00".repeat(16))) !== "";
    expect(["20010db8000000000000000000000001", "20010db8000000000000000000000077"].map(detect)).toEqual([true, false]);
  });

  test("the guest's given address is never ours, whatever else it stands for", () => {
    const both = { ...settings.ipv6, ourAddresses: [GUEST6] } as NonNullable<LinkSettings["ipv6"]>;
    const services = new GuestServices({ ...settings, ipv6: both }, unseen());
    expect(answer(services, neighbor("20010db8000000000000000000000002", "00".repeat(16)))).toBe("");
  });
});

describe("the question for the guest's MAC address", () => {
  test("goes out when frames can reach the guest, ARP and neighbor solicitation; passt loses both", () => {
    const services = new GuestServices(settings, unseen());
    expect([services.deadlineMs, due(services, 1e9)]).toEqual([Number.POSITIVE_INFINITY, []]);
    services.start(5000, 0);
    expect(services.deadlineMs).toBe(5000);
    const frames = due(services, 5000);
    expect(frames.map((frame) => [isArp(frame), isSolicitation(frame)])).toEqual([
      [true, false],
      [false, true],
    ]);
    expect(frames[1]?.slice(124, 156)).toBe("20010db8000000000000000000000002");
    expect(services.deadlineMs).toBe(6000);
  });

  test("is asked three times at most, a second apart", () => {
    const services = new GuestServices(settings, unseen());
    services.start(0, 0);
    expect([0, 999, 1000, 2000, 3000, 9000].map((nowMs) => due(services, nowMs).length)).toEqual([2, 0, 2, 2, 0, 0]);
    expect(services.deadlineMs).toBe(200_000);
  });

  test("is not asked of a guest that was heard", () => {
    const guest = unseen();
    const services = new GuestServices(settings, guest);
    services.start(0, 0);
    due(services, 0);
    guest.macObserved = true;
    expect(due(services, 1000)).toEqual([]);
    expect(services.deadlineMs).toBe(200_000);
  });

  test.each<[string, Partial<LinkSettings>, (guest: GuestOnLink) => void, number]>([
    ["IPv4 is off", { ipv4: null }, () => {}, 1],
    ["IPv6 is off", { ipv6: null }, () => {}, 1],
    ["no address is known", {}, (guest) => guest.ipv4.fill(0) && guest.ipv6Global.fill(0), 0],
    [
      "only a link-local address is known",
      { ipv4: null },
      (guest) => guest.ipv6Global.fill(0) && guest.ipv6LinkLocal.set([0xfe80_0000, 0, 0, 9]),
      1,
    ],
  ])("where %s", (_name, change, prepare, count) => {
    const guest = unseen();
    prepare(guest);
    const services = new GuestServices({ ...settings, ...change }, guest);
    services.start(0, 0);
    expect(due(services, 0)).toHaveLength(count);
  });

  test("a guest that is gone is not asked", () => {
    const services = new GuestServices(settings, unseen());
    services.start(0, 0);
    services.stop();
    expect([services.deadlineMs, due(services, 1e9)]).toEqual([Number.POSITIVE_INFINITY, []]);
  });
});

describe("other settings while a guest is there", () => {
  const started = () => {
    const guest = unseen();
    guest.macObserved = true;
    guest.mac.set([2, 0, 0, 0, 0, 1]);
    const services = new GuestServices(settings, guest);
    services.start(0, 0);
    due(services, 0);
    return services;
  };

  test("another resolver: DHCP and DHCPv6 name it from the next request on, an advertisement says so at once", () => {
    const services = started();
    const resolver6 = Uint32Array.of(0x2001_0db8, 0, 0, 0x53);
    const next: LinkSettings = {
      ...settings,
      ipv4: { ...settings.ipv4, nameServers: [ipv4(0x0909_0909)] } as NonNullable<LinkSettings["ipv4"]>,
      ipv6: { ...settings.ipv6, nameServers: [resolver6] } as NonNullable<LinkSettings["ipv6"]>,
    };
    services.configure(next, 7000);
    const frames = due(services, 7000);
    expect(frames.map(isAdvertisement)).toEqual([true]);
    // The new one for good, the old one no longer.
    expect(frames[0]).toContain("19030000ffffffff20010db8000000000000000000000053");
    expect(frames[0]).toContain("190300000000000020010db8000000000000000000000001");
    expect(frames[0]?.slice(0, 12)).toBe("020000000001");
    expect(services.deadlineMs).toBe(23_000);
    expect(answer(services, FRAMES.dhcp)).toContain("060409090909");
    expect(answer(services, FRAMES.dhcpv6)).toContain("0017001020010db8000000000000000000000053");
  });

  test("another IPv4 address: the old one is refused, the new one offered, and the old one is anybody's", () => {
    const services = started();
    const address = { ...settings.ipv4, guestAddress: ipv4(0xc000_0207) } as NonNullable<LinkSettings["ipv4"]>;
    services.configure({ ...settings, ipv4: address }, 1000);
    expect(answer(services, dhcp("35 01 03 32 04 c0000202"))).toContain("350106");
    expect(answer(services, FRAMES.dhcp)).toContain("c0000207");
    expect(answer(services, arp("c0000209", "c0000207"))).toBe("");
  });

  test("a lease of each family: a guest that renews after half of it gets what is new, and another address instead of its own", () => {
    const [home4, home6] = [settings.ipv4, settings.ipv6] as [FamilySettings, FamilySettings];
    const leased: LinkSettings = {
      ...settings,
      ipv4: { ...home4, leaseSeconds: 3600 },
      ipv6: { ...home6, leaseSeconds: 1000 },
    };
    const services = started();
    services.configure(leased, 0);
    expect(answer(services, FRAMES.dhcp)).toContain("330400000e10");
    // T1 and T2 of the association, then the address with both lifetimes.
    const lease6 = `000001f400000320 00050018 ${hexOf(bytesOf("20010db8 00000000 00000000 00000002"))} 000003e8000003e8`;
    expect(answer(services, FRAMES.dhcpv6)).toContain(lease6.replaceAll(" ", ""));

    services.configure({ ...leased, ipv4: { ...home4, leaseSeconds: 3600, nameServers: [ipv4(0xc633_6435)] } }, 1000);
    const renewal = dhcp("35 01 03 32 04 c0000202");
    expect([answer(services, renewal).includes("350105"), answer(services, renewal).includes("0604c6336435")]).toEqual([
      true,
      true,
    ]);

    const away6 = Uint32Array.of(0x2001_0db8, 0xffff_0000, 0, 2);
    const away4 = { ...home4, leaseSeconds: 3600, guestAddress: ipv4(0xc633_6402) };
    services.configure({ ...leased, ipv4: away4, ipv6: { ...home6, leaseSeconds: 1000, guestAddress: away6 } }, 2000);
    expect(answer(services, renewal)).toContain("350106");
    expect(answer(services, FRAMES.dhcp)).toContain("c6336402");
    const server = /0002000e(?<id>.{28})/.exec(answer(services, FRAMES.dhcpv6))?.groups?.id ?? "";
    const held = "0003 0028 00000001 00000000 00000000 0005 0018 20010db8 00000000 00000000 00000002 00000000 00000000";
    const renewal6 = udp6(GUEST_LL, ALL_SERVERS, "0222 0223", `05 c0ffee ${CLIENT} 0002 000e ${server} ${held}`);
    const [withdrawn, given] = [
      `00050018${"20010db8000000000000000000000002"}${"0".repeat(16)}`,
      `00050018${"20010db8ffff00000000000000000002"}000003e8000003e8`,
    ];
    expect(answer(services, renewal6)).toContain(withdrawn + given);
  });

  test("IPv6 goes and comes: a farewell, no answers; then all is back", () => {
    const services = started();
    services.configure({ ...settings, ipv6: null }, 1000);
    expect(answered(services)).toEqual(["arp", "dhcp"]);
    const farewell = due(services, 1000);
    // Router lifetime 0.
    expect(farewell.map((frame) => [isAdvertisement(frame), frame.slice(120, 124)])).toEqual([[true, "0000"]]);
    services.configure(settings, 2000);
    expect(answered(services)).toEqual(["arp", "ndp", "router", "dhcp", "dhcpv6"]);
    expect(due(services, 2000).map((frame) => frame.slice(120, 124))).toEqual(["ffff"]);
  });

  test.each<[string, Partial<LinkSettings>]>([
    ["a bad name", { hostName: "a b" }],
    ["a bad domain", { fqdn: "a..b" }],
    ["too many IPv6 servers", { ipv6: { ...settings.ipv6, nameServers: new Array(9).fill(GUEST6) } as never }],
    ["an impossible lease", { ipv4: { ...settings.ipv4, leaseSeconds: 0 } as never }],
    ["an impossible lease of IPv6", { ipv6: { ...settings.ipv6, leaseSeconds: 0 } as never }],
    [
      "too many servers for an advertisement",
      { switches: { dhcpv6: false }, ipv6: { ...settings.ipv6, nameServers: new Array(17).fill(GUEST6) } as never },
    ],
  ])("%s is refused, and nothing changes", (_name, change) => {
    const services = started();
    const before = (Object.keys(FRAMES) as FrameName[]).map((name) => answer(services, FRAMES[name]));
    const other = Uint32Array.of(0xfe80_0000, 0, 0, 0xff);
    expect(() => services.configure({ ...settings, ...change, mtu: 1400, ourLinkLocal: other }, 1000)).toThrow();
    expect((Object.keys(FRAMES) as FrameName[]).map((name) => answer(services, FRAMES[name]))).toEqual(before);
    expect(services.deadlineMs).toBe(200_000);
  });
});
