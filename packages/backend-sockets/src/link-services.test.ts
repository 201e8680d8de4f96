import { describe, expect, test } from "bun:test";
import { icmp6, udp4, udp6 } from "@passt-ts/guest-services/testing/ask";
import { checksumsRight } from "@passt-ts/icmp-vu/testing/harness";
import { GuestFrame } from "@passt-ts/udp-vu/testing/harness";
import { bytesOf, hexOf } from "@passt-ts/wire/testing/frame-bytes";
import { BackendCounter } from "./backend-counter.ts";
import type { FamilyConfiguration } from "./link-configuration.ts";
import { BackendRig, GUEST6, LINK } from "./testing/backend-rig.ts";
import { isIcmp, isTcp, isUdp } from "./testing/guest-frames.ts";
import { boundSocket, HostStream, LOOPBACK6, portOf } from "./testing/host-sockets.ts";

const GUEST = "0a000002";
const GATEWAY = "0a000001";
const GUEST_LL = "fe80000000000000 0000000000000002";
const OUR_LL = "fe800000000000000000000000000001";
const ALL_NODES = "ff020000000000000000000000000001";
const OUR_MAC = "9a559a559a55";

const arp = (sender: string, target: string) =>
  bytesOf(
    `ffffffffffff 525400000009 0806 0001 0800 0604 0001 525400000009 ${sender} 000000000000 ${target} ${"00".repeat(18)}`,
  );
const hex = (frame: Uint8Array, from = 0, to = frame.length) => hexOf(frame.subarray(from, to));
const plain = (text: string) => text.replaceAll(/[^0-9a-f]/g, "");

/** The data of a DHCP option in a reply, "" when it is not there. */
function dhcpOption(frame: Uint8Array, code: number): string {
  for (let at = 42 + 240; at < frame.length && frame[at] !== 255; at += 2 + frame[at + 1]) {
    if (frame[at] === 0) at--;
    else if (frame[at] === code) return hex(frame, at + 2, at + 2 + frame[at + 1]);
  }
  return "";
}

function dhcpRequest(type: string, options = ""): Uint8Array {
  const fixed = `01 01 06 00 11223344 0000 0000 ${"00".repeat(16)} 525400000009 ${"00".repeat(202)}`;
  return udp4("00000000", "ffffffff", "0044 0043", `${fixed} 63825363 3501${type} ${options} ff`);
}

describe("asked through send, answered to the guest:", () => {
  // Every layout of the reply's buffers gives the same bytes; behaviours.md section 6.
  test.each([[[65562]], [[12, 1514]], [[26, 1514]], [[5, 21, 40, 1500]], [[66, 600]], [[100]], [[128]]])(
    "ARP, with receive buffers of %p bytes",
    (entryBytes) => {
      using rig = new BackendRig({ sink: { entryBytes } });
      rig.send([arp(GUEST, GATEWAY)], [1]);
      expect(hex(rig.frame())).toBe(
        plain(`525400000009 ${OUR_MAC} 0806 0001 0800 0604 0002 ${OUR_MAC} ${GATEWAY} 525400000009 ${GUEST}`),
      );
    },
  );

  test("DHCP, through to the lease", () => {
    using rig = new BackendRig();
    rig.send([dhcpRequest("01")], [300]);
    const offer = new GuestFrame(rig.frame(isUdp));
    expect([hex(offer.bytes, 58, 62), dhcpOption(offer.bytes, 53), offer.checksumsRight]).toEqual([GUEST, "02", true]);
    rig.send([dhcpRequest("03", `3604${GATEWAY} 3204${GUEST}`)]);
    const lease = rig.frame(isUdp);
    expect([53, 1, 3, 6, 26].map((code) => dhcpOption(lease, code))).toEqual([
      "05",
      "ffffff00",
      GATEWAY,
      "0a000035",
      "05dc",
    ]);
  });

  test("neighbor and router solicitations", () => {
    using rig = new BackendRig();
    rig.send([icmp6(GUEST_LL, "ff02000000000000 00000001ff000001", `87 00 0000 00000000 ${OUR_LL} 0101 525400000009`)]);
    const neighbor = rig.frame(isIcmp);
    expect(neighbor[54]).toBe(136);
    expect([hex(neighbor, 62, 78), hex(neighbor, 80, 86), checksumsRight(neighbor)]).toEqual([OUR_LL, OUR_MAC, true]);
    rig.send([icmp6(GUEST_LL, "ff02000000000000 0000000000000002", "85 00 0000 00000000")]);
    const router = rig.frame(isIcmp);
    expect([router[54], checksumsRight(router)]).toEqual([134, true]);
    // Prefix 2001:db8::/64, on-link and for addresses; MTU 1500.
    expect(hex(router)).toContain(`030440c0ffffffffffffffff0000000020010db8${"00".repeat(12)}`);
    expect(hex(router)).toContain("05010000000005dc");
  });

  test("DHCPv6", () => {
    using rig = new BackendRig();
    const client = "0001 000a 00030001525400000009";
    const ia = "0003 000c deadbeef 00000000 00000000";
    const servers = "ff02000000000000 0000000000010002";
    rig.send([udp6(GUEST_LL, servers, "0222 0223", `01 c0ffee ${client} ${ia}`)]);
    const reply = new GuestFrame(rig.frame(isUdp));
    expect([hex(reply.payload, 0, 4), reply.checksumsRight]).toEqual(["02c0ffee", true]);
    expect(hex(reply.payload)).toContain(`00050018${plain("20010db8 00000000 00000000 00000002")}ffffffffffffffff`);
  });
});

test("a router advertisement comes unasked, some time after the guest did", () => {
  using rig = new BackendRig();
  rig.backend.reset(rig.nowMs);
  rig.pass(199_000);
  rig.pump();
  expect(rig.take(isIcmp)).toEqual([]);
  rig.pass(402_000);
  const frame = rig.frame(isIcmp);
  expect([frame[54], hex(frame, 38, 54)]).toEqual([134, ALL_NODES]);
});

test("nothing is advertised to nobody: a reset without a ring ends it", () => {
  using rig = new BackendRig();
  rig.backend.reset(rig.nowMs);
  expect(rig.engines.services.deadlineMs).toBeLessThan(Infinity);
  rig.sink.ready = false;
  rig.backend.reset(rig.nowMs);
  expect(rig.engines.services.deadlineMs).toBe(Infinity);
  rig.sink.ready = true;
  rig.pass(1_000_000);
  expect(rig.take()).toEqual([]);
});

test("a guest that tries the gateway's address is told that it is taken", () => {
  using rig = new BackendRig();
  const probe = (target: string) =>
    icmp6("00".repeat(16), "ff02000000000000 00000001ff000001", `87 00 0000 00000000 ${target}`);
  rig.send([probe("20010db8000000000000000000000001"), probe(OUR_LL), probe("20010db8000000000000000000000077")]);
  expect(rig.take(isIcmp).map((frame) => hex(frame.bytes, 62, 78))).toEqual([
    "20010db8000000000000000000000001",
    OUR_LL,
  ]);
});

test("without a gateway there is no DHCP, without an address no DHCPv6", () => {
  const link = {
    ipv4: { ...LINK.ipv4, gateway: null } as FamilyConfiguration,
    ipv6: { ...LINK.ipv6, guestAddress: null } as FamilyConfiguration,
  };
  using rig = new BackendRig({ link });
  const solicit = udp6(
    GUEST_LL,
    "ff02000000000000 0000000000010002",
    "0222 0223",
    "01 c0ffee 0001 000a 00030001525400000009",
  );
  rig.send([dhcpRequest("01"), solicit]);
  expect(rig.take()).toEqual([]);
  expect([rig.engines.services.dhcp, rig.engines.services.dhcpv6]).toEqual([null, null]);
});

test("a reply that finds no room is dropped and counted: the guest asks again", () => {
  using rig = new BackendRig({ sink: { elements: 0 } });
  rig.send([arp(GUEST, GATEWAY)]);
  expect([rig.take().length, rig.engines.services.dropped]).toEqual([0, 1]);
  rig.sink.addElements(1);
  rig.send([arp(GUEST, GATEWAY)]);
  expect([rig.take().length, rig.engines.services.dropped]).toEqual([1, 1]);
});

test("a service's message longer than any that makes sense is dropped and counted", () => {
  using rig = new BackendRig();
  const long = udp4("00000000", "ffffffff", "0044 0043", "00".repeat(2100));
  rig.send([long]);
  expect(rig.take()).toEqual([]);
  expect(rig.backend.counters[BackendCounter.serviceTooLong]).toBe(1);
});

test("a guest that asks whether its address is taken is reached there before its first packet", () => {
  const fd = boundSocket("tcp", LOOPBACK6);
  const port = portOf(fd);
  const ipv6 = { ...LINK.ipv6, guestAddress: null } as FamilyConfiguration;
  using rig = new BackendRig({ link: { ipv6 }, forwards: [{ protocol: "tcp", fd, family: 6, targetPort: 22 }] });
  const target = "20010db8000000000000000000000002";
  rig.send([icmp6("00".repeat(16), "ff02000000000000 00000001ff000002", `87 00 0000 00000000 ${target}`)]);
  expect(rig.take(isIcmp)).toEqual([]);
  using host = HostStream.connect(port, LOOPBACK6);
  const syn = rig.frame(isTcp, "a SYN to the guest");
  expect(host.ending).toBe("");
  expect(new GuestFrame(syn).destination).toEqual([...GUEST6]);
});
