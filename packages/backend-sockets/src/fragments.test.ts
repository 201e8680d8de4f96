import { describe, expect, test } from "bun:test";
import { ReassemblyCounter } from "@passt-ts/ip-reassembly/reassembly-counter";
import { fragmentFrame } from "@passt-ts/ip-reassembly/testing/reassembly-rig";
import { serializeSegment } from "@passt-ts/tcp-vu/testing/frames";
import { BackendCounter } from "./backend-counter.ts";
import { BackendRig, GATEWAY4, GATEWAY6, GUEST4, GUEST6 } from "./testing/backend-rig.ts";
import { isIcmp, pattern, udpFrame } from "./testing/guest-frames.ts";
import { GuestStream } from "./testing/guest-stream.ts";
import { freePort, HostListener, HostUdp, LOOPBACK4, LOOPBACK6 } from "./testing/host-sockets.ts";

const FAMILIES = [
  ["IPv4", GUEST4, GATEWAY4, LOOPBACK4],
  ["IPv6", GUEST6, GATEWAY6, LOOPBACK6],
] as const;

/** Bytes behind the IP header in a fragment, as a link of 1500 bytes allows. */
const FRAGMENT_BYTES = 1448;

/** Cuts a frame into fragments as a guest does, in order. */
function fragment(frame: Uint8Array, identification: number): Uint8Array[] {
  const v4 = frame[12] === 8;
  const at = v4 ? 34 : 54;
  const protocol = frame[v4 ? 23 : 20];
  const destination = [...frame.subarray(v4 ? 30 : 38, at)];
  const data = frame.subarray(at);
  const count = Math.ceil(data.length / FRAGMENT_BYTES);
  return Array.from({ length: count }, (_, i) =>
    fragmentFrame({
      v4,
      identification,
      protocol,
      destination,
      first: i * FRAGMENT_BYTES,
      more: i < count - 1,
      data: data.subarray(i * FRAGMENT_BYTES, (i + 1) * FRAGMENT_BYTES),
    }),
  );
}

describe.each(FAMILIES)("fragments of the guest over %s", (_name, source, destination, loopback) => {
  test("of a datagram leave as one, in whatever order and batches they came", () => {
    using rig = new BackendRig();
    using host = new HostUdp(loopback);
    const sourcePort = freePort("udp", loopback);
    const payload = pattern(9000);
    const frames = fragment(udpFrame({ source, destination, sourcePort, destinationPort: host.port, payload }), 7);
    rig.send(frames.slice(3).reverse(), [5, 21, 40, 1500]);
    rig.send([]);
    expect(host.receive()).toBeNull();
    rig.send(frames.slice(0, 3));
    expect(rig.waitFor(() => host.receive(), "the datagram")).toMatchObject({ bytes: payload, port: sourcePort });
    expect(host.receive()).toBeNull();
    expect(rig.backend.counters[BackendCounter.fragments]).toBe(frames.length);
  });

  test("of more datagrams than there is memory for in one batch all leave, none over another", () => {
    using rig = new BackendRig();
    using host = new HostUdp(loopback);
    const count = 60;
    const frames = Array.from({ length: count }, (_, i) => {
      const payload = pattern(2000, i);
      return fragment(udpFrame({ source, destination, sourcePort: 41000, destinationPort: host.port, payload }), i);
    });
    rig.send(frames.flat());
    for (let i = 0; i < count; i++) {
      const got = rig.waitFor(() => host.receive(), `datagram ${i}`);
      expect(Buffer.from(got.bytes).equals(pattern(2000, i))).toBe(true);
    }
    expect(rig.engines.reassembly.counters[ReassemblyCounter.reassembled]).toBe(count);
  });

  test("of a TCP segment become part of its stream", () => {
    using listener = new HostListener(loopback);
    using rig = new BackendRig();
    const stream = GuestStream.connect(rig, { source, peer: destination, peerPort: listener.port });
    using host = rig.waitFor(() => listener.accept(), "the connection");
    const payload = pattern(4000);
    const numbers = { sequence: stream.next >>> 0, acknowledgment: stream.expected >>> 0, flags: 24 };
    const ports = { sourcePort: 40000, destinationPort: listener.port };
    rig.send(fragment(serializeSegment({ source, destination, ...ports, ...numbers, payload }), 9).reverse());
    rig.until(() => host.read().received.length === payload.length, "the payload");
    expect(host.received).toEqual([...payload]);
  });

  test("of a datagram that never becomes whole are given up after 60 s, and the guest is told", () => {
    using rig = new BackendRig();
    const payload = pattern(3000);
    const [first] = fragment(udpFrame({ source, destination, destinationPort: 9, payload }), 3);
    rig.send([first]);
    rig.pass(59_000);
    expect(rig.take(isIcmp)).toEqual([]);
    rig.pass(1001);
    const v4 = source === GUEST4;
    const at = v4 ? 34 : 54;
    const error = rig.frame(isIcmp);
    expect([...error.subarray(at, at + 2)]).toEqual(v4 ? [11, 1] : [3, 1]);
  });
});

test("a new guest's fragments do not meet those of the old one", () => {
  using rig = new BackendRig();
  using host = new HostUdp(LOOPBACK4);
  const frames = fragment(udpFrame({ destinationPort: host.port, payload: pattern(2000) }), 1);
  rig.send(frames.slice(0, 1));
  rig.backend.reset(rig.nowMs);
  rig.send(frames.slice(1));
  rig.pump(5);
  expect([host.receive(), rig.engines.reassembly.counters[ReassemblyCounter.reassembled]]).toEqual([null, 0]);
});
