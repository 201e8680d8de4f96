import { describe, expect, test } from "bun:test";
import { ipv4Words, loopback4, loopback6 } from "@passt-ts/address-map/address";
import {
  GATEWAY4,
  GATEWAY6,
  GUEST_LINK_LOCAL,
  GUEST4,
  GUEST6,
  GuestFrame,
  SERVER4,
  SERVER6,
  UdpHarness,
} from "./testing/harness.ts";
import { UdpCounter } from "./udp-counter.ts";

const bytes = (length: number, seed = 0): Uint8Array => Uint8Array.from({ length }, (_, i) => (i * 7 + seed) % 251);

function frames(h: UdpHarness): GuestFrame[] {
  h.sink.assertSettled();
  return h.sink.take().map((frame) => new GuestFrame(frame.bytes));
}

describe("listeners", () => {
  const LISTENING = 7;
  const peer = ipv4Words(0xc0000263);

  function listening(h: UdpHarness, guestAddress: Uint32Array | null = null): number {
    return h.engine.addListener(LISTENING, 8053, guestAddress);
  }

  function arrive(h: UdpHarness, listener: number, address: Uint32Array, port: number, payload: Uint8Array): void {
    h.sockets.arrive(LISTENING, { bytes: payload, address, port, scope: 3, localAddress: SERVER4 });
    h.engine.listenerReady(listener, 1, h.nowMs);
  }

  test("each peer and port is a flow; replies leave from the listening socket, to that peer, from the address it used", () => {
    const h = new UdpHarness();
    const listener = listening(h);
    arrive(h, listener, peer, 1111, bytes(4));
    arrive(h, listener, loopback4(), 2222, bytes(5));
    h.turn();
    const [first, second] = frames(h);
    expect([first.source, first.destination]).toEqual([[...peer], [...GUEST4]]);
    expect(first.view.getUint32(first.l4At)).toBe((1111 << 16) | 8053);
    expect(first.payload).toEqual(bytes(4));
    expect(second.source).toEqual([...GATEWAY4]);
    expect(h.engine.flowCount).toBe(2);
    expect(h.sockets.opened).toEqual([]);

    h.input({ sourcePort: 8053, destination: peer, destinationPort: 1111, payload: bytes(6) });
    h.input({ sourcePort: 8053, destination: GATEWAY4, destinationPort: 2222, payload: bytes(7) });
    h.engine.endBatch(h.nowMs);
    expect(h.sockets.opened).toEqual([]);
    expect(
      h.sockets.sent.map(({ socket, call, to, bytes: { length } }) => [
        socket,
        call,
        [...(to?.address ?? [])],
        to?.port,
        to?.scope,
        length,
      ]),
    ).toEqual([
      [LISTENING, 1, [...peer], 1111, 3, 6],
      [LISTENING, 1, [...loopback4()], 2222, 3, 7],
    ]);
    expect(h.sockets.sent.map(({ localAddress }) => localAddress)).toEqual([SERVER4, SERVER4]);
  });

  test("a link-local peer reaches the guest's link-local address, a global one its global address", () => {
    const h = new UdpHarness();
    const listener = listening(h);
    const linkLocalPeer = Uint32Array.of(0xfe800000, 0, 0, 99);
    arrive(h, listener, linkLocalPeer, 1, bytes(1));
    arrive(h, listener, SERVER6, 1, bytes(1));
    arrive(h, listener, loopback6(), 1, bytes(1));
    h.turn();
    expect(frames(h).map((frame) => [frame.source, frame.destination])).toEqual([
      [[...linkLocalPeer], [...GUEST_LINK_LOCAL]],
      [[...SERVER6], [...GUEST6]],
      [[...GATEWAY6], [...GUEST_LINK_LOCAL]],
    ]);
  });

  test("a listener may name an address in the guest", () => {
    const h = new UdpHarness();
    const target = ipv4Words(0x0a000005);
    arrive(h, listening(h, target), peer, 1111, bytes(4));
    h.turn();
    expect(frames(h)[0].destination).toEqual([...target]);
  });

  test("no address of the guest in that family, a full table, a refused source: dropped and counted", () => {
    const h = new UdpHarness({ engine: { flowCapacity: 1 } });
    const listener = listening(h);
    h.guest.ipv6Global.fill(0);
    arrive(h, listener, SERVER6, 1, bytes(1));
    arrive(h, listener, ipv4Words(0xe0000001), 1, bytes(1));
    arrive(h, listener, peer, 1, bytes(1));
    arrive(h, listener, peer, 2, bytes(1));
    h.turn();
    expect(frames(h).length).toBe(1);
    expect(h.engine.counters[UdpCounter.droppedNoGuestAddress]).toBe(1);
    expect(h.engine.counters[UdpCounter.droppedRefused]).toBe(1);
    expect(h.engine.counters[UdpCounter.droppedFlowTableFull]).toBe(1);
  });

  test("without a ring nothing that comes in makes a flow", () => {
    const h = new UdpHarness({ sink: { ready: false } });
    arrive(h, listening(h), peer, 1, bytes(1));
    h.turn();
    expect(h.engine.flowCount).toBe(0);
    expect(h.engine.counters[UdpCounter.droppedNotReady]).toBe(1);
  });

  test("a flow ends by time or with its listener, and the listening socket is never closed here", () => {
    const h = new UdpHarness();
    const listener = listening(h);
    arrive(h, listener, peer, 1, bytes(1));
    h.turn();
    h.nowMs += 30_000;
    h.turn();
    expect(h.engine.flowCount).toBe(0);
    arrive(h, listener, peer, 2, bytes(1));
    h.turn();
    h.engine.removeListener(listener);
    expect(h.engine.flowCount).toBe(0);
    expect(h.sockets.closed).toEqual([]);
    arrive(h, listener, peer, 3, bytes(1));
    h.turn();
    expect(h.engine.flowCount).toBe(0);
  });

  test("after a reset listeners go on", () => {
    const h = new UdpHarness();
    const listener = listening(h);
    arrive(h, listener, peer, 1, bytes(1));
    h.turn();
    h.engine.reset(h.nowMs);
    expect(h.engine.flowCount).toBe(0);
    arrive(h, listener, peer, 1, bytes(1));
    h.turn();
    expect(frames(h).length).toBe(2);
  });

  test("listeners are bounded", () => {
    const h = new UdpHarness();
    listening(h);
    listening(h);
    expect(() => listening(h)).toThrow(RangeError);
  });
});
