import { describe, expect, test } from "bun:test";
import { ipv4Words, loopback4, loopback6 } from "./address.ts";
import { AddressMap, type AddressMapOptions } from "./address-map.ts";
import { ForwardTable, guestPortOf } from "./forward-table.ts";
import { GuestIdentity } from "./guest-identity.ts";

const GATEWAY4 = ipv4Words(0x0a000001);
const GUEST4 = ipv4Words(0x0a000002);
const OTHER4 = ipv4Words(0x08080808);
const GUEST_NAME4 = ipv4Words(0x0a000003);
const GUEST6 = Uint32Array.of(0x20010db8, 0, 0, 2);
const OTHER6 = Uint32Array.of(0x20010db8, 0, 1, 9);
const GATEWAY6 = Uint32Array.of(0x20010db8, 0, 0, 1);
const OUR_LL = Uint32Array.of(0xfe800000, 0, 0, 1);
const GUEST_LL = Uint32Array.of(0xfe800000, 0, 0, 0x22);
const NETWORK_LL = Uint32Array.of(0xfe800000, 0, 0, 0x33);

function identity(): GuestIdentity {
  return new GuestIdentity({ ourMac: new Uint8Array(6), ipv4: GUEST4, ipv6Global: GUEST6 });
}

function map(changes: Partial<AddressMapOptions> = {}): AddressMap {
  return new AddressMap({
    gateway4: GATEWAY4,
    gateway6: GATEWAY6,
    ourLinkLocal: OUR_LL,
    hostLoopback4: GATEWAY4,
    hostLoopback6: GATEWAY6,
    guestHostAddress4: GUEST4,
    guestHostAddress6: GUEST6,
    mapGuestAddress4: null,
    mapGuestAddress6: null,
    guest: identity(),
    ...changes,
  });
}

const toHost = (m: AddressMap, peer: Uint32Array, protocol = 6, port = 80): number[] | null => {
  const out = new Uint32Array(4);
  const placed = new Uint32Array(6);
  placed.set(peer, 2);
  return m.toHost(protocol, placed, 2, port, out) ? [...out] : null;
};
const toGuest = (m: AddressMap, source: Uint32Array): number[] | null => {
  const out = new Uint32Array(4);
  return m.toGuest(source, out) ? [...out] : null;
};
const guestFor = (m: AddressMap, peer: Uint32Array): number[] | null => {
  const out = new Uint32Array(4);
  return m.guestFor(peer, out) ? [...out] : null;
};

test("the gateway becomes the host's loopback, other addresses stay, the guest's own included", () => {
  expect(toHost(map(), GATEWAY4)).toEqual([...loopback4()]);
  expect(toHost(map(), GATEWAY6)).toEqual([...loopback6()]);
  expect(toHost(map(), OUR_LL)).toEqual([...loopback6()]);
  for (const address of [OTHER4, OTHER6, GUEST4, GUEST6, NETWORK_LL])
    expect(toHost(map(), address)).toEqual([...address]);
});

test("with loopback off the gateway is itself, and our link-local address leads nowhere", () => {
  const off = map({ hostLoopback4: null, hostLoopback6: null });
  expect(toHost(off, GATEWAY4)).toEqual([...GATEWAY4]);
  expect(toHost(off, GATEWAY6)).toEqual([...GATEWAY6]);
  expect(toHost(off, OUR_LL)).toBeNull();
});

test("with loopback off its peers still reach the guest through forwards, and appear from our address on the link", () => {
  const off = map({ hostLoopback4: null, hostLoopback6: null });
  expect(toGuest(off, loopback4())).toEqual([...GATEWAY4]);
  expect(toGuest(off, loopback6())).toEqual([...GATEWAY6]);
  const alone = map({ gateway4: null, gateway6: null, hostLoopback4: null, hostLoopback6: null });
  expect(toGuest(alone, loopback4())).toBeNull();
  expect(toGuest(alone, loopback6())).toEqual([...OUR_LL]);
});

test("a link-local gateway that does not mean the host's loopback is the host's own router", () => {
  const router = { gateway6: OUR_LL, hostLoopback6: OTHER6 };
  expect(toHost(map(router), OUR_LL)).toEqual([...OUR_LL]);
  expect(toHost(map(router), OTHER6)).toEqual([...loopback6()]);
  expect(toHost(map({ ...router, hostLoopback6: null }), OUR_LL)).toEqual([...OUR_LL]);
  expect(toHost(map({ ...router, hostLoopback6: OUR_LL }), OUR_LL)).toEqual([...loopback6()]);
});

describe("--dns-forward", () => {
  const resolver4 = ipv4Words(0x7f000035);
  const forward = { dnsForward4: OTHER4, dnsForward6: OTHER6, dnsHost4: resolver4, dnsHost6: loopback6() };

  test.each([
    [6, 53, true],
    [6, 853, true],
    [17, 53, true],
    [17, 853, true],
    [6, 80, false],
    [17, 5353, false],
    [1, 53, false],
    [1, 0, false],
  ])("protocol %d, port %d: leads to the host's resolver: %p", (protocol, port, leads) => {
    const m = map(forward);
    expect(toHost(m, OTHER4, protocol, port)).toEqual([...(leads ? resolver4 : OTHER4)]);
    expect(toHost(m, OTHER6, protocol, port)).toEqual([...(leads ? loopback6() : OTHER6)]);
    expect(toHost(m, GUEST_NAME4, protocol, port)).toEqual([...GUEST_NAME4]);
  });

  test("comes before the address that means the loopback, with or without that", () => {
    const m = map({ ...forward, dnsForward4: GATEWAY4 });
    expect([toHost(m, GATEWAY4, 17, 53), toHost(m, GATEWAY4, 17, 54)]).toEqual([[...resolver4], [...loopback4()]]);
    const off = map({ ...forward, dnsForward4: GATEWAY4, hostLoopback4: null });
    expect(toHost(off, GATEWAY4, 6, 53)).toEqual([...resolver4]);
  });

  test("leads nowhere else without a resolver", () => {
    const m = map({ ...forward, dnsHost4: null, dnsForward4: GATEWAY4 });
    expect([toHost(m, GATEWAY4, 17, 53), toHost(m, OTHER4, 17, 53)]).toEqual([[...loopback4()], [...OTHER4]]);
  });
});

test("another mapping holds from the next flow on", () => {
  const guest = identity();
  const m = map({ guest });
  const next = { gateway4: OTHER4, gateway6: null, ourLinkLocal: OUR_LL, hostLoopback4: OTHER4, hostLoopback6: null };
  const none = { guestHostAddress4: null, guestHostAddress6: null, mapGuestAddress4: null, mapGuestAddress6: null };
  m.configure({ ...next, ...none });
  expect([toHost(m, GATEWAY4), toHost(m, OTHER4)]).toEqual([[...GATEWAY4], [...loopback4()]]);
  expect(toGuest(m, loopback4())).toEqual([...OTHER4]);
  expect(toHost(m, OTHER4, 17, 53)).toEqual([...loopback4()]);
});

test("a guest that is given another address is taken to have it until it shows one", () => {
  const guest = identity();
  guest.configure({ ipv4: OTHER4, ipv6Global: null });
  expect([[...guest.ipv4], [...guest.ipv6Global]]).toEqual([[...OTHER4], [0, 0, 0, 0]]);
  const frame = new DataView(new ArrayBuffer(40));
  frame.setUint32(8, 0x0a000063);
  guest.observe(frame, 0, 4, 8);
  guest.configure({ ipv4: GUEST4, ipv6Global: GUEST6 });
  expect([guest.ipv4[3], [...guest.ipv6Global]]).toEqual([0x0a000063, [...GUEST6]]);
  guest.reset();
  expect([...guest.ipv4]).toEqual([...GUEST4]);
});

test("--map-guest-addr leads to the host address that the guest shadows, and back", () => {
  const mapped = map({ mapGuestAddress4: GUEST_NAME4 });
  expect(toHost(mapped, GUEST_NAME4)).toEqual([...GUEST4]);
  expect(toGuest(mapped, GUEST4)).toEqual([...GUEST_NAME4]);
  expect(toHost(map(), GUEST_NAME4)).toEqual([...GUEST_NAME4]);
});

test("what is no unicast address is refused; UDP may go to a multicast group", () => {
  for (const address of [0, 0x7f000001, 0x7f010203, 0xffffffff]) {
    expect(toHost(map(), ipv4Words(address))).toBeNull();
    expect(toHost(map(), ipv4Words(address), 17)).toBeNull();
  }
  const group4 = ipv4Words(0xe00000fb);
  const group6 = Uint32Array.of(0xff020000, 0, 0, 0xfb);
  for (const group of [group4, group6]) {
    expect(toHost(map(), group)).toBeNull();
    expect(toHost(map(), group, 17)).toEqual([...group]);
  }
  expect(toHost(map(), loopback6())).toBeNull();
  expect(toHost(map(), new Uint32Array(4))).toBeNull();
});

test("inbound: exact loopback, other loopback, own and foreign addresses", () => {
  const other = ipv4Words(0x0a00000a);
  const m = map({ hostLoopback4: other });
  expect(toGuest(m, loopback4())).toEqual([...other]);
  expect(toGuest(m, ipv4Words(0x7f000002))).toEqual([...GATEWAY4]);
  expect(toGuest(m, GUEST4)).toEqual([...GATEWAY4]);
  expect(toGuest(m, OTHER4)).toEqual([...OTHER4]);
  expect(toGuest(m, loopback6())).toEqual([...GATEWAY6]);
  expect(toGuest(m, GUEST6)).toEqual([...GATEWAY6]);
  expect(toGuest(map({ gateway6: null }), GUEST6)).toEqual([...OUR_LL]);
  expect(toGuest(m, OTHER6)).toEqual([...OTHER6]);
  expect(toGuest(map({ gateway4: null }), GUEST4)).toBeNull();
  expect(toGuest(m, new Uint32Array(4))).toBeNull();
});

test("an inbound flow goes to the guest's address of the peer's family and scope, once it is known", () => {
  const guest = identity();
  const m = map({ guest });
  expect(guestFor(m, OTHER4)).toEqual([...GUEST4]);
  expect(guestFor(m, OTHER6)).toEqual([...GUEST6]);
  expect(guestFor(m, OUR_LL)).toBeNull();
  const frame = new DataView(new ArrayBuffer(40));
  for (let i = 0; i < 4; i++) frame.setUint32(8 + 4 * i, GUEST_LL[i]);
  frame.setUint8(0, 0x52);
  guest.observe(frame, 0, 6, 8);
  expect(guestFor(m, OUR_LL)).toEqual([...GUEST_LL]);
  expect(toGuest(m, GUEST_LL)).toEqual([...OUR_LL]);
});

test("the guest's addresses are learnt from each frame, nonsense is not, and reset forgets", () => {
  const guest = identity();
  const frame = new DataView(new ArrayBuffer(40));
  expect([...guest.mac]).toEqual([255, 255, 255, 255, 255, 255]);
  for (let i = 0; i < 6; i++) frame.setUint8(i, 0x52 + i);
  guest.observe(frame, 0, 0, 0);
  expect([...guest.mac]).toEqual([0x52, 0x53, 0x54, 0x55, 0x56, 0x57]);
  expect([guest.macObserved, guest.ipv4Observed]).toEqual([true, false]);
  for (const nonsense of [0, 0x7f000001, 0xe0000001, 0xffffffff]) {
    frame.setUint32(8, nonsense);
    guest.observe(frame, 0, 4, 8);
    expect([...guest.ipv4]).toEqual([...GUEST4]);
  }
  frame.setUint32(8, 0x0a000063);
  guest.observe(frame, 0, 4, 8);
  expect(guest.ipv4[3]).toBe(0x0a000063);
  expect(guest.ipv4Observed).toBe(true);
  frame.setUint8(0, 0x53);
  guest.observe(frame, 0, 0, 0);
  expect(guest.mac[0]).toBe(0x52);
  guest.reset();
  expect([...guest.ipv4]).toEqual([...GUEST4]);
  expect([guest.macObserved, guest.mac[0]]).toEqual([false, 255]);
});

test("forwards: ranges shift, conflicts and wrong ports are refused, a bound address wins", () => {
  const table = new ForwardTable();
  const base = { protocol: 6, address: null, interfaceName: null, guestAddress: null, bestEffort: false };
  table.add({ ...base, firstPort: 8000, lastPort: 8009, guestFirstPort: 80 });
  const found = table.find(6, OTHER4, 8003);
  expect(found === null ? 0 : guestPortOf(found, 8003)).toBe(83);
  expect(table.find(6, OTHER4, 8010)).toBeNull();
  expect(table.find(17, OTHER4, 8003)).toBeNull();
  const refused = (changes: object): unknown => {
    try {
      table.add({ ...base, firstPort: 1, lastPort: 1, guestFirstPort: 1, ...changes });
    } catch (error) {
      return (error as { code: string }).code;
    }
    return "added";
  };
  expect(refused({ firstPort: 8009, lastPort: 9000 })).toBe("ERR_FORWARD_CONFLICT");
  expect(refused({ firstPort: 8009, lastPort: 8009, address: OTHER4 })).toBe("ERR_FORWARD_CONFLICT");
  expect(refused({ firstPort: 0 })).toBe("ERR_FORWARD_RANGE");
  expect(refused({ lastPort: 65536 })).toBe("ERR_FORWARD_RANGE");
  expect(refused({ firstPort: 5, lastPort: 4 })).toBe("ERR_FORWARD_RANGE");
  expect(refused({ firstPort: 5, lastPort: 7, guestFirstPort: 65534 })).toBe("ERR_FORWARD_RANGE");
  expect(refused({ guestAddress: GUEST4 })).toBe("ERR_FORWARD_FAMILY");
  expect(refused({ firstPort: 7, lastPort: 7, address: OTHER4, guestAddress: GUEST4 })).toBe("added");
  expect(refused({ firstPort: 7, lastPort: 7, address: GATEWAY4, guestFirstPort: 9 })).toBe("added");
  expect(table.find(6, GATEWAY4, 7)?.guestFirstPort).toBe(9);
  expect(refused({ protocol: 17, firstPort: 8000, lastPort: 8000 })).toBe("added");
});
