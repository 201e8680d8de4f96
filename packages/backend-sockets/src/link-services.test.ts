import { describe, expect, test } from "bun:test";
import { ipv4Words } from "@passt-ts/address-map/address";
import { icmp6, udp4, udp6 } from "@passt-ts/guest-services/testing/ask";
import { checksumsRight } from "@passt-ts/icmp-vu/testing/harness";
import { GuestFrame } from "@passt-ts/udp-vu/testing/harness";
import { bytesOf, hexOf } from "@passt-ts/wire/testing/frame-bytes";
import { BackendCounter } from "./backend-counter.ts";
import type { FamilyConfiguration, LinkConfiguration, LinkSwitches } from "./link-configuration.ts";
import { BackendRig, GATEWAY6, GUEST6, LINK } from "./testing/backend-rig.ts";
import { isIcmp, isTcp, isUdp, pingFrame, udpFrame } from "./testing/guest-frames.ts";
import { GuestStream } from "./testing/guest-stream.ts";
import { boundSocket, HostListener, HostStream, HostUdp, LOOPBACK6, portOf } from "./testing/host-sockets.ts";

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
  // Every layout of the reply's buffers gives the same bytes.
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

  test("no neighbor discovery in fragments, nor behind a fragment header that says nothing (RFC 6980)", () => {
    using rig = new BackendRig();
    const whole = icmp6(
      GUEST_LL,
      "ff02000000000000 00000001ff000001",
      `87 00 0000 00000000 ${OUR_LL} 0101 525400000009`,
    );
    const piece = (first: number, end: number, more: number): Uint8Array => {
      const header = [58, 0, 0, first | more, 0, 0, 0, first === 0 && more === 0 ? 1 : 2];
      const frame = Uint8Array.of(...whole.subarray(0, 54), ...header, ...whole.subarray(54 + first, 54 + end));
      frame.set([0, frame.length - 54, 44], 18);
      return frame;
    };
    rig.send([piece(0, 32, 0), piece(0, 16, 1), piece(16, 32, 0)]);
    expect(rig.take(isIcmp)).toEqual([]);
    expect(rig.backend.counters[BackendCounter.protocol]).toBe(2);
    rig.send([whole]);
    expect(rig.frame(isIcmp)[54]).toBe(136);
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

describe("where passt goes wrong, the specification holds:", () => {
  const solicit = (target: string) =>
    icmp6(GUEST_LL, "ff02000000000000 00000001ff000002", `87 00 0000 00000000 ${target} 0101 525400000009`);

  test("an advertised prefix has no host bits (RFC 4861 section 4.6.2)", () => {
    using rig = new BackendRig();
    rig.send([icmp6(GUEST_LL, "ff02000000000000 0000000000000002", "85 00 0000 00000000")]);
    const router = hex(rig.frame(isIcmp));
    const prefixAt = router.indexOf("030440c0");
    expect(router.slice(prefixAt + 32, prefixAt + 64)).toBe(`20010db8${"00".repeat(12)}`);
  });

  test("nobody answers for the guest's own addresses, the one it was given and the one it uses", () => {
    using rig = new BackendRig();
    rig.send([solicit(GUEST_LL), solicit("20010db8000000000000000000000002")]);
    expect(rig.take(isIcmp)).toEqual([]);
    rig.send([solicit("20010db8000000000000000000000003")]);
    expect(rig.take(isIcmp).length).toBe(1);
  });

  test("DHCPv6 REBIND is answered without a server identifier (RFC 8415 section 18.3.5)", () => {
    using rig = new BackendRig();
    const address = "20010db8 00000000 00000000 00000002";
    const ia = `0003 0028 deadbeef 00000000 00000000 0005 0018 ${address} 00000000 00000000`;
    const client = "0001 000a 00030001525400000009";
    rig.send([udp6(GUEST_LL, "ff02000000000000 0000000000010002", "0222 0223", `06 c0ffee ${client} ${ia}`)]);
    const reply = new GuestFrame(rig.frame(isUdp));
    expect(hex(reply.payload, 0, 4)).toBe("07c0ffee");
    expect(hex(reply.payload)).toContain(`00050018${plain(address)}ffffffffffffffff`);
  });

  test("a DHCP request for another address is refused (RFC 2131 section 4.3.2)", () => {
    using rig = new BackendRig();
    rig.send([dhcpRequest("03", `3604${GATEWAY} 32040a000063`)]);
    expect(dhcpOption(rig.frame(isUdp), 53)).toBe("06");
  });
});

describe("the question for the guest's MAC address (passt asks before the ring is ready, and it is lost)", () => {
  // To everybody, ARP; to the solicited node's group, NDP (RFC 4861 section 7.2.2).
  const QUESTIONS = [
    `ffffffffffff ${OUR_MAC} 0806 0001 0800 0604 0001 ${OUR_MAC} ${GATEWAY} 000000000000 ${GUEST}`,
    `3333ff000002 ${OUR_MAC} 86dd 60000000 0020 3a ff ${OUR_LL} ff0200000000000000000001ff000002`,
  ].map(plain);
  const asked = (rig: BackendRig) => rig.questions.splice(0).map((frame) => hex(frame, 0, frame[12] === 8 ? 42 : 54));

  test("goes out when the ring is ready and has buffers, not before, and is asked for three times", () => {
    using rig = new BackendRig({ sink: { ready: false, elements: 0 } });
    rig.pump();
    expect([asked(rig), rig.sink.roomWanted]).toEqual([[], false]);
    rig.sink.ready = true;
    rig.pump();
    expect([asked(rig), rig.sink.roomWanted, rig.extraTurns]).toEqual([[], true, 0]);
    rig.sink.addElements(16);
    rig.pump();
    expect([asked(rig), rig.sink.roomWanted]).toEqual([QUESTIONS, false]);
    for (let i = 0; i < 4; i++) {
      rig.pass(1000);
      rig.pump();
    }
    expect(asked(rig)).toEqual([...QUESTIONS, ...QUESTIONS]);
    expect(rig.engines.services.dropped).toBe(0);
  });

  test("is asked no more once the guest has said anything, and anew when there is a new guest", () => {
    using rig = new BackendRig();
    rig.pump();
    expect(asked(rig)).toEqual(QUESTIONS);
    rig.send([arp(GUEST, GATEWAY)]);
    rig.pass(1000);
    rig.pump();
    expect(asked(rig)).toEqual([]);
    rig.backend.reset(rig.nowMs);
    rig.pump();
    expect(asked(rig)).toEqual(QUESTIONS);
    rig.sink.ready = false;
    rig.pass(1000);
    rig.pump();
    expect([asked(rig), rig.engines.services.deadlineMs]).toEqual([[], Infinity]);
  });

  test("waits for nothing from a driver whose buffers hold no frame at all", () => {
    using rig = new BackendRig({ sink: { entryBytes: [40], mergeable: false } });
    rig.pump();
    expect([asked(rig), rig.sink.roomWanted, rig.extraTurns]).toEqual([[], false, 0]);
  });
});

describe("a link that changes while the guest is there", () => {
  const newGuest = ipv4Words(0x0a000102);
  const newServer = ipv4Words(0x0a000136);
  const changed: LinkConfiguration = {
    ...LINK,
    ipv4: { ...(LINK.ipv4 as FamilyConfiguration), guestAddress: newGuest, nameServers: [newServer] },
    ipv6: {
      ...(LINK.ipv6 as FamilyConfiguration),
      guestAddress: Uint32Array.of(0x20010db8, 0x00990000, 0, 2),
      nameServers: [Uint32Array.of(0x20010db8, 0x00990000, 0, 0x35)],
    },
    searchDomains: ["example.net"],
  };

  test("is told by the next DHCP answer, and a request for the old address is refused", () => {
    using rig = new BackendRig();
    rig.backend.configure(changed, rig.nowMs);
    rig.send([dhcpRequest("01")]);
    const offer = rig.frame(isUdp);
    expect([hex(offer, 58, 62), dhcpOption(offer, 6)]).toEqual(["0a000102", "0a000136"]);
    rig.send([dhcpRequest("03", `3604${GATEWAY} 3204${GUEST}`)]);
    expect(dhcpOption(rig.frame(isUdp), 53)).toBe("06");
  });

  test("is advertised at once: the new prefix and servers, the old ones taken back", () => {
    using rig = new BackendRig();
    rig.pump();
    rig.backend.configure(changed, rig.nowMs);
    const advertisement = hex(rig.frame(isIcmp));
    expect(advertisement.slice(108, 110)).toBe("86");
    expect(advertisement).toContain(`030440c0ffffffffffffffff00000000${plain("20010db8 00990000")}${"00".repeat(8)}`);
    expect(advertisement).toContain(`030440c0000000000000000000000000${plain("20010db8 00000000")}${"00".repeat(8)}`);
    expect(advertisement).toContain(`19030000ffffffff${plain("20010db8 00990000 00000000 00000035")}`);
  });

  test("keeps connections", () => {
    using listener = new HostListener();
    using rig = new BackendRig();
    const stream = GuestStream.connect(rig, { peerPort: listener.port });
    using host = rig.waitFor(() => listener.accept(), "the connection");
    rig.backend.configure(changed, rig.nowMs);
    host.write([1, 2, 3]);
    rig.until(() => stream.poll().received.length === 3, "data");
    expect([host.read().ending, stream.resets]).toEqual(["", 0]);
  });

  test("inbound flows reach the new address until the guest shows another", () => {
    const fd = boundSocket("tcp");
    using rig = new BackendRig({ forwards: [{ protocol: "tcp", fd, family: 4, targetPort: 22 }] });
    const destinations: number[] = [];
    const connect = () => {
      using host = HostStream.connect(portOf(fd));
      destinations.push(new GuestFrame(rig.frame(isTcp, "a SYN")).destination[3]);
      host.reset();
      rig.frame(isTcp, "a RST");
    };
    connect();
    rig.backend.configure(changed, rig.nowMs);
    connect();
    rig.send([udpFrame({ destinationPort: 9 })]);
    connect();
    expect(destinations).toEqual([0x0a000002, 0x0a000102, 0x0a000002]);
  });

  test("that nobody can be told of is refused whole, and the old one goes on", () => {
    using rig = new BackendRig();
    expect(() => rig.backend.configure({ ...changed, searchDomains: ["bad..example"] }, rig.nowMs)).toThrow();
    rig.send([dhcpRequest("01")]);
    expect(hex(rig.frame(isUdp), 58, 62)).toBe(GUEST);
  });

  test("ends flows of datagrams that may have to take another way, and no others", () => {
    using rig = new BackendRig();
    using host = new HostUdp();
    const send = () => rig.send([udpFrame({ destinationPort: host.port })]);
    send();
    rig.backend.configure({ ...LINK, searchDomains: [] }, rig.nowMs);
    expect(rig.engines.udp.flowCount).toBe(1);
    const ipv4 = { ...(LINK.ipv4 as FamilyConfiguration), hostAddress: newGuest };
    rig.backend.configure({ ...LINK, ipv4 }, rig.nowMs);
    expect(rig.engines.udp.flowCount).toBe(0);
    send();
    rig.until(() => host.receive()?.port === 40000, "a datagram from the guest's port");
    expect(rig.engines.udp.flowCount).toBe(1);
  });
});

describe("switched off, without a word to the guest:", () => {
  const solicitation = icmp6(GUEST_LL, "ff02000000000000 0000000000000002", "85 00 0000 00000000");
  const rigWithout = (switches: LinkSwitches) => new BackendRig({ link: { switches } });
  const switchedOff = (rig: BackendRig) => rig.backend.counters[BackendCounter.switchedOff];

  test("TCP (--no-tcp)", () => {
    using listener = new HostListener();
    using rig = rigWithout({ tcp: false });
    new GuestStream(rig, { peerPort: listener.port }).sendSyn();
    rig.pump(5);
    expect([rig.take(), listener.accept(), switchedOff(rig)]).toEqual([[], null, 1]);
  });

  test("UDP (--no-udp), but not DHCP", () => {
    using host = new HostUdp();
    using rig = rigWithout({ udp: false });
    rig.send([udpFrame({ destinationPort: host.port })]);
    rig.pump(5);
    expect([rig.take(), host.receive(), switchedOff(rig)]).toEqual([[], null, 1]);
    rig.send([dhcpRequest("01")]);
    expect(dhcpOption(rig.frame(isUdp), 53)).toBe("02");
  });

  test("ICMP (--no-icmp), neighbor discovery with it", () => {
    using rig = rigWithout({ icmp: false });
    rig.pump();
    rig.send([pingFrame(), pingFrame({ source: GUEST6, destination: GATEWAY6 }), solicitation]);
    rig.pass(700_000);
    rig.pump();
    expect([rig.take(), switchedOff(rig), rig.engines.icmp.flowCount]).toEqual([[], 3, 0]);
    expect(rig.questions.map((frame) => hex(frame, 12, 14))).toEqual(["0806"]);
  });

  test.each([
    [{ ndp: false }, [0, 1, 1]],
    [{ routerAdvertisements: false }, [0, 1, 1]],
    [{ dhcp: false }, [1, 0, 1]],
    [{ dhcpv6: false }, [1, 1, 0]],
    [{}, [1, 1, 1]],
  ])("%p: answers to router solicitation, DHCP and DHCPv6 are %p", (switches, answers) => {
    using rig = rigWithout(switches);
    const solicit = udp6(
      GUEST_LL,
      "ff02000000000000 0000000000010002",
      "0222 0223",
      "01 c0ffee 0001 000a 00030001525400000009 0003 000c deadbeef 00000000 00000000",
    );
    const counts = [solicitation, dhcpRequest("01"), solicit].map((frame) => {
      rig.send([frame]);
      return rig.take().length;
    });
    expect(counts).toEqual(answers);
  });
});

describe("not told by DHCP, DHCPv6 or router advertisements:", () => {
  const nameServers = [Uint32Array.of(0x20010db8, 0, 0, 0x35)];
  const ipv6 = { ...(LINK.ipv6 as FamilyConfiguration), nameServers };
  /** Whether each of the three, in this order, has servers (options 6, 23 and 25) and domains (119, 24 and 31). */
  const told = (switches: LinkSwitches) => {
    using rig = new BackendRig({ link: { ipv6, switches } });
    rig.send([dhcpRequest("01")]);
    const offer = rig.frame(isUdp);
    rig.send([udp6(GUEST_LL, "ff02000000000000 0000000000010002", "0222 0223", "0b c0ffee 0006 0004 0017 0018")]);
    const reply = hex(new GuestFrame(rig.frame(isUdp)).payload);
    rig.send([icmp6(GUEST_LL, "ff02000000000000 0000000000000002", "85 00 0000 00000000")]);
    const advertisement = hex(rig.frame(isIcmp));
    return {
      servers: [
        dhcpOption(offer, 6) !== "",
        reply.includes("0017001020010db8"),
        advertisement.includes("19030000ffff"),
      ],
      domains: [dhcpOption(offer, 119) !== "", reply.includes("0018000d"), advertisement.includes("1f030000ffff")],
    };
  };
  const [all, none] = [
    [true, true, true],
    [false, false, false],
  ];

  test("name servers (--no-dhcp-dns)", () => {
    expect(told({}).servers).toEqual(all);
    expect(told({ nameServers: false }).servers).toEqual(none);
  });

  test("search domains (--no-dhcp-search)", () => {
    expect(told({}).domains).toEqual(all);
    expect(told({ searchDomains: false })).toEqual({ servers: all, domains: none });
  });
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
  expect([rig.engines.services.responders.dhcp, rig.engines.services.responders.dhcpv6]).toEqual([null, null]);
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
