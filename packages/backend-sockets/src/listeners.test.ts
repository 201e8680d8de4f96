import { describe, expect, test } from "bun:test";
import { TcpCounter } from "@passt-ts/tcp-vu/counters";
import { F, parseSegment } from "@passt-ts/tcp-vu/testing/frames";
import type { ForwardSocket } from "./listeners.ts";
import { BackendRig, GATEWAY4, GATEWAY6, GUEST4, GUEST6 } from "./testing/backend-rig.ts";
import { isTcp, pattern } from "./testing/guest-frames.ts";
import { GuestStream } from "./testing/guest-stream.ts";
import { boundSocket, HostStream, LOOPBACK4, LOOPBACK6, portOf } from "./testing/host-sockets.ts";

const GUEST_PORT = 2200;

/** A listening socket for the guest's port, and the port that it listens at. */
function forwardAt(address: Uint32Array = LOOPBACK4, family: 4 | 6 = 4): { forward: ForwardSocket; port: number } {
  const fd = boundSocket("tcp", address);
  return { forward: { protocol: "tcp", fd, family, targetPort: GUEST_PORT }, port: portOf(fd) };
}

describe.each([
  ["IPv4", LOOPBACK4, 4, GUEST4, GATEWAY4],
  ["IPv6", LOOPBACK6, 6, GUEST6, GATEWAY6],
] as const)("a connection to a forwarded port, %s", (_name, loopback, family, source, peer) => {
  test("reaches the guest from the address of its gateway and the peer's port, and carries both directions", () => {
    const { forward, port } = forwardAt(loopback, family);
    using rig = new BackendRig({ forwards: [forward] });
    using host = HostStream.connect(port, loopback);
    const guest = new GuestStream(rig, { source, peer, guestPort: GUEST_PORT, peerPort: host.port });
    rig.until(() => guest.poll().expected !== 0, "a SYN");
    expect(guest.seen[0].flags).toBe(F.syn);
    host.write(pattern(5000));
    rig.until(() => guest.poll().received.length === 5000, "what the host wrote");
    expect(Uint8Array.from(guest.received)).toEqual(pattern(5000));
    guest.write(pattern(1200));
    rig.until(() => host.read().received.length === 1200, "what the guest wrote");
    expect(Uint8Array.from(host.received)).toEqual(pattern(1200));
    guest.end();
    host.end();
    rig.until(() => guest.poll().fins === 1 && host.read().ending === "end", "both ends");
    rig.until(() => rig.engines.tcp.flowCount === 0, "the end of the flow");
    const { counters } = rig.engines.tcp;
    expect([TcpCounter.accepted, TcpCounter.closed].map((i) => counters[i])).toEqual([1, 1]);
  });
});

test("a socket for both families takes IPv4 connections too: they reach the guest as IPv4", () => {
  const { forward, port } = forwardAt(new Uint32Array(4), 6);
  using rig = new BackendRig({ forwards: [forward] });
  using host = HostStream.connect(port);
  rig.until(() => rig.engines.tcp.flowCount === 1, "the connection");
  const [syn] = rig.take(isTcp).map((frame) => parseSegment(frame));
  expect([syn.ipVersion, syn.sourcePort, syn.destinationPort]).toEqual([4, host.port, GUEST_PORT]);
});

test("a forward with a target address leads there, behind the guest, and answers from there come back", () => {
  const targetAddress = Uint32Array.of(0, 0, 0xffff, 0x0a0000c8);
  const { forward, port } = forwardAt();
  using rig = new BackendRig({ forwards: [{ ...forward, targetAddress }] });
  using host = HostStream.connect(port);
  const guest = new GuestStream(rig, { source: targetAddress, guestPort: GUEST_PORT, peerPort: host.port });
  rig.until(() => guest.poll().expected !== 0, "a SYN");
  guest.write(pattern(100));
  rig.until(() => host.read().received.length === 100, "what the guest wrote");
});

test("a guest that refuses with RST resets the host's peer", () => {
  const { forward, port } = forwardAt();
  using rig = new BackendRig({ forwards: [forward] });
  using host = HostStream.connect(port);
  const guest = new GuestStream(rig, { guestPort: GUEST_PORT, peerPort: host.port });
  const syn = rig.frame(isTcp);
  guest.expected = new DataView(syn.buffer).getUint32(38) + 1;
  guest.reset();
  rig.until(() => host.read().ending !== "", "the reset");
  expect([host.ending, rig.engines.tcp.flowCount]).toEqual(["ECONNRESET", 0]);
});

test("while there is no guest a connection is reset and counted, and the listener lives on", () => {
  const { forward, port } = forwardAt();
  using rig = new BackendRig({ sink: { ready: false }, forwards: [forward] });
  using early = HostStream.connect(port);
  rig.until(() => early.read().ending !== "", "the reset");
  expect([early.ending, rig.engines.listeners.refused]).toEqual(["ECONNRESET", 1]);
  rig.sink.ready = true;
  using later = HostStream.connect(port);
  rig.frame(isTcp);
  expect(later.read().ending).toBe("");
});

test("a peer whose address means nothing to the guest is reset and counted", () => {
  const { forward, port } = forwardAt(LOOPBACK6, 6);
  using rig = new BackendRig({ link: { ipv6: null }, forwards: [forward] });
  using host = HostStream.connect(port, LOOPBACK6);
  rig.until(() => host.read().ending !== "", "the reset");
  expect([host.ending, rig.engines.listeners.refused, rig.engines.tcp.flowCount]).toEqual(["ECONNRESET", 1, 0]);
});

test("a full flow table refuses the connection that finds no room", () => {
  const { forward, port } = forwardAt();
  using rig = new BackendRig({ forwards: [forward], flowCapacity: 1 });
  using first = HostStream.connect(port);
  rig.frame(isTcp);
  using second = HostStream.connect(port);
  rig.until(() => second.read().ending !== "", "the reset");
  expect([first.read().ending, second.ending, rig.engines.tcp.counters[TcpCounter.tableFull]]).toEqual([
    "",
    "ECONNRESET",
    1,
  ]);
});

test("forty connections at once are all accepted", () => {
  const { forward, port } = forwardAt();
  using rig = new BackendRig({ forwards: [forward] });
  const hosts: HostStream[] = [];
  for (let i = 0; i < 40; i++) {
    hosts.push(HostStream.connect(port));
    if (i % 10 === 9) rig.pump();
  }
  rig.until(() => rig.engines.tcp.flowCount === 40, "all of them");
  for (const host of hosts) host[Symbol.dispose]();
});

test.each([
  [1500, 1460],
  [9000, 8192],
  [0, 61_440],
])("told an MTU of %d bytes, a guest is offered an MSS of %d", (mtu, mss) => {
  const { forward, port } = forwardAt();
  using rig = new BackendRig({ forwards: [forward], link: { mtu } });
  using host = HostStream.connect(port);
  rig.until(() => rig.engines.tcp.flowCount === 1, "the connection");
  const [syn] = rig.take(isTcp).map((frame) => parseSegment(frame));
  expect([host.ending, ...syn.options.slice(0, 4)]).toEqual(["", 2, 4, mss >>> 8, mss & 255]);
});

test("a connection after a long silence gets one SYN at first, not at once a second one", () => {
  const { forward, port } = forwardAt();
  using rig = new BackendRig({ forwards: [forward] });
  rig.pump();
  rig.pass(60_000);
  using host = HostStream.connect(port);
  rig.until(() => rig.engines.tcp.flowCount === 1, "the connection");
  for (let i = 0; i < 5; i++) rig.pump(1);
  expect(rig.take(isTcp).length).toBe(1);
  expect(host.ending).toBe("");
  expect(rig.engines.tcp.deadlineMs - rig.nowMs).toBeGreaterThan(500);
});
