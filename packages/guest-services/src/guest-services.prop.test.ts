import { expect, test } from "bun:test";
import { pseudoHeaderOf4, pseudoHeaderOf6 } from "@passt-ts/checksum/pseudo-header";
import { sumBytes } from "@passt-ts/checksum/sum";
import { Packet } from "@passt-ts/wire/packet";
import { bytesOf, hexOf, POISON, viewOf } from "@passt-ts/wire/testing/frame-bytes";
import fc from "fast-check";
import { GuestServices, SERVICE_FRAME_BYTES_MAX } from "./guest-services.ts";
import type { FamilySettings, GuestOnLink, LinkSettings } from "./link-settings.ts";
import { icmp6, udp4, udp6 } from "./testing/ask.ts";

const GUEST_LL = "fe800000000000000000000000000099";
const ANY = "00".repeat(16);

const ipv4 = (address: number) => Uint32Array.of(0, 0, 0xffff, address);
const ipv6 = (subnet: number, host: number) => Uint32Array.of(0x2001_0db8, subnet, 0xabcd_0000, host);
const hex32 = (word: number) => (word >>> 0).toString(16).padStart(8, "0");
const text4 = (address: Uint32Array) => hex32(address[3]);
const text6 = (address: Uint32Array) => Array.from(address, hex32).join("");

const some = fc.nat(5);
const domains = fc.array(fc.constantFrom("example.org", "a.example.org", `${"x".repeat(60)}.org`, "b"), {
  maxLength: 8,
});

const leaseSeconds = fc.constantFrom(60, 0xffff_ffff);
const family4: fc.Arbitrary<FamilySettings | null> = fc.option(
  fc.record({
    guestAddress: some.map((n) => ipv4(0xc000_0210 + n)),
    prefixLength: fc.integer({ min: 0, max: 32 }),
    gateway: fc.option(some.map((n) => ipv4(0xc000_0200 + n))),
    nameServers: fc.array(
      some.map((n) => ipv4(0x0808_0800 + n)),
      { maxLength: 4 },
    ),
    leaseSeconds,
  }),
  { freq: 6 },
);
const family6: fc.Arbitrary<FamilySettings | null> = fc.option(
  fc.record({
    guestAddress: fc.option(fc.tuple(some, some).map(([subnet, host]) => ipv6(subnet, 0x10 + host))),
    prefixLength: fc.constant(64),
    gateway: fc.option(some.map((n) => ipv6(0, n + 1))),
    nameServers: fc.array(
      some.map((n) => ipv6(0x53, n)),
      { maxLength: 8 },
    ),
    isDefaultRouter: fc.boolean(),
    leaseSeconds,
  }),
  { freq: 6 },
);
const settingsArbitrary: fc.Arbitrary<LinkSettings> = fc.record({
  ourMac: fc.constant(bytesOf("9a559a559a55")),
  ourLinkLocal: some.map((n) => Uint32Array.of(0xfe80_0000, 0, 0, n + 1)),
  mtu: fc.constantFrom(0, 1280, 65_520),
  ipv4: family4,
  ipv6: family6,
  searchDomains: domains,
  hostName: fc.constantFrom("", "vm"),
  fqdn: fc.constantFrom("", "vm.example.org"),
  duidSeconds: fc.constant(7),
  switches: fc.record({
    dhcp: fc.boolean(),
    dhcpv6: fc.boolean(),
    ndp: fc.boolean(),
    routerAdvertisements: fc.boolean(),
    nameServers: fc.boolean(),
    searchDomains: fc.boolean(),
  }),
});

const arp = (sender: string, target: string) =>
  bytesOf(`ffffffffffff 020000000001 0806 0001 0800 0604 0001 020000000001 ${sender} 000000000000 ${target}`);
const neighbor = (source: string, target: string) =>
  icmp6(source, `ff02000000000000 00000001ff${target.slice(-6)}`, `87 00 0000 00000000 ${target}`);
const dhcp = (options: string, client = "00000000") =>
  udp4(
    client,
    "ffffffff",
    "0044 0043",
    `01 01 06 00 11223344 0000 0000 ${client} ${"00".repeat(12)} 020000000001 ${"00".repeat(202)} 63825363 ${options} ff`,
  );
const dhcpv6 = (type: string, address: string, server: string) =>
  udp6(
    GUEST_LL,
    "ff02000000000000 0000000000010002",
    "0222 0223",
    `${type} c0ffee 0001 000a 00030001020000000001 ${server}
     0003 0028 00000001 00000000 00000000 0005 0018 ${address} 00000000 00000000`,
  );
const SERVER = "0002 000e 00010001 00000007 9a559a559a55";

/** What a guest may send, by what it would be about. */
const frameArbitrary: fc.Arbitrary<Uint8Array> = fc.oneof(
  fc
    .tuple(some, some, fc.boolean())
    .map(([sender, target, isProbe]) =>
      arp(isProbe ? "00000000" : text4(ipv4(0xc000_0210 + sender)), text4(ipv4(0xc000_0200 + 3 * target))),
    ),
  fc
    .tuple(some, some, fc.boolean())
    .map(([subnet, host, isDetection]) => neighbor(isDetection ? ANY : GUEST_LL, text6(ipv6(subnet, 0x10 + host)))),
  fc.boolean().map((isBare) => icmp6(isBare ? ANY : GUEST_LL, `ff02${"00".repeat(13)}02`, "85 00 0000 00000000")),
  fc.tuple(fc.nat(9), some).map(([type, n]) => dhcp(`35 01 0${type} 32 04 ${text4(ipv4(0xc000_0210 + n))}`)),
  fc
    .tuple(fc.nat(12), some, some, fc.boolean())
    .map(([type, subnet, host, names]) =>
      dhcpv6(type.toString(16).padStart(2, "0"), text6(ipv6(subnet, 0x10 + host)), names ? SERVER : ""),
    ),
);

type Step = { settings: LinkSettings } | { frame: Uint8Array } | { waitMs: number } | { start: boolean };
const stepArbitrary: fc.Arbitrary<Step> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ settings: settingsArbitrary }) },
  { weight: 5, arbitrary: fc.record({ frame: frameArbitrary }) },
  { weight: 2, arbitrary: fc.record({ waitMs: fc.constantFrom(0, 1000, 16_000, 600_000) }) },
  { weight: 1, arbitrary: fc.record({ start: fc.boolean() }) },
);

/** Throws when a frame that the services wrote is not what a guest takes. */
function checkFrame(bytes: Uint8Array, settings: LinkSettings): void {
  const view = viewOf(bytes);
  const packet = new Packet();
  expect(packet.parse(view, 0, bytes.length, bytes.length)).toBe(0);
  if (packet.ipVersion === 0) return;
  expect(packet.l4At + packet.l4Length).toBe(bytes.length);
  const pseudoHeaderOf = packet.ipVersion === 4 ? pseudoHeaderOf4 : pseudoHeaderOf6;
  const pseudoHeader = pseudoHeaderOf(view, packet.ipAt, packet.protocol, packet.l4Length);
  expect(sumBytes(view, packet.l4At, bytes.length, pseudoHeader)).toBe(0xffff);
  if (packet.protocol === 58) checkNdp(bytes, settings);
}

function checkNdp(bytes: Uint8Array, settings: LinkSettings): void {
  const type = bytes[54];
  const guests = settings.ipv6?.guestAddress ?? null;
  if (type === 136 && guests !== null) expect(hexOf(bytes.subarray(62, 78))).not.toBe(text6(guests));
  if (type !== 134) return;
  for (let at = 54 + 16; at < bytes.length; at += 8 * bytes[at + 1]) {
    expect(bytes[at + 1]).toBeGreaterThan(0);
    // The host bits of a prefix.
    if (bytes[at] === 3) expect(hexOf(bytes.subarray(at + 24, at + 32))).toBe("0000000000000000");
  }
}

/** One guest's services, and the clock. */
class Run {
  readonly guest = { mac: new Uint8Array(6).fill(0xff), macObserved: false } as GuestOnLink;
  readonly services: GuestServices;
  settings: LinkSettings;
  nowMs = 0;
  readonly #packet = new Packet();
  readonly #frame = new Uint8Array(SERVICE_FRAME_BYTES_MAX + 7);

  constructor(settings: LinkSettings) {
    this.settings = settings;
    this.guest = {
      mac: new Uint8Array(6).fill(0xff),
      macObserved: false,
      ipv4: settings.ipv4?.guestAddress?.slice() ?? new Uint32Array(4),
      ipv6Global: settings.ipv6?.guestAddress?.slice() ?? new Uint32Array(4),
      ipv6LinkLocal: new Uint32Array(4),
    };
    this.services = new GuestServices(settings, this.guest);
  }

  take(step: Step): void {
    if ("settings" in step) {
      this.settings = step.settings;
      this.services.configure(step.settings, this.nowMs);
    } else if ("start" in step) {
      if (step.start) this.services.start(this.nowMs, 0.5);
      else this.services.stop();
    } else if ("frame" in step) this.#ask(step.frame);
    else this.nowMs += step.waitMs;
    this.#sendDue();
  }

  #ask(frame: Uint8Array): void {
    const packet = this.#packet;
    const view = viewOf(frame);
    expect(packet.parse(view, 0, frame.length, frame.length)).toBe(0);
    const { services } = this;
    this.#check((reply, at) => {
      if (packet.ipVersion === 0) return services.respondArp(packet, view, reply, at);
      if (packet.ipVersion === 4) return services.respondDhcp(packet, view, reply, at);
      if (packet.protocol === 58) return services.respondNdp(packet, view, reply, at);
      return services.respondDhcpv6(packet, view, reply, at);
    });
  }

  #sendDue(): void {
    let count = 0;
    while (this.#check((frame, at) => this.services.writeDue(this.nowMs, 0.5, frame, at)) > 0) {
      count++;
      // Two questions, four farewells, one advertisement.
      expect(count).toBeLessThanOrEqual(7);
    }
    expect(this.services.deadlineMs).toBeGreaterThan(this.nowMs);
  }

  /** What is written stays within the room there is, and is right. */
  #check(write: (frame: DataView, at: number) => number): number {
    this.#frame.fill(POISON);
    const length = write(new DataView(this.#frame.buffer, 0, 3 + SERVICE_FRAME_BYTES_MAX), 3);
    expect(this.#frame.subarray(0, 3).every((byte) => byte === POISON)).toBe(true);
    expect(this.#frame.subarray(3 + length).every((byte) => byte === POISON)).toBe(true);
    if (length > 0) checkFrame(this.#frame.slice(3, 3 + length), this.settings);
    return length;
  }
}

test("whatever the settings become and the guest asks: good frames within their room, no prefix with host bits", () => {
  fc.assert(
    fc.property(settingsArbitrary, fc.array(stepArbitrary, { maxLength: 30 }), (settings, steps) => {
      const run = new Run(settings);
      for (const step of steps) run.take(step);
    }),
    { numRuns: 400 },
  );
});
