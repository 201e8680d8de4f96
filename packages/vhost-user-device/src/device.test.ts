import { describe, expect, test } from "bun:test";
import { Capability } from "@passt-ts/net-backend/backend";
import { featureMask, hasFeature, VirtioFeature } from "@passt-ts/vhost-user-proto/features";
import { plainRequest, u64Request } from "@passt-ts/vhost-user-proto/front-end";
import { decodeU64 } from "@passt-ts/vhost-user-proto/payload";
import { DeviceCounter } from "./device-counter.ts";
import { DeviceRig, testFrame } from "./testing/device-rig.ts";

describe("what is offered", () => {
  test("a back-end without capabilities, no configuration", () => {
    using rig = new DeviceRig();
    using guest = rig.frontEnd();
    const features = decodeU64(guest.control.ask(plainRequest("GET_FEATURES")));
    const { VERSION_1, PROTOCOL_FEATURES, MRG_RXBUF, STATUS, ANY_LAYOUT, VHOST_LOG_ALL } = VirtioFeature;
    expect(features).toBe(featureMask(VERSION_1, PROTOCOL_FEATURES, MRG_RXBUF, STATUS, ANY_LAYOUT, VHOST_LOG_ALL));
    expect(decodeU64(guest.control.ask(plainRequest("GET_PROTOCOL_FEATURES")))).toBe(0x1b23fn);
    expect(decodeU64(guest.control.ask(plainRequest("GET_QUEUE_NUM")))).toBe(2n);
  });

  test("GUEST_CSUM, MAC and MTU, options on top, some withheld", () => {
    using rig = new DeviceRig({
      capabilities: Capability.givesPartialChecksum | Capability.takesPartialChecksum | Capability.takesTso4,
      config: { macAddress: new Uint8Array([2, 0, 0, 1, 2, 3]), mtu: 65520 },
      features: { offer: featureMask(VirtioFeature.EVENT_IDX), withhold: featureMask(VirtioFeature.CSUM) },
    });
    using guest = rig.frontEnd();
    const features = decodeU64(guest.control.ask(plainRequest("GET_FEATURES")));
    const { GUEST_CSUM, MAC, MTU, EVENT_IDX, INDIRECT_DESC, CSUM, HOST_TSO4 } = VirtioFeature;
    for (const bit of [GUEST_CSUM, MAC, MTU, EVENT_IDX]) expect(hasFeature(features, bit)).toBe(true);
    for (const bit of [INDIRECT_DESC, CSUM, HOST_TSO4]) expect(hasFeature(features, bit)).toBe(false);
  });
});

describe("frames", () => {
  test("both ways, whatever the layout of the buffers", () => {
    using rig = new DeviceRig({ echo: true });
    using guest = rig.frontEnd().boot();
    const layouts = [[], [12], [12, 14, 20], [5, 21, 40], [1, 1, 1, 9, 1, 100], [12, 1514]];
    guest.offerBuffers(16, [5, 21, 40, 1500]);
    for (const [i, layout] of layouts.entries()) {
      const frame = testFrame(1000 + i, i);
      guest.send(frame, layout);
      const [received] = guest.receiveMany(1);
      expect(received?.bytes).toEqual(frame);
      expect(received).toMatchObject({ flags: 0, gsoType: 0, numBuffers: 1 });
    }
    guest.sent();
    expect(rig.backend.sent).toHaveLength(layouts.length);
    expect(rig.backend.headerLength).toBe(12);
  });

  test("short frames are padded to 60 bytes, long ones merged over buffers", () => {
    using rig = new DeviceRig({ echo: true });
    using guest = rig.frontEnd().boot();
    guest.offerBuffers(200, [12 + 500]);
    guest.send(testFrame(20));
    const [short] = guest.receiveMany(1);
    expect(short?.bytes).toEqual(new Uint8Array([...testFrame(20), ...new Uint8Array(40)]));
    guest.send(testFrame(65_000));
    const [long] = guest.receiveMany(1);
    expect(long?.bytes).toEqual(testFrame(65_000));
    expect(long?.numBuffers).toBe(Math.ceil(65_012 / 512));
    expect(long?.usedBytes.slice(0, -1).every((bytes) => bytes === 512)).toBe(true);
  });

  test("a legacy driver: header of 10 bytes, rings enabled at once without PROTOCOL_FEATURES", () => {
    using rig = new DeviceRig({ echo: true });
    using guest = rig.frontEnd().boot({ features: 0n });
    guest.offerBuffers(4, [10, 1514]);
    guest.send(testFrame(700), [10]);
    expect(guest.receiveMany(1)[0]?.bytes).toEqual(testFrame(700));
    expect(rig.backend.headerLength).toBe(10);
    expect(rig.device.state.rings).toMatchObject([{ enabled: true }, { enabled: true }]);
  });

  test("rings, buffers and batches across window edges, and across regions", () => {
    const mib = 1024 * 1024;
    using rig = new DeviceRig({ echo: true, windowBytesMax: 4096 });
    const regions = [
      { guestAddress: 0x4000_0000, userAddress: 0x7f00_0000_0000, fileOffset: 0, sizeBytes: mib },
      { guestAddress: 0x4010_0000, userAddress: 0x7f80_0000_0000, fileOffset: mib, sizeBytes: mib },
    ];
    using guest = rig.frontEnd({ memoryBytes: 2 * mib, regions, ringOffsets: [2048, 69632 - 4064] }).boot();
    expect(rig.device.state).toMatchObject({ regions: 2, memoryBytes: 2 * mib });
    // Enough of them to reach from one region into the next.
    guest.offerBuffers(256, [4000]);
    for (let i = 0; i < 20; i++) {
      guest.send(testFrame(9000, i), [100]);
      expect(guest.receiveMany(1)[0]?.bytes).toEqual(testFrame(9000, i));
    }
    expect(rig.lines("broken")).toEqual([]);
  });

  test("event index, index wrap, and each batch calls at most once", () => {
    using rig = new DeviceRig({ echo: true, features: { offer: featureMask(VirtioFeature.EVENT_IDX) } });
    using guest = rig.frontEnd({ startIndex: 65_500 }).boot();
    expect(hasFeature(guest.features, VirtioFeature.EVENT_IDX)).toBe(true);
    guest.offerBuffers(100);
    for (let round = 0; round < 3; round++) {
      guest.rx.queue.allowNotifications();
      guest.tx.queue.allowNotifications();
      for (let i = 0; i < 40; i++) guest.tx.send(testFrame(100, i), []);
      guest.tx.kick();
      expect(guest.receiveMany(40).map((frame) => frame.bytes)).toEqual(
        Array.from({ length: 40 }, (_, i) => testFrame(100, i)),
      );
      guest.tx.reapSent();
      expect([guest.rx.takeCalls(), guest.tx.takeCalls()]).toEqual([1, 1]);
    }
    expect(rig.device.state.rings[1]?.nextAvailable).toBe((65_500 + 120) & 0xffff);
  });

  test("a burst is one batch and one call for each ring; NO_INTERRUPT is honoured", () => {
    using rig = new DeviceRig({ echo: true });
    using guest = rig.frontEnd().boot();
    guest.offerBuffers(100);
    for (let i = 0; i < 50; i++) guest.tx.send(testFrame(1000, i), []);
    guest.tx.kick();
    expect(guest.receiveMany(50)).toHaveLength(50);
    expect(rig.backend.batches).toEqual([50]);
    expect([guest.rx.takeCalls(), guest.tx.takeCalls()]).toEqual([1, 1]);
    guest.rx.queue.suppressNotifications();
    guest.tx.reapSent();
    guest.tx.queue.suppressNotifications();
    guest.send(testFrame(1000));
    expect(guest.receiveMany(1)).toHaveLength(1);
    expect([guest.rx.takeCalls(), guest.tx.takeCalls()]).toEqual([0, 0]);
    expect(rig.device.counters[DeviceCounter.callsRx]).toBe(1);
  });

  test("kicks are not asked for while a batch is drained, and asked for again behind it", () => {
    using rig = new DeviceRig();
    using guest = rig.frontEnd().boot();
    const flags: number[] = [];
    const send = rig.backend.send.bind(rig.backend);
    let late = true;
    rig.backend.send = (frames, count) => {
      flags.push(guest.tx.ring.used[0]);
      // The driver adds one more just before the device looks again, and does not kick.
      if (late) guest.tx.send(testFrame(60, 9), []);
      if (late) guest.tx.queue.publish();
      late = false;
      send(frames, count);
    };
    guest.send(testFrame(60));
    guest.sent();
    expect(flags).toEqual([1, 1]);
    expect(guest.tx.ring.used[0]).toBe(0);
    expect(rig.backend.sent).toHaveLength(2);
  });

  for (const eventIndex of [false, true]) {
    const offer = eventIndex ? featureMask(VirtioFeature.EVENT_IDX) : 0n;

    test(`an owner that polls gets what is sent without kicks (event index: ${eventIndex}), and kicks when it asks again`, () => {
      using rig = new DeviceRig({ features: { offer } });
      using guest = rig.frontEnd().boot();
      guest.send(testFrame(60));
      guest.sent();
      expect(rig.device.look()).toBe(false);
      rig.device.leavesKicksSuppressed = true;
      guest.send(testFrame(60));
      guest.sent();
      for (let i = 1; i <= 3; i++) {
        expect(rig.device.look()).toBe(false);
        guest.tx.send(testFrame(60, i), []);
        expect(guest.tx.kick()).toBe(false);
        expect(rig.device.look()).toBe(true);
        rig.device.turn(rig.nowMs);
        expect(rig.backend.sent).toHaveLength(2 + i);
        guest.tx.reapSent();
      }
      rig.device.leavesKicksSuppressed = false;
      expect(rig.device.allowKicks()).toBe(false);
      guest.tx.send(testFrame(60), []);
      expect(guest.tx.kick()).toBe(true);
      guest.sent();
      expect(rig.backend.sent).toHaveLength(6);
    });
  }

  test("what came while kicks were suppressed is seen when they are asked for, and a turn takes it", () => {
    using rig = new DeviceRig();
    using guest = rig.frontEnd().boot();
    rig.device.leavesKicksSuppressed = true;
    guest.send(testFrame(60));
    guest.sent();
    guest.tx.send(testFrame(60), []);
    expect(guest.tx.kick()).toBe(false);
    expect(rig.device.allowKicks()).toBe(true);
    rig.device.turn(rig.nowMs);
    expect(rig.backend.sent).toHaveLength(2);
  });

  test("a ring whose memory is replaced while its kicks are suppressed kicks again", () => {
    using rig = new DeviceRig();
    using guest = rig.frontEnd().boot();
    rig.device.leavesKicksSuppressed = true;
    guest.send(testFrame(60));
    guest.sent();
    rig.device.leavesKicksSuppressed = false;
    guest.shareMemory();
    guest.tx.send(testFrame(60), []);
    expect(guest.tx.kick()).toBe(true);
    guest.sent();
    expect(rig.backend.sent).toHaveLength(2);
  });

  test("a back-end that is full is no reason to look again", () => {
    using rig = new DeviceRig();
    using guest = rig.frontEnd().boot();
    rig.device.leavesKicksSuppressed = true;
    guest.send(testFrame(60));
    guest.sent();
    Object.defineProperty(rig.backend, "full", { value: true });
    guest.tx.send(testFrame(60), []);
    guest.tx.kick();
    expect(rig.device.look()).toBe(true);
    expect(rig.device.turn(rig.nowMs)).toBe(false);
    expect([rig.device.look(), rig.device.allowKicks()]).toEqual([false, false]);
  });

  test("without receive buffers a frame waits, and the kick for new ones delivers it", () => {
    using rig = new DeviceRig();
    using guest = rig.frontEnd().boot();
    rig.backend.deliver(testFrame(500));
    expect(guest.receive()).toEqual([]);
    guest.rx.offer([12 + 1514]);
    expect(guest.rx.kick()).toBe(true);
    expect(guest.receiveMany(1)[0]?.bytes).toEqual(testFrame(500));
    expect(rig.backend.waiting).toBe(0);
    // Nobody waits any more: no kick is wanted.
    guest.rx.offer([12 + 1514]);
    expect(guest.rx.kick()).toBe(false);
  });

  test("a ring without kick fd is polled", () => {
    using rig = new DeviceRig({ echo: true });
    using guest = rig.frontEnd({ noKickFds: true }).boot();
    expect(rig.device.deadlineMs).toBeLessThanOrEqual(rig.nowMs);
    guest.rx.offer([12 + 1514]);
    guest.rx.queue.publish();
    guest.tx.send(testFrame(80), []);
    guest.tx.queue.publish();
    expect(guest.receiveMany(1)[0]?.bytes).toEqual(testFrame(80));
    expect(rig.lines("polled")).toHaveLength(2);
  });

  test("call fds may be pipes that nobody reads", () => {
    using rig = new DeviceRig({ echo: true });
    using guest = rig.frontEnd({ callPipes: true }).boot();
    guest.offerBuffers(100);
    for (let i = 0; i < 9000; i++) {
      guest.send(testFrame(60));
      guest.receiveMany(1);
    }
    // 64 KiB of pipe hold 8192 signals; the rest was not needed.
    expect(guest.rx.takeCalls()).toBeGreaterThan(1000);
    guest.send(testFrame(60));
    expect(guest.receiveMany(1)).toHaveLength(1);
  });

  test("a call pipe that lost its reader is given up, and frames flow", () => {
    using rig = new DeviceRig({ echo: true });
    using guest = rig.frontEnd({ callPipes: true }).boot();
    guest.offerBuffers(4);
    guest.rx.closeCallReader();
    const fds = rig.device.state.fds;
    guest.tx.closeCallReader();
    for (let i = 0; i < 3; i++) {
      guest.send(testFrame(60));
      // The front-end keeps its copies of the writing ends open, so only the readers are gone.
      expect(guest.receiveMany(1)).toHaveLength(1);
    }
    expect(rig.device.state.fds).toBe(fds - 2);
  });

  test("capabilities that the back-end refuses are given up, and frames flow without them", () => {
    using rig = new DeviceRig({ echo: true, capabilities: Capability.givesPartialChecksum });
    rig.backend.capabilitiesResult = -1;
    using guest = rig.frontEnd().boot();
    expect(rig.backend.negotiatedCapabilities).toBe(0);
    guest.offerBuffers(1);
    guest.send(testFrame(60));
    expect(guest.receiveMany(1)[0]?.flags).toBe(0);
    expect(rig.lines("without offloads")).toHaveLength(1);
  });
});

test("the next front-end finds a device without features: what the one before agreed on is forgotten", () => {
  using rig = new DeviceRig({ capabilities: Capability.givesPartialChecksum | Capability.takesPartialChecksum });
  {
    using guest = rig.frontEnd().boot();
    expect(rig.backend.negotiatedCapabilities).not.toBe(0);
    expect(rig.backend.headerLength).toBe(12);
    expect(guest.features).not.toBe(0n);
  }
  rig.pump();
  expect(rig.device.state).toMatchObject({ features: 0n, protocolFeatures: 0n, connected: false });
  using next = rig.frontEnd();
  expect([rig.backend.negotiatedCapabilities, rig.backend.headerLength]).toEqual([0, 10]);
  expect(rig.device.state).toMatchObject({ features: 0n, protocolFeatures: 0n });
  expect(rig.device.state.rings).toMatchObject([
    { enabled: false, size: 0 },
    { enabled: false, size: 0 },
  ]);
  // With protocol features rings are enabled by SET_VRING_ENABLE only.
  next.control.send(u64Request("SET_FEATURES", 1n << 30n));
  next.settle();
  expect(rig.device.state.rings).toMatchObject([{ enabled: false }, { enabled: false }]);
  next.control.send(u64Request("SET_FEATURES", 0n));
  next.settle();
  expect(rig.device.state.rings).toMatchObject([{ enabled: true }, { enabled: true }]);
  next.control.send(plainRequest("RESET_OWNER"));
  next.shareMemory();
  next.startRing(next.tx);
  next.send(testFrame(60));
  next.sent();
  expect([rig.backend.sent.length, rig.device.counters[DeviceCounter.txDrained]]).toEqual([0, 1]);
});
