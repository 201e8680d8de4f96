import { describe, expect, test } from "bun:test";
import { Iov, IovPool } from "@passt-ts/iov/iov";
import { WindowTable } from "@passt-ts/iov/windows";
import { EventLoop } from "@passt-ts/linux/event-loop";
import { NativeBuffer } from "@passt-ts/linux/native-buffer";
import { TcpCounter } from "@passt-ts/tcp-vu/counters";
import { F } from "@passt-ts/tcp-vu/testing/frames";
import { Drop } from "@passt-ts/wire/packet";
import fc from "fast-check";
import { BackendCounter } from "./backend-counter.ts";
import type { FamilyConfiguration } from "./link-configuration.ts";
import { outboundSettingsOf } from "./link-mapping.ts";
import { Outbound } from "./outbound.ts";
import { SocketEvent } from "./socket-events.ts";
import { TcpSockets } from "./tcp-sockets.ts";
import {
  BackendRig,
  type BackendRigOptions,
  GATEWAY4,
  GATEWAY6,
  GUEST4,
  GUEST6,
  LINK,
  OUR_LINK_LOCAL,
} from "./testing/backend-rig.ts";
import { isTcp, pattern } from "./testing/guest-frames.ts";
import { GuestStream, type GuestStreamOptions } from "./testing/guest-stream.ts";
import { freePort, HostListener, type HostStream, LOOPBACK4, LOOPBACK6 } from "./testing/host-sockets.ts";

const MSG_OOB = 1;

/** A connection of the guest to a real listener, both ends. */
class Pair implements Disposable {
  readonly rig: BackendRig;
  readonly listener: HostListener;
  readonly guest: GuestStream;
  readonly host: HostStream;

  constructor(options: BackendRigOptions = {}, stream: Partial<GuestStreamOptions> = {}, address = LOOPBACK4) {
    this.rig = new BackendRig(options);
    this.listener = new HostListener(address);
    this.guest = GuestStream.connect(this.rig, { ...stream, peerPort: this.listener.port });
    this.host = this.rig.waitFor(() => this.listener.accept(), "the connection");
  }

  get counters(): Float64Array {
    return this.rig.engines.tcp.counters;
  }

  get flowCount(): number {
    return this.rig.engines.tcp.flowCount;
  }

  [Symbol.dispose](): void {
    this.host[Symbol.dispose]();
    this.listener[Symbol.dispose]();
    this.rig.close();
  }
}

/** Writes all of it, however little the kernel takes at a time. */
function writeAll(pair: Pair, bytes: Uint8Array): void {
  let done = 0;
  pair.rig.until(() => {
    done += pair.host.write(bytes.subarray(done));
    pair.guest.poll();
    return done === bytes.length;
  }, "the host to write");
}

const FAMILIES = [
  ["IPv4", { source: GUEST4, peer: GATEWAY4 }, LOOPBACK4],
  ["IPv6", { source: GUEST6, peer: GATEWAY6 }, LOOPBACK6],
] as const;

describe.each(FAMILIES)(
  "a connection of the guest to a listener on the host's loopback, %s",
  (_name, ends, address) => {
    test.each([
      ["with SO_PEEK_OFF", true],
      ["without SO_PEEK_OFF", false],
    ])("carries both directions whole and in order %s", (_how, peekOffset) => {
      using pair = new Pair({ peekOffset }, ends, address);
      const { rig, guest, host } = pair;
      const up = pattern(20_000);
      for (let at = 0; at < up.length; at += 1460) guest.write(up.subarray(at, at + 1460));
      rig.until(() => host.read().received.length >= up.length, "what the guest wrote");
      expect(Uint8Array.from(host.received)).toEqual(up);
      rig.until(() => guest.poll().acknowledged === guest.next, "an acknowledgment of it all");
      const down = pattern(100_003, 7);
      writeAll(pair, down);
      rig.until(() => guest.poll().received.length >= down.length, "what the host wrote");
      expect(Uint8Array.from(guest.received)).toEqual(down);
      expect(pair.counters[TcpCounter.bytesIn]).toBe(up.length);
    });

    test("half close: after the guest's FIN the host still sends, and after the host's all is closed", () => {
      using pair = new Pair({}, ends, address);
      const { rig, guest, host } = pair;
      guest.write([1, 2, 3]);
      guest.end();
      rig.until(() => host.read().ending === "end", "the guest's FIN");
      expect(host.received).toEqual([1, 2, 3]);
      host.write([4, 5, 6]);
      rig.until(() => guest.poll().received.length === 3, "what follows");
      expect([guest.received, guest.fins, pair.flowCount]).toEqual([[4, 5, 6], 0, 1]);
      host.end();
      rig.until(() => guest.poll().fins === 1, "the host's FIN");
      rig.until(() => pair.flowCount === 0, "the end of the flow");
      expect(pair.counters[TcpCounter.closed]).toBe(1);
    });
  },
);

test("the end of the host's stream with nothing outstanding gives one FIN, and the guest may go on sending", () => {
  using pair = new Pair();
  const { rig, guest, host } = pair;
  host.end();
  rig.until(() => guest.poll().fins > 0, "a FIN");
  guest.write([9]);
  rig.until(() => host.read().received.length === 1, "what the guest sends after it");
  for (let i = 0; i < 5; i++) rig.pump(1);
  guest.poll();
  expect(guest.seen.filter((segment) => (segment.flags & F.fin) !== 0).length).toBe(1);
});

test("a reset of the guest reaches the host's peer as ECONNRESET", () => {
  using pair = new Pair();
  pair.guest.reset();
  pair.rig.until(() => pair.host.read().ending !== "", "the reset");
  expect([pair.host.ending, pair.flowCount]).toEqual(["ECONNRESET", 0]);
  expect(pair.counters[TcpCounter.resetByGuest]).toBe(1);
});

test("a reset of the host's peer reaches the guest as RST with an acceptable number", () => {
  using pair = new Pair();
  const { rig, guest, host } = pair;
  host.reset();
  rig.until(() => guest.poll().resets > 0, "a RST");
  expect(guest.seen.at(-1)).toMatchObject({ flags: F.rst | F.ack, sequence: guest.expected });
  expect([guest.resets, pair.flowCount, pair.counters[TcpCounter.resetByHost]]).toEqual([1, 0, 1]);
});

test("a refused connection is answered with RST and leaves nothing behind", () => {
  using rig = new BackendRig();
  const guest = new GuestStream(rig, { peerPort: freePort("tcp") });
  guest.sendSyn();
  rig.until(() => guest.poll().resets > 0, "a RST");
  const [answer] = guest.seen;
  expect(answer).toMatchObject({ flags: F.rst | F.ack, sequence: 0, acknowledgment: guest.next });
  const { tcp } = rig.engines;
  expect([guest.seen.length, tcp.flowCount, tcp.counters[TcpCounter.connectFailed]]).toEqual([1, 0, 1]);
});

test("a connection to a loopback address, or to a router that stands for no loopback, goes nowhere and is counted", () => {
  using listener4 = new HostListener();
  using listener6 = new HostListener(LOOPBACK6);
  using rig = new BackendRig({ link: { ipv6: { ...LINK.ipv6, loopback: null } as FamilyConfiguration } });
  const direct = new GuestStream(rig, { peer: LOOPBACK4, peerPort: listener4.port });
  const unmapped = new GuestStream(rig, { source: GUEST6, peer: OUR_LINK_LOCAL, peerPort: listener6.port });
  direct.sendSyn();
  unmapped.sendSyn();
  for (let i = 0; i < 5; i++) rig.pump(1);
  expect([direct.poll().seen, unmapped.poll().seen]).toEqual([[], []]);
  expect([listener4.accept(), listener6.accept()]).toEqual([null, null]);
  const { tcp } = rig.engines;
  expect(rig.backend.counters[BackendCounter.dropped + Drop.loopback]).toBe(1);
  expect([tcp.flowCount, tcp.counters[TcpCounter.refusedAddress]]).toEqual([0, 1]);
});

test("an urgent byte of the host stays in the stream, in its place", () => {
  using pair = new Pair();
  const { rig, guest, host } = pair;
  host.write([1, 2]);
  host.write([3], MSG_OOB);
  host.write([4, 5]);
  rig.until(() => guest.poll().received.length >= 5, "all of it");
  expect(guest.received).toEqual([1, 2, 3, 4, 5]);
});

test("a host that does not read closes the guest's window, and opens it again when it does", () => {
  using pair = new Pair();
  const { rig, guest, host } = pair;
  const piece = pattern(32_768);
  const last = () => guest.poll().seen.at(-1)?.window ?? 0;
  rig.until(() => {
    if (guest.acknowledged === guest.next) guest.write(piece);
    else guest.next = guest.acknowledged;
    return last() === 0;
  }, "a closed window");
  const accepted = pair.counters[TcpCounter.bytesIn];
  // From here on the guest only listens.
  rig.until(() => host.read().received.length >= accepted && last() > 0, "an open window");
  expect(host.received.length).toBe(accepted);
  expect(Uint8Array.from(host.received.slice(0, piece.length))).toEqual(piece);
});

test("while the guest's window is closed the data stays in the socket, and no turn spins", () => {
  using pair = new Pair();
  const { rig, guest, host } = pair;
  guest.window = 0;
  guest.segment(F.ack);
  host.write(pattern(5000));
  for (let i = 0; i < 5; i++) {
    rig.pump(1);
    expect(rig.extraTurns).toBe(0);
  }
  expect(guest.poll().received).toEqual([]);
  guest.window = 512;
  guest.segment(F.ack);
  rig.until(() => guest.poll().received.length === 5000, "the data");
});

test("while the ring is stopped the data stays in the socket, and is all there when it starts again", () => {
  using pair = new Pair();
  const { rig, guest, host } = pair;
  rig.sink.ready = false;
  host.write(pattern(5000));
  for (let i = 0; i < 5; i++) rig.pump(1);
  expect(guest.poll().received).toEqual([]);
  rig.sink.ready = true;
  rig.until(() => guest.poll().received.length === 5000, "the data");
  expect(Uint8Array.from(guest.received)).toEqual(pattern(5000));
});

test("without room in the ring the flow waits and asks for room, then goes on", () => {
  using pair = new Pair({ sink: { elements: 8 } });
  const { rig, guest, host } = pair;
  rig.sink.elements = 0;
  host.write(pattern(9000));
  rig.pump(1);
  rig.pump(1);
  expect([rig.sink.roomWanted, rig.extraTurns]).toEqual([true, 0]);
  rig.until(() => {
    rig.sink.addElements(3);
    return guest.poll().received.length === 9000;
  }, "the data");
  expect(Uint8Array.from(guest.received)).toEqual(pattern(9000));
  rig.sink.addElements(100);
  rig.pump();
  expect(rig.sink.roomWanted).toBe(false);
});

// Layouts of receive buffers that drivers choose, and some that none does.
test.each([[[12, 1514]], [[26, 1514]], [[5, 21, 40, 1500]], [[66, 600]], [[100, 100, 100, 100]], [[128]]])(
  "a SYN,ACK and 3000 bytes arrive right in receive buffers of %p bytes",
  (entryBytes) => {
    using pair = new Pair({ sink: { entryBytes } });
    const { rig, guest, host } = pair;
    host.write(pattern(3000));
    rig.until(() => guest.poll().received.length >= 3000, "3000 bytes");
    expect(Uint8Array.from(guest.received)).toEqual(pattern(3000));
    expect(guest.seen[0].flags).toBe(F.syn | F.ack);
  },
);

test("a chain may be split anywhere: the stream is the same at every split point", () => {
  using pair = new Pair();
  const { rig, guest, host } = pair;
  const bytes = pattern(12);
  const whole = 12 + 54 + bytes.length;
  const expected: number[] = [];
  for (let split = 1; split < whole; split++) {
    guest.write(bytes, [split, whole]);
    expected.push(...bytes);
  }
  for (const layout of [[12, 14, 20, 8, 5], [1]]) {
    guest.write(bytes, layout);
    expected.push(...bytes);
  }
  rig.until(() => host.read().received.length >= expected.length, "all of it");
  expect(host.received).toEqual(expected);
});

test("any sizes of writes on both sides arrive whole: what is counted is what was received", () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 4000 }), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(
      sizes,
      sizes,
      fc.constantFrom<number[]>([65562], [12, 1514], [100], [61, 7]),
      (up, down, entryBytes) => {
        using pair = new Pair({ sink: { entryBytes } });
        const { rig, guest, host } = pair;
        const total = (list: number[]) => list.reduce((sum, size) => sum + size, 0);
        let sent = 0;
        for (const size of up) {
          guest.write(pattern(size, sent));
          sent += size;
        }
        let written = 0;
        for (const size of down) {
          writeAll(pair, pattern(size, written));
          written += size;
        }
        rig.until(() => host.read().received.length >= sent && guest.poll().received.length >= written, "all of it");
        expect(Uint8Array.from(host.received)).toEqual(pattern(total(up)));
        expect(Uint8Array.from(guest.received)).toEqual(pattern(total(down)));
        expect(pair.counters[TcpCounter.bytesIn]).toBe(total(up));
        expect(pair.counters[TcpCounter.bytesOut]).toBe(total(down));
      },
    ),
    { numRuns: 15 },
  );
});

test("two back-ends in one process, interleaved, do not disturb each other", () => {
  using one = new Pair();
  using two = new Pair({ sink: { entryBytes: [5, 21, 40, 1500] } });
  const pairs = [one, two];
  for (let round = 0; round < 20; round++) {
    for (const [i, { guest, host }] of pairs.entries()) {
      guest.write(pattern(500, 1000 * i + 500 * round));
      host.write(pattern(700, 3000 * i + 700 * round));
    }
    for (const { rig } of pairs) rig.pump();
  }
  for (const [i, { rig, guest, host }] of pairs.entries()) {
    rig.until(() => host.read().received.length === 10_000 && guest.poll().received.length === 14_000, "all of it");
    expect(Uint8Array.from(host.received)).toEqual(pattern(10_000, 1000 * i));
    expect(Uint8Array.from(guest.received)).toEqual(pattern(14_000, 3000 * i));
  }
});

test("segments that reach the guest come from the address and port that it connected to", () => {
  using pair = new Pair();
  const { rig, listener } = pair;
  pair.host.write([1]);
  const frame = rig.frame(isTcp);
  expect([...frame.subarray(0, 12)]).toEqual([0x52, 0x54, 0, 0, 0, 9, 0x9a, 0x55, 0x9a, 0x55, 0x9a, 0x55]);
  expect([...frame.subarray(26, 34)]).toEqual([10, 0, 0, 1, 10, 0, 0, 2]);
  expect(frame[34] * 256 + frame[35]).toBe(listener.port);
});

test("of a socket whose peer does not read: what is unacknowledged is told, and one event when it takes data again", () => {
  using loop = new EventLoop();
  using listener = new HostListener();
  const events: number[] = [];
  const sockets = new TcpSockets({
    loop,
    outbound: new Outbound(outboundSettingsOf(LINK)),
    peekOffset: true,
    ready: (_flow, bits) => void events.push(bits),
  });
  const socket = sockets.connect(5, LOOPBACK4, listener.port);
  loop.wait(1000);
  expect([sockets.connectError(socket), sockets.unacknowledged(socket)]).toEqual([0, 0]);
  using host = listener.accept() as HostStream;
  const memory = new NativeBuffer(65536);
  const windows = new WindowTable();
  const pool = new IovPool(windows, 1);
  pool.append(windows.add(memory.bytes, memory.address), 0, 65536);
  let sent = 0;
  for (let taken = 1; taken > 0; sent += Math.max(taken, 0))
    taken = sockets.send(socket, new Iov(pool, 0, 1), 0, 65536);
  expect(sockets.unacknowledged(socket)).toBeGreaterThan(0);
  expect(sockets.unacknowledged(socket)).toBeLessThan(sent);
  const buffer = { sizeBytes: 0, queuedBytes: 0 };
  expect([sockets.sendBuffer(socket, buffer), sockets.armWritable(socket)]).toEqual([0, 0]);
  expect(buffer.queuedBytes).toBeGreaterThan(0);
  loop.wait(0);
  events.length = 0;
  for (let i = 0; i < 1000 && host.read().received.length < sent; i++) loop.wait(1);
  loop.wait(1000);
  expect(events.some((bits) => (bits & SocketEvent.writable) !== 0)).toBe(true);
  expect([host.received.length, sockets.unacknowledged(socket), sockets.armWritable(socket)]).toEqual([sent, 0, 1]);
  sockets.close(socket);
  expect(loop.count).toBe(0);
  sockets.dispose();
});
