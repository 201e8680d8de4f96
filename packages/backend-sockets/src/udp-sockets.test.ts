import { describe, expect, test } from "bun:test";
import { GuestFrame } from "@passt-ts/udp-vu/testing/harness";
import { UdpCounter } from "@passt-ts/udp-vu/udp-counter";
import { IcmpType } from "@passt-ts/wire/icmp";
import { Icmpv6Type } from "@passt-ts/wire/icmpv6";
import { BackendRig, GATEWAY4, GATEWAY6, GUEST4, GUEST6 } from "./testing/backend-rig.ts";
import { isIcmp, isUdp, pattern, UDP4_HEADER_BYTES, udpFrame } from "./testing/guest-frames.ts";
import { boundSocket, freePort, HostUdp, LOOPBACK4, LOOPBACK6, portOf } from "./testing/host-sockets.ts";

const FAMILIES = [
  ["IPv4", GUEST4, GATEWAY4, LOOPBACK4],
  ["IPv6", GUEST6, GATEWAY6, LOOPBACK6],
] as const;

describe.each(FAMILIES)("%s datagrams", (_name, source, gateway, loopback) => {
  test("leave for a socket on the host's loopback with the guest's port, and the answer comes back to it", () => {
    using rig = new BackendRig();
    using host = new HostUdp(loopback);
    const sourcePort = freePort("udp", loopback);
    const payload = pattern(700);
    rig.send([udpFrame({ source, destination: gateway, sourcePort, destinationPort: host.port, payload })]);
    const got = rig.waitFor(() => host.receive(), "the datagram");
    expect(got).toEqual({ bytes: payload, address: [...loopback], port: sourcePort });
    host.send([1, 2, 3], loopback, got.port);
    const answer = new GuestFrame(rig.frame(isUdp));
    expect([answer.source, answer.destination]).toEqual([[...gateway], [...source]]);
    expect([answer.view.getUint16(answer.l4At), answer.view.getUint16(answer.l4At + 2)]).toEqual([
      host.port,
      sourcePort,
    ]);
    expect([[...answer.payload], answer.checksumsRight]).toEqual([[1, 2, 3], true]);
    const { udp } = rig.engines;
    expect(udp.flowCount).toBe(1);
    expect([UdpCounter.datagramsToHost, UdpCounter.datagramsToGuest].map((i) => udp.counters[i])).toEqual([1, 1]);
  });

  test("that come in through a forward reach the guest's port, and its answer leaves from the forwarded port", () => {
    const fd = boundSocket("udp", loopback);
    const forwarded = portOf(fd);
    using rig = new BackendRig({
      forwards: [{ protocol: "udp", fd, family: source === GUEST4 ? 4 : 6, targetPort: 53 }],
    });
    using host = new HostUdp(loopback);
    host.send(pattern(1000), loopback, forwarded);
    const got = new GuestFrame(rig.frame(isUdp));
    expect([got.source, got.destination]).toEqual([[...gateway], [...source]]);
    expect([got.view.getUint16(got.l4At), got.view.getUint16(got.l4At + 2)]).toEqual([host.port, 53]);
    expect([got.payload, got.checksumsRight]).toEqual([pattern(1000), true]);
    rig.send([udpFrame({ source, destination: gateway, sourcePort: 53, destinationPort: host.port, payload: [7, 8] })]);
    const answer = rig.waitFor(() => host.receive(), "the answer");
    expect(answer).toEqual({ bytes: Uint8Array.of(7, 8), address: [...loopback], port: forwarded });
  });

  test("to a closed port are answered with port unreachable, which quotes them", () => {
    using rig = new BackendRig();
    const destinationPort = freePort("udp", loopback);
    const sourcePort = destinationPort ^ 1;
    rig.send([udpFrame({ source, destination: gateway, sourcePort, destinationPort, payload: pattern(20) })]);
    const error = new GuestFrame(rig.frame(isIcmp));
    const v4 = source === GUEST4;
    const unreachable = v4 ? [IcmpType.destinationUnreachable, 3] : [Icmpv6Type.destinationUnreachable, 4];
    expect([...error.bytes.subarray(error.l4At, error.l4At + 2)]).toEqual(unreachable);
    expect([error.source, error.destination, error.checksumsRight]).toEqual([[...gateway], [...source], true]);
    const quotedUdp = error.l4At + 8 + (v4 ? 20 : 40);
    expect(error.view.getUint16(quotedUdp)).toBe(sourcePort);
    expect(error.view.getUint16(quotedUdp + 2)).toBe(destinationPort);
    expect(error.bytes.subarray(quotedUdp + 8)).toEqual(pattern(20));
    expect(rig.engines.udp.counters[UdpCounter.errorsToGuest]).toBe(1);
  });
});

test("a socket for both families passes IPv4 datagrams to the guest as IPv4, and the answer back", () => {
  const fd = boundSocket("udp", new Uint32Array(4));
  const forwarded = portOf(fd);
  using rig = new BackendRig({ forwards: [{ protocol: "udp", fd, family: 6, targetPort: 53 }] });
  using host4 = new HostUdp(LOOPBACK4);
  using host6 = new HostUdp(LOOPBACK6);
  for (const [host, loopback, source, gateway] of [
    [host4, LOOPBACK4, GUEST4, GATEWAY4],
    [host6, LOOPBACK6, GUEST6, GATEWAY6],
  ] as const) {
    host.send([1], loopback, forwarded);
    const got = new GuestFrame(rig.frame(isUdp));
    expect([got.source, got.destination]).toEqual([[...gateway], [...source]]);
    rig.send([udpFrame({ source, destination: gateway, sourcePort: 53, destinationPort: host.port, payload: [2] })]);
    expect(rig.waitFor(() => host.receive(), "the answer").port).toBe(forwarded);
  }
});

test("a forward with a target address leads there, behind the guest, and answers from there come back", () => {
  const targetAddress = Uint32Array.of(0, 0, 0xffff, 0x0a0000c8);
  const fd = boundSocket("udp");
  const forwarded = portOf(fd);
  using rig = new BackendRig({ forwards: [{ protocol: "udp", fd, family: 4, targetPort: 53, targetAddress }] });
  using host = new HostUdp();
  host.send([1], LOOPBACK4, forwarded);
  expect(new GuestFrame(rig.frame(isUdp)).destination).toEqual([...targetAddress]);
  rig.send([udpFrame({ source: targetAddress, sourcePort: 53, destinationPort: host.port, payload: [2] })]);
  expect(rig.waitFor(() => host.receive(), "the answer").port).toBe(forwarded);
});

test("flows of both families have the guest's port on the host, at the same time", () => {
  using host4 = new HostUdp(LOOPBACK4);
  using host6 = new HostUdp(LOOPBACK6);
  using rig = new BackendRig();
  const sourcePort = freePort("udp");
  rig.send([
    udpFrame({ sourcePort, destinationPort: host4.port }),
    udpFrame({ source: GUEST6, destination: GATEWAY6, sourcePort, destinationPort: host6.port }),
  ]);
  const ports = [host4, host6].map((host) => rig.waitFor(() => host.receive(), "a datagram").port);
  expect(ports).toEqual([sourcePort, sourcePort]);
});

const LOCAL4 = Uint32Array.of(0, 0, 0xffff, 0x7f000002);

test.each([
  ["IPv4", Uint32Array.of(0, 0, 0xffff, 0), 4],
  ["both families", new Uint32Array(4), 6],
] as const)("the answer leaves from the address that was written to, through a socket for %s", (_name, any, family) => {
  const fd = boundSocket("udp", any);
  const forwarded = portOf(fd);
  using rig = new BackendRig({ forwards: [{ protocol: "udp", fd, family, targetPort: 53 }] });
  using host = new HostUdp();
  host.send([1], LOCAL4, forwarded);
  rig.frame(isUdp);
  rig.send([udpFrame({ sourcePort: 53, destinationPort: host.port, payload: [2] })]);
  const answer = rig.waitFor(() => host.receive(), "the answer");
  expect([answer.address, answer.port]).toEqual([[...LOCAL4], forwarded]);
});

test.each(FAMILIES)("an answer to a peer that has gone comes back to the guest as port unreachable, %s", (...row) => {
  const [, source, gateway, loopback] = row;
  const fd = boundSocket("udp", loopback);
  const forwarded = portOf(fd);
  using rig = new BackendRig({
    forwards: [{ protocol: "udp", fd, family: source === GUEST4 ? 4 : 6, targetPort: 53 }],
  });
  const host = new HostUdp(loopback);
  host.send([1], loopback, forwarded);
  rig.frame(isUdp);
  host[Symbol.dispose]();
  rig.send([udpFrame({ source, destination: gateway, sourcePort: 53, destinationPort: host.port, payload: [2] })]);
  const error = new GuestFrame(rig.frame(isIcmp, "an ICMP error"));
  expect([error.source, error.destination, error.checksumsRight]).toEqual([[...gateway], [...source], true]);
  using next = new HostUdp(loopback);
  next.send([3], loopback, forwarded);
  expect([...new GuestFrame(rig.frame(isUdp)).payload]).toEqual([3]);
});

test.each(FAMILIES)("the guest's hop limit goes on with its datagrams, so that traceroute works, %s", (...row) => {
  const [, source, destination, loopback] = row;
  using rig = new BackendRig();
  using host = new HostUdp(loopback);
  for (const hopLimit of [9, 64, 1]) {
    rig.send([udpFrame({ source, destination, destinationPort: host.port, hopLimit })]);
    rig.waitFor(() => host.receive(), "the datagram");
    expect(host.hopLimit).toBe(hopLimit);
  }
});

test("a socket that has more than there is room for wakes nobody until there is", () => {
  using rig = new BackendRig({ sink: { elements: 1 } });
  using host = new HostUdp();
  rig.send([udpFrame({ destinationPort: host.port })]);
  const { port } = rig.waitFor(() => host.receive(), "the datagram");
  for (let i = 0; i < 100; i++) host.send([i], LOOPBACK4, port);
  const got = rig.waitFor(() => rig.take(isUdp)[0], "the first one");
  rig.pump(1);
  expect([got.bytes[42], rig.loop.wait(0), rig.backend.turn(rig.nowMs)]).toEqual([0, 0, false]);
  rig.sink.addElements(200);
  const rest: number[] = [];
  rig.until(() => {
    rest.push(...rig.take(isUdp).map(({ bytes }) => bytes[42]));
    return rest.length >= 99;
  }, "the others");
  expect(rest).toEqual(Array.from({ length: 99 }, (_, i) => i + 1));
});

test("datagrams that waited in a forward before there was a ring are dropped and counted, later ones arrive", () => {
  const fd = boundSocket("udp");
  const forwarded = portOf(fd);
  using host = new HostUdp();
  host.send([1], LOOPBACK4, forwarded);
  using rig = new BackendRig({
    sink: { ready: false },
    forwards: [{ protocol: "udp", fd, family: 4, targetPort: 53 }],
  });
  const { counters } = rig.engines.udp;
  rig.until(() => counters[UdpCounter.droppedNotReady] === 1, "the drop");
  rig.sink.ready = true;
  host.send([2], LOOPBACK4, forwarded);
  expect([...new GuestFrame(rig.frame(isUdp)).payload]).toEqual([2]);
});

test("a port that is taken on the host is no obstacle: the datagram leaves from another one", () => {
  using rig = new BackendRig();
  using host = new HostUdp();
  using other = new HostUdp(Uint32Array.of(0, 0, 0xffff, 0));
  rig.send([udpFrame({ sourcePort: other.port, destinationPort: host.port, payload: [5] })]);
  const got = rig.waitFor(() => host.receive(), "the datagram");
  expect(got.port).not.toBe(other.port);
  host.send([6], LOOPBACK4, got.port);
  const answer = new GuestFrame(rig.frame(isUdp));
  expect(answer.view.getUint16(answer.l4At + 2)).toBe(other.port);
});

// Layouts of receive buffers that drivers choose, and some that none does.
test.each([[[12, 1514]], [[26, 1514]], [[5, 21, 40, 1500]], [[66, 600]], [[100, 100, 100, 100]], [[128]]])(
  "datagrams of 1000, 3 and 0 bytes arrive right in receive buffers of %p bytes",
  (entryBytes) => {
    using rig = new BackendRig({ sink: { entryBytes } });
    using host = new HostUdp();
    rig.send([udpFrame({ destinationPort: host.port })]);
    const { port } = rig.waitFor(() => host.receive(), "the datagram");
    for (const length of [1000, 3, 0]) {
      host.send(pattern(length), LOOPBACK4, port);
      const got = new GuestFrame(rig.frame(isUdp));
      expect([got.payload, got.checksumsRight, got.bytes.length]).toEqual([
        pattern(length),
        true,
        UDP4_HEADER_BYTES + length,
      ]);
    }
  },
);

test("a chain may be split anywhere: the datagram on the host is the same at every split point", () => {
  using rig = new BackendRig();
  using host = new HostUdp();
  const payload = pattern(9);
  const frame = udpFrame({ destinationPort: host.port, payload });
  const whole = 12 + frame.length;
  const layouts = Array.from({ length: whole - 1 }, (_, i) => [i + 1, whole]);
  for (const layout of [...layouts, [12, 14, 20, 8, 5], [1]]) {
    rig.send([frame], layout);
    expect(rig.waitFor(() => host.receive(), `the datagram in pieces of ${layout}`).bytes).toEqual(payload);
  }
  expect(host.receive()).toBe(null);
});

test.each([1, 1472, 1473, 9000, 65_507])("a datagram of %d bytes passes as one in both directions", (length) => {
  using rig = new BackendRig();
  using host = new HostUdp();
  const payload = pattern(length);
  rig.send([udpFrame({ destinationPort: host.port, payload })], [4096]);
  const got = rig.waitFor(() => host.receive(), "the datagram");
  expect(got.bytes).toEqual(payload);
  host.send(payload, LOOPBACK4, got.port);
  expect(new GuestFrame(rig.frame(isUdp)).payload).toEqual(payload);
});

test("a batch to several sockets leaves in order for each", () => {
  using rig = new BackendRig();
  using one = new HostUdp();
  using two = new HostUdp();
  const frames = Array.from({ length: 60 }, (_, i) =>
    udpFrame({ destinationPort: (i % 3 === 0 ? one : two).port, payload: [i] }),
  );
  rig.send(frames, [20, 30]);
  const read = (host: HostUdp) => {
    const got: number[] = [];
    for (let next = host.receive(); next !== null; next = host.receive()) got.push(next.bytes[0]);
    return got;
  };
  const got = { one: [] as number[], two: [] as number[] };
  rig.until(() => {
    got.one.push(...read(one));
    got.two.push(...read(two));
    return got.one.length + got.two.length === 60;
  }, "60 datagrams");
  expect(got.one).toEqual(Array.from({ length: 20 }, (_, i) => 3 * i));
  expect(got.two).toEqual(Array.from({ length: 60 }, (_, i) => i).filter((i) => i % 3 !== 0));
});

test("a flow ends after its silence, and its socket with it", () => {
  using rig = new BackendRig();
  using host = new HostUdp();
  rig.send([udpFrame({ destinationPort: host.port })]);
  rig.waitFor(() => host.receive(), "the datagram");
  expect(rig.engines.udp.flowCount).toBe(1);
  rig.pass(29_000);
  rig.pump();
  expect(rig.engines.udp.flowCount).toBe(1);
  rig.pass(3000);
  rig.pump();
  expect([rig.engines.udp.flowCount, rig.engines.udp.counters[UdpCounter.flowsExpired]]).toEqual([0, 1]);
});

test("two back-ends in one process, interleaved, each give their own guest its own datagrams", () => {
  using one = new BackendRig();
  using two = new BackendRig({ sink: { entryBytes: [7, 100] } });
  using host = new HostUdp();
  const rigs = [one, two];
  for (let round = 0; round < 10; round++) {
    const payloads = rigs.map((_, i) => pattern(100 + round, 1000 * i + round));
    for (const [i, rig] of rigs.entries()) rig.send([udpFrame({ destinationPort: host.port, payload: payloads[i] })]);
    const ports: number[] = [];
    for (const [i, rig] of rigs.entries()) {
      const got = rig.waitFor(() => host.receive(), "a datagram");
      expect(got.bytes).toEqual(payloads[i]);
      ports.push(got.port);
    }
    for (const i of [1, 0]) host.send(payloads[i], LOOPBACK4, ports[i]);
    for (const [i, rig] of rigs.entries()) expect(new GuestFrame(rig.frame(isUdp)).payload).toEqual(payloads[i]);
  }
});
