import { describe, expect, test } from "bun:test";
import { icmp6 } from "@passt-ts/guest-services/testing/ask";
import { EchoCounter } from "@passt-ts/icmp-vu/echo-counter";
import { openFileCount } from "@passt-ts/linux/testing/open-files";
import { F, serializeSegment } from "@passt-ts/tcp-vu/testing/frames";
import { UdpCounter } from "@passt-ts/udp-vu/udp-counter";
import { Drop } from "@passt-ts/wire/packet";
import { bytesOf } from "@passt-ts/wire/testing/frame-bytes";
import fc from "fast-check";
import { BackendCounter } from "./backend-counter.ts";
import type { ForwardSocket } from "./listeners.ts";
import { BackendRig, type BackendRigOptions, GATEWAY6, GUEST6 } from "./testing/backend-rig.ts";
import { isUdp, pattern, pingFrame, udpFrame } from "./testing/guest-frames.ts";
import { GuestStream } from "./testing/guest-stream.ts";
import { boundSocket, HostListener, HostStream, HostUdp, LOOPBACK4, portOf } from "./testing/host-sockets.ts";

const ARP = bytesOf(
  `ffffffffffff 525400000009 0806 0001 0800 0604 0001 525400000009 0a000002 000000000000 0a000001 ${"00".repeat(18)}`,
);

describe("counters", () => {
  test("every frame and byte from the guest, what was dropped by its reason", () => {
    using rig = new BackendRig();
    const frames: [reason: number, frame: Uint8Array][] = [
      [Drop.runt, new Uint8Array(13)],
      [Drop.etherType, new Uint8Array(60)],
      [Drop.ipv4Header, udpFrame({ destinationPort: 9 }).subarray(0, 30)],
      [Drop.loopback, udpFrame({ destinationPort: 9, destination: LOOPBACK4 })],
      [Drop.unspecifiedDestination, udpFrame({ destinationPort: 9, destination: Uint32Array.of(0, 0, 0xffff, 0) })],
    ];
    rig.send(frames.map(([, frame]) => frame));
    const { counters } = rig.backend;
    expect(counters[BackendCounter.frames]).toBe(frames.length);
    expect(counters[BackendCounter.bytes]).toBe(frames.reduce((sum, [, frame]) => sum + frame.length, 0));
    for (const [reason] of frames) expect([reason, counters[BackendCounter.dropped + reason]]).toEqual([reason, 1]);
    expect(rig.take()).toEqual([]);
  });

  test("fragments, and protocols that nobody here speaks", () => {
    using rig = new BackendRig();
    const fragment = udpFrame({ destinationPort: 9, payload: [1, 2] });
    fragment[20] = 0x20;
    const sctp = udpFrame({ destinationPort: 9 });
    sctp[23] = 132;
    const unreachable = pingFrame();
    unreachable[34] = 3;
    const multicastListener = icmp6(
      "fe80000000000000 0000000000000002",
      "ff02000000000000 0000000000000016",
      "8f 00 0000 00000000",
    );
    rig.send([fragment, sctp, unreachable, multicastListener]);
    const { counters } = rig.backend;
    expect([counters[BackendCounter.fragments], counters[BackendCounter.protocol]]).toEqual([1, 3]);
    expect(rig.take()).toEqual([]);
  });

  test("a family that is switched off is neither heard nor learnt from: its frames are dropped and counted", () => {
    using host = new HostUdp();
    using only6 = new BackendRig({ link: { ipv4: null } });
    only6.send([ARP, udpFrame({ destinationPort: host.port }), pingFrame()]);
    expect([only6.take(), only6.backend.counters[BackendCounter.familyOff]]).toEqual([[], 3]);
    expect([host.receive(), only6.engines.udp.flowCount]).toEqual([null, 0]);
    using only4 = new BackendRig({ link: { ipv6: null } });
    const packet = { source: GUEST6, destination: GATEWAY6 };
    const solicitation = icmp6(
      "fe80000000000000 0000000000000002",
      "ff02000000000000 0000000000000002",
      "85 00 0000 00000000",
    );
    only4.send([udpFrame({ ...packet, destinationPort: host.port }), pingFrame(packet), solicitation]);
    expect([only4.take(), only4.backend.counters[BackendCounter.familyOff]]).toEqual([[], 3]);
    expect([only4.engines.udp.flowCount, only4.engines.icmp.counters[EchoCounter.flowsOpened]]).toEqual([0, 0]);
  });
});

/** One flow of each kind, in both directions, with the sockets that the test itself opened. */
class BusyRig extends BackendRig {
  readonly owned: Disposable[] = [];
  readonly guest: GuestStream;
  readonly host: HostStream;
  readonly inbound: HostStream;

  constructor(forwards: readonly ForwardSocket[], options: BackendRigOptions = {}) {
    super({ ...options, forwards });
    const listener = new HostListener();
    const udp = new HostUdp();
    this.owned.push(listener, udp);
    this.send([udpFrame({ destinationPort: udp.port, payload: [1] })]);
    this.guest = GuestStream.connect(this, { peerPort: listener.port });
    this.host = this.waitFor(() => listener.accept(), "the connection");
    this.inbound = HostStream.connect(portOf(forwards[0].fd));
    this.owned.push(this.host, this.inbound);
    udp.send([2], LOOPBACK4, portOf(forwards[1].fd));
    this.until(() => this.engines.tcp.flowCount === 2 && this.engines.udp.flowCount === 2, "all flows");
  }

  disposeAll(): void {
    for (const one of this.owned) one[Symbol.dispose]();
  }
}

const forwards = (): ForwardSocket[] => [
  { protocol: "tcp", fd: boundSocket("tcp"), family: 4, targetPort: 22 },
  { protocol: "udp", fd: boundSocket("udp"), family: 4, targetPort: 53 },
];

describe("resources", () => {
  test("close gives back every descriptor: flows, forwards, and its window of the table", () => {
    const before = openFileCount();
    const rig = new BusyRig(forwards());
    const windows = rig.windows.count;
    expect(openFileCount()).toBeGreaterThan(before + 8);
    rig.close();
    rig.disposeAll();
    expect(openFileCount()).toBe(before);
    expect(rig.windows.count).toBe(windows - 1);
  });

  test("close before a device was attached gives back the forwards too", () => {
    const before = openFileCount();
    const rig = new BackendRig({ attached: false, forwards: forwards() });
    expect(openFileCount()).toBeGreaterThan(before);
    rig.close();
    expect(openFileCount()).toBe(before);
  });

  test("a second close closes nothing: the numbers are somebody else's by then", () => {
    const rig = new BackendRig({ forwards: forwards() });
    rig.close();
    const others = [new HostUdp(), new HostUdp(), new HostUdp()];
    const open = openFileCount();
    rig.backend.close();
    expect(openFileCount()).toBe(open);
    for (const other of others) other[Symbol.dispose]();
  });

  test("after a reset no flow is left, the host's peers see resets, and the forwards serve the next guest", () => {
    const sockets = forwards();
    using rig = new BusyRig(sockets);
    const { engines, host, inbound } = rig;
    const idle = openFileCount();
    rig.backend.reset(rig.nowMs);
    expect([engines.tcp.flowCount, engines.udp.flowCount, engines.icmp.flowCount]).toEqual([0, 0, 0]);
    // Two connections and one UDP socket: the inbound UDP flow uses its listener's.
    expect(openFileCount()).toBe(idle - 3);
    expect([host.read().ending, inbound.read().ending]).toEqual(["ECONNRESET", "ECONNRESET"]);
    rig.take();
    using next = HostStream.connect(portOf(sockets[0].fd));
    rig.until(() => engines.tcp.flowCount === 1, "the next connection");
    expect(next.read().ending).toBe("");
    rig.disposeAll();
  });

  test("what the old guest's connections were is unknown to the new one: a segment of theirs is answered with RST", () => {
    using rig = new BusyRig(forwards());
    rig.backend.reset(rig.nowMs);
    rig.take();
    rig.guest.write([1]);
    rig.until(() => rig.guest.poll().resets === 1, "a RST");
    rig.disposeAll();
  });

  test("two hundred connections, opened and ended one after the other, leave nothing behind", () => {
    using rig = new BackendRig({ flowCapacity: 4 });
    using listener = new HostListener();
    const before = openFileCount();
    const registered = rig.loop.count;
    for (let i = 0; i < 200; i++) {
      const guest = GuestStream.connect(rig, { guestPort: 20_000 + i, peerPort: listener.port });
      using host = rig.waitFor(() => listener.accept(), "the connection");
      if (i % 2 === 0) guest.reset();
      else {
        guest.end();
        host.end();
        rig.until(() => guest.poll().fins === 1, "the host's FIN");
      }
      rig.until(() => rig.engines.tcp.flowCount === 0, "the end of the flow");
    }
    expect([openFileCount(), rig.loop.count]).toEqual([before, registered]);
  });
});

test("a frame that is no length or sense at all never makes send throw, and each is counted", () => {
  using host = new HostUdp();
  using rig = new BackendRig();
  const seeds = [
    udpFrame({ destinationPort: host.port, payload: pattern(40) }),
    udpFrame({ source: GUEST6, destination: GATEWAY6, destinationPort: host.port, payload: pattern(40) }),
    udpFrame({ destinationPort: 67, payload: pattern(300) }),
    udpFrame({ source: GUEST6, destination: GATEWAY6, destinationPort: 547, payload: pattern(60) }),
    serializeSegment({ destination: Uint32Array.of(0, 0, 0xffff, 0x0a000001), destinationPort: 1, flags: F.syn }),
    pingFrame({ payload: pattern(20) }),
    icmp6("fe80000000000000 0000000000000002", "ff02000000000000 0000000000000002", "85 00 0000 00000000"),
    ARP,
  ];
  // The ethertype and the destination stay: a test must not talk to other machines.
  const isFixed = (frame: Uint8Array, at: number) =>
    at === 12 || at === 13 || (frame[12] === 0x86 ? at >= 38 && at < 54 : at >= 30 && at < 34);
  const change = fc.tuple(fc.nat(120), fc.nat(255));
  const frames = fc.array(
    fc.tuple(fc.constantFrom(...seeds), fc.array(change, { maxLength: 6 }), fc.nat(400)).map(([seed, changes, cut]) => {
      const frame = seed.slice(0, cut > 300 ? Math.max(1, seed.length - (cut - 300)) : seed.length);
      for (const [at, value] of changes) if (at < frame.length && !isFixed(seed, at)) frame[at] = value;
      return frame;
    }),
    { minLength: 1, maxLength: 8 },
  );
  const { counters } = rig.backend;
  fc.assert(
    fc.property(frames, fc.constantFrom<number[]>([], [1], [12, 14, 20], [60]), (batch, entryBytes) => {
      const before = counters[BackendCounter.frames];
      rig.send(batch, entryBytes);
      rig.pump();
      rig.take();
      expect(counters[BackendCounter.frames]).toBe(before + batch.length);
    }),
    { numRuns: 300 },
  );
  rig.backend.reset(rig.nowMs);
  rig.send([ARP]);
  expect(rig.take().length).toBe(1);
});

test("a datagram that waits for room can be discarded; the one behind it still arrives", () => {
  using host = new HostUdp();
  using rig = new BackendRig({ sink: { elements: 0 } });
  rig.send([udpFrame({ destinationPort: host.port })]);
  const { port } = rig.waitFor(() => host.receive(), "the datagram");
  host.send(pattern(100), LOOPBACK4, port);
  host.send(pattern(200), LOOPBACK4, port);
  rig.until(() => rig.sink.roomWanted, "the wish for room");
  expect(rig.backend.discard()).toBe(42 + 100);
  rig.sink.addElements(4);
  const frame = rig.frame(isUdp);
  expect(frame.length).toBe(42 + 200);
  expect(rig.backend.discard()).toBe(0);
  expect(rig.engines.udp.counters[UdpCounter.datagramsToGuest]).toBe(1);
});

test("what the guest's packets come from is learnt: an inbound connection follows a guest that took another address", () => {
  const [tcp] = forwards();
  using rig = new BackendRig({ forwards: [tcp] });
  rig.send([udpFrame({ source: Uint32Array.of(0, 0, 0xffff, 0x0a000063), destinationPort: 9 })]);
  using host = HostStream.connect(portOf(tcp.fd));
  const syn = rig.frame((bytes) => bytes[23] === 6, "a SYN");
  expect([...syn.subarray(30, 34)]).toEqual([10, 0, 0, 0x63]);
  expect([...syn.subarray(0, 6)]).toEqual([0x52, 0x54, 0, 0, 0, 9]);
  rig.backend.reset(rig.nowMs);
  using again = HostStream.connect(portOf(tcp.fd));
  const next = rig.frame((bytes) => bytes[23] === 6, "a SYN to the configured address");
  expect([[...next.subarray(0, 6)], [...next.subarray(30, 34)]]).toEqual([
    [255, 255, 255, 255, 255, 255],
    [10, 0, 0, 2],
  ]);
  expect([host.read().ending, again.read().ending]).toEqual(["ECONNRESET", ""]);
});

test("a second device is refused, and without one frames go nowhere", () => {
  using rig = new BackendRig({ attached: false });
  rig.send([ARP]);
  expect([rig.backend.turn(0), rig.backend.discard(), rig.backend.deadlineMs]).toEqual([false, 0, Infinity]);
  rig.backend.attach(rig.sink);
  expect(() => rig.backend.attach(rig.sink)).toThrow("attached already");
});
