import { describe, expect, test } from "bun:test";
import { UnixMessages } from "@passt-ts/linux/unix-message";
import { createSocketPair } from "@passt-ts/linux/unix-socket";
import { featureBit, featureMask, ProtocolFeature, VirtioFeature } from "@passt-ts/vhost-user-proto/features";
import { plainRequest, u64Request } from "@passt-ts/vhost-user-proto/front-end";
import { encodeRequest } from "@passt-ts/vhost-user-proto/header";
import { MessageReader } from "@passt-ts/vhost-user-proto/message-reader";
import { decodeU64, decodeVringState } from "@passt-ts/vhost-user-proto/payload";
import { BACK_END_REQUESTS, FrontEndRequest } from "@passt-ts/vhost-user-proto/requests";
import { DeviceRig, testFrame } from "./testing/device-rig.ts";
import type { TestFrontEnd } from "./testing/front-end.ts";

const { INDIRECT_DESC, RING_PACKED, IN_ORDER, EVENT_IDX, VERSION_1, MRG_RXBUF, PROTOCOL_FEATURES } = VirtioFeature;
const INBAND = featureBit(ProtocolFeature.INBAND_NOTIFICATIONS);

function echoes(guest: TestFrontEnd, length: number, seed = 0): void {
  guest.send(testFrame(length, seed), [5, 7, 20]);
  expect(guest.receiveMany(1)[0]?.bytes).toEqual(testFrame(length, seed));
}

describe("kinds of rings and drivers", () => {
  const offer = featureMask(RING_PACKED, IN_ORDER, EVENT_IDX, INDIRECT_DESC);
  const choices: readonly (readonly number[])[] = [
    [RING_PACKED],
    [INDIRECT_DESC],
    [IN_ORDER],
    [EVENT_IDX],
    [VERSION_1],
    [MRG_RXBUF],
  ];
  for (let choice = 0; choice < 1 << choices.length; choice++) {
    const bits = choices.flatMap((each, i) => ((choice & (1 << i)) !== 0 ? each : []));
    const names = bits.map((bit) => Object.entries(VirtioFeature).find(([, value]) => value === bit)?.[0]);
    const length = bits.includes(VERSION_1) || bits.includes(MRG_RXBUF) ? 12 : 10;
    test(`${names.join(" ") || "nothing"}: frames both ways behind a header of ${length} bytes, stopped and resumed`, () => {
      using rig = new DeviceRig({ echo: true, features: { offer } });
      using guest = rig.frontEnd({ queueSize: 64, indirectDescriptors: 8 });
      guest.boot({ features: featureMask(PROTOCOL_FEATURES, ...bits) });
      expect(rig.backend.headerLength).toBe(length);
      guest.offerBuffers(15, [length, 40, 100, 2000]);
      for (let i = 0; i < 150; i++) {
        echoes(guest, 60 + i * 9, i);
        if (i % 40 !== 39) continue;
        guest.sent();
        const bases = [guest.stopRing(guest.rx), guest.stopRing(guest.tx)] as const;
        guest.resumeRing(guest.rx, bases[0]);
        guest.resumeRing(guest.tx, bases[1]);
      }
      guest.sent();
      expect([rig.lines("broken"), rig.backend.resets]).toEqual([[], 0]);
    });
  }

  test("a packed ring of a size that is no power of two; the base lies in the ring or is refused", () => {
    using rig = new DeviceRig({ echo: true, features: { offer } });
    using guest = rig.frontEnd().boot({ features: featureMask(PROTOCOL_FEATURES, VERSION_1, RING_PACKED) });
    const setup = { size: 100, address: guest.tx.address, kickFd: guest.tx.kickFd, callFd: -1, errorFd: -1 };
    expect(() => guest.session.startRing({ ...setup, base: 100 })).toThrow("refused");
    expect(rig.logged.at(-1)).toContain("ring 1: base 100");
    guest.session.startRing({ ...setup, base: 0x8063_8063 });
    expect(guest.stopRing(guest.tx)).toBe(0x8063_8063);
  });

  test("one driver after the other, split and packed, in one connection: each begins at its own beginning", () => {
    using rig = new DeviceRig({ echo: true, features: { offer } });
    using guest = rig.frontEnd();
    for (const features of [0n, featureMask(VERSION_1, RING_PACKED), featureMask(MRG_RXBUF, EVENT_IDX)]) {
      guest.boot({ features: features | featureMask(PROTOCOL_FEATURES) });
      guest.offerBuffers(8);
      for (let i = 0; i < 20; i++) echoes(guest, 100 + i, i);
      guest.session.setStatus(0);
    }
    expect(rig.lines("broken")).toEqual([]);
  });
});

describe("in-band notifications", () => {
  /** The front-end's end of the channel for the back-end's requests. */
  class Channel implements Disposable {
    readonly #reader = new MessageReader(BACK_END_REQUESTS);
    readonly #messages = new UnixMessages();
    readonly #sockets = createSocketPair();

    get fd(): number {
      return this.#sockets[0].fd;
    }

    /** What has come: names and rings. */
    take(): string[] {
      const names: string[] = [];
      const bytes = new Uint8Array(64);
      for (;;) {
        const wanted = this.#reader.wantedBytes;
        const length = this.#messages.receive(this.#sockets[1].fd, bytes, 0, wanted, new Int32Array(1));
        if (length <= 0) return names;
        const read = this.#reader.feed(bytes.subarray(0, length));
        if (read?.kind === "message") names.push(`${read.row.name} ${decodeVringState(read.payload).index}`);
      }
    }

    /** Reads what has come, and leaves no room for more. */
    fill(): void {
      this.take();
      const message = encodeRequest(4, new Uint8Array(8));
      while (this.#messages.send(this.fd, message, message.length) > 0);
    }

    [Symbol.dispose](): void {
      for (const socket of this.#sockets) socket.close();
    }
  }

  test("kicks and calls are messages, which also start the rings; a broken ring is told of", () => {
    using rig = new DeviceRig({ echo: true, features: { offerProtocol: INBAND } });
    using guest = rig.frontEnd({ noKickFds: true, noCallFds: true });
    using channel = new Channel();
    guest.negotiate();
    expect(guest.session.has(ProtocolFeature.INBAND_NOTIFICATIONS)).toBe(true);
    guest.session.setBackEndChannel(channel.fd);
    guest.shareMemory();
    guest.startRing(guest.rx);
    guest.startRing(guest.tx);
    expect(rig.device.state.rings).toMatchObject([
      { started: true, polled: false },
      { started: true, polled: false },
    ]);
    guest.offerBuffers(4);
    channel.take();
    for (let i = 0; i < 3; i++) {
      guest.tx.reapSent();
      guest.tx.send(testFrame(100, i), []);
      guest.tx.queue.publish();
      guest.session.kick(1);
      expect(guest.receiveMany(1)[0]?.bytes).toEqual(testFrame(100, i));
      expect(channel.take().toSorted()).toEqual(["VRING_CALL 0", "VRING_CALL 1"]);
    }
    Atomics.store(guest.tx.ring.available, 1, 1000);
    guest.session.kick(1);
    rig.pump();
    expect(channel.take()).toEqual(["VRING_ERR 1"]);
    expect(() => guest.session.kick(9)).toThrow("refused");
  });

  test("a call for which the channel is full comes later", () => {
    using rig = new DeviceRig({ features: { offerProtocol: INBAND } });
    using guest = rig.frontEnd({ noKickFds: true, noCallFds: true });
    using channel = new Channel();
    guest.negotiate();
    guest.session.setBackEndChannel(channel.fd);
    guest.shareMemory();
    guest.startRing(guest.tx);
    guest.settle();
    channel.fill();
    guest.tx.send(testFrame(60), []);
    guest.tx.queue.publish();
    guest.session.kick(1);
    guest.until(() => guest.tx.reapSent() === 1, "the frame's buffers");
    expect(rig.device.deadlineMs).toBeLessThanOrEqual(rig.nowMs);
    channel.take();
    rig.pump();
    expect(channel.take()).toEqual(["VRING_CALL 1"]);
    rig.pump();
    expect(channel.take()).toEqual([]);
    expect(rig.device.deadlineMs).toBe(Infinity);
  });

  test("a ring that broke while the channel was full is told of later", () => {
    using rig = new DeviceRig({ features: { offerProtocol: INBAND } });
    using guest = rig.frontEnd({ noKickFds: true, noCallFds: true });
    using channel = new Channel();
    guest.negotiate();
    guest.session.setBackEndChannel(channel.fd);
    guest.shareMemory();
    guest.startRing(guest.tx);
    guest.settle();
    channel.fill();
    Atomics.store(guest.tx.ring.available, 1, 1000);
    guest.session.kick(1);
    rig.pump();
    expect(rig.lines("transmit ring broken")).toHaveLength(1);
    expect(rig.device.deadlineMs).toBeLessThanOrEqual(rig.nowMs);
    channel.take();
    rig.pump();
    expect(channel.take()).toEqual(["VRING_ERR 1"]);
    rig.pump();
    expect(channel.take()).toEqual([]);
    expect(rig.device.deadlineMs).toBe(Infinity);
  });

  test("a call for which the channel was full comes later, though the ring has stopped", () => {
    using rig = new DeviceRig({ features: { offerProtocol: INBAND } });
    using guest = rig.frontEnd({ noKickFds: true, noCallFds: true });
    using channel = new Channel();
    guest.negotiate();
    guest.session.setBackEndChannel(channel.fd);
    guest.shareMemory();
    guest.startRing(guest.tx);
    guest.settle();
    channel.fill();
    guest.tx.send(testFrame(60), []);
    guest.tx.queue.publish();
    guest.session.kick(1);
    guest.sent();
    guest.stopRing(guest.tx);
    expect(rig.device.deadlineMs).toBeLessThanOrEqual(rig.nowMs);
    channel.take();
    rig.pump();
    expect(channel.take()).toEqual(["VRING_CALL 1"]);
    expect(rig.device.deadlineMs).toBe(Infinity);
  });

  test("a full channel is tried again every millisecond, also for a driver that has not heard its last call", () => {
    const offer = featureMask(EVENT_IDX);
    using rig = new DeviceRig({ features: { offer, offerProtocol: INBAND } });
    using guest = rig.frontEnd({ noKickFds: true, noCallFds: true });
    using channel = new Channel();
    guest.negotiate();
    guest.session.setBackEndChannel(channel.fd);
    guest.shareMemory();
    guest.startRing(guest.rx);
    guest.enableRing(guest.rx, true);
    guest.settle();
    guest.offerBuffers(8);
    channel.take();
    rig.backend.deliver(testFrame(60));
    rig.pump();
    expect(channel.take()).toEqual(["VRING_CALL 0"]);
    channel.fill();
    for (let i = 0; i < 5; i++) {
      rig.nowMs += 100;
      rig.pump();
      expect(rig.device.deadlineMs).toBeGreaterThanOrEqual(rig.nowMs);
    }
    channel.take();
    rig.pump();
    expect(channel.take()).toEqual(["VRING_CALL 0"]);
  });

  test("a channel that is full and goes away is not waited for", () => {
    using rig = new DeviceRig({ echo: true, features: { offerProtocol: INBAND } });
    using guest = rig.frontEnd({ noKickFds: true, noCallFds: true });
    using channel = new Channel();
    guest.negotiate();
    guest.session.setBackEndChannel(channel.fd);
    guest.shareMemory();
    guest.startRing(guest.tx);
    channel.fill();
    guest.tx.send(testFrame(60), []);
    guest.tx.queue.publish();
    guest.session.kick(1);
    guest.sent();
    expect(rig.device.deadlineMs).toBeLessThanOrEqual(rig.nowMs);
    guest.request((need) => u64Request("SET_PROTOCOL_FEATURES", guest.protocolFeatures & ~INBAND, need));
    rig.pump();
    expect(rig.device.deadlineMs).toBe(Infinity);
  });

  test("without what they need the connection ends, and a front-end of ours does not ask for them", () => {
    using rig = new DeviceRig({ features: { offerProtocol: INBAND } });
    using guest = rig.frontEnd();
    guest.negotiate({ protocolFeatures: ~featureBit(ProtocolFeature.BACKEND_REQ) });
    expect(guest.session.has(ProtocolFeature.INBAND_NOTIFICATIONS)).toBe(false);
    guest.control.send(u64Request("SET_PROTOCOL_FEATURES", INBAND | featureBit(ProtocolFeature.REPLY_ACK)));
    guest.control.expectClosed();
    expect(rig.lines("disconnected: in-band notifications without")).toHaveLength(1);
  });
});

describe("other requests", () => {
  test("GET_FEATURES without CONFIG acknowledged leaves MAC, MTU and STATUS out, but the MTU for who tells it", () => {
    using rig = new DeviceRig({ config: { macAddress: Uint8Array.of(2, 0, 0, 0, 0, 9), mtu: 1500 } });
    const { CONFIG, MTU, REPLY_ACK } = ProtocolFeature;
    using guest = rig.frontEnd().boot();
    const offered = (...chosen: readonly number[]): bigint => {
      guest.control.send(u64Request("SET_PROTOCOL_FEATURES", featureMask(...chosen)));
      const fields = featureMask(VirtioFeature.MAC, VirtioFeature.MTU, VirtioFeature.STATUS);
      return decodeU64(guest.control.ask(plainRequest("GET_FEATURES"))) & fields;
    };
    expect(offered(CONFIG, REPLY_ACK)).toBe(featureMask(VirtioFeature.MAC, VirtioFeature.MTU, VirtioFeature.STATUS));
    expect(offered(MTU, REPLY_ACK)).toBe(featureMask(VirtioFeature.MTU));
    expect(offered(REPLY_ACK)).toBe(0n);
  });

  const MAC = new Uint8Array([0x52, 0x54, 0, 1, 2, 3]);

  test("SEND_RARP: the announcement goes the way of the guest's frames, from its address to everybody", () => {
    using rig = new DeviceRig();
    using guest = rig.frontEnd().boot();
    const windows = rig.windows.count;
    guest.session.announce(MAC);
    rig.pump();
    const frame = [...new Array(6).fill(0xff), ...MAC, 0x80, 0x35, 0, 1, 8, 0, 6, 4, 0, 3];
    const padded = [...frame, ...MAC, 0, 0, 0, 0, ...MAC, ...new Array(22).fill(0)];
    expect(rig.backend.sent.map((sent) => [...sent.bytes])).toEqual([padded]);
    expect(padded).toHaveLength(60);
    expect([rig.windows.count, rig.backend.batches]).toEqual([windows, [1]]);
    // Once, and not while the back-end is full.
    Object.assign(rig.backend, { full: true });
    guest.session.announce(MAC);
    rig.pump();
    expect(rig.backend.sent).toHaveLength(1);
    Object.assign(rig.backend, { full: false });
    rig.pump();
    rig.pump();
    expect(rig.backend.sent).toHaveLength(2);
  });

  test("while the back-end is full, frames stay in the ring; afterwards they go in order", () => {
    using rig = new DeviceRig();
    using guest = rig.frontEnd().boot();
    Object.assign(rig.backend, { full: true });
    for (let i = 0; i < 30; i++) guest.tx.send(testFrame(60, i), []);
    guest.tx.kick();
    rig.pump();
    expect([rig.backend.sent.length, Atomics.load(guest.tx.ring.used, 1)]).toEqual([0, 0]);
    Object.assign(rig.backend, { full: false });
    rig.pump();
    expect(rig.backend.sent.map((frame) => frame.bytes)).toEqual(
      Array.from({ length: 30 }, (_, i) => testFrame(60, i)),
    );
    // A disabled ring is drained all the same.
    Object.assign(rig.backend, { full: true });
    guest.enableRing(guest.tx, false);
    guest.send(testFrame(60));
    guest.sent();
  });

  test("the configuration: a legacy driver may write its address and nothing else, a modern one nothing", () => {
    using rig = new DeviceRig({ config: { macAddress: new Uint8Array(6), mtu: 1400 } });
    using guest = rig.frontEnd().boot({ features: ~featureBit(VERSION_1) });
    guest.session.writeConfig(0, MAC, "driver");
    guest.session.writeConfig(3, MAC.subarray(0, 1), "driver");
    expect([...guest.session.readConfig(0, 6)]).toEqual([0x52, 0x54, 0, 0x52, 2, 3]);
    expect(() => guest.session.writeConfig(5, MAC.subarray(0, 2), "driver")).toThrow("refused");
    guest.session.setMtu(9000);
    expect([...guest.session.readConfig(10, 2)]).toEqual([9000 & 0xff, 9000 >> 8]);
    guest.session.setFeatures(guest.features | featureBit(VERSION_1));
    expect(() => guest.session.writeConfig(0, MAC, "driver")).toThrow("refused");
    guest.session.writeConfig(0, MAC, "migration");
  });

  test("RESET_DEVICE: rings, features and status are as at the beginning, memory and call fds stay", () => {
    using rig = new DeviceRig({ echo: true });
    using guest = rig.frontEnd().boot();
    guest.session.setStatus(15);
    guest.offerBuffers(4);
    echoes(guest, 100);
    guest.session.resetDevice();
    const ring = { size: 0, started: false, enabled: false, nextAvailable: 0 };
    expect(rig.device.state).toMatchObject({ features: 0n, regions: 1, fds: 4, rings: [ring, ring] });
    expect([guest.session.status(), rig.backend.headerLength]).toEqual([0, 10]);
    guest.boot();
    guest.offerBuffers(4);
    echoes(guest, 200, 1);
    // The driver is a new one.
    expect(rig.backend.resets).toBe(1);
  });

  test("a device status of 0 stops the rings, which still say where they were (QEMU asks in that order)", () => {
    using rig = new DeviceRig({ echo: true });
    using guest = rig.frontEnd().boot();
    guest.offerBuffers(8);
    for (let i = 0; i < 5; i++) echoes(guest, 100, i);
    guest.sent();
    guest.session.setStatus(0);
    expect(rig.device.state.rings).toMatchObject([{ started: false }, { started: false }]);
    const bases = [guest.stopRing(guest.rx), guest.stopRing(guest.tx)] as const;
    expect(bases).toEqual([5, 5]);
    guest.resumeRing(guest.rx, bases[0]);
    guest.resumeRing(guest.tx, bases[1]);
    echoes(guest, 200);
    expect(rig.backend.resets).toBe(0);
  });

  test("the device status says that a broken ring needs a reset, until it got one", () => {
    using rig = new DeviceRig();
    using guest = rig.frontEnd().boot();
    guest.session.setStatus(15);
    Atomics.store(guest.tx.ring.available, 1, 1000);
    guest.tx.kickAnyway();
    rig.pump();
    expect(guest.session.status()).toBe(15 | 64);
    guest.session.setStatus(0);
    expect(guest.session.status()).toBe(0);
    guest.startRing(guest.tx);
    guest.session.setStatus(15);
    expect(guest.session.status()).toBe(15);
  });

  test("device state, post-copy and an IOMMU are refused in the way that who waits for a reply understands", () => {
    using rig = new DeviceRig({ echo: true });
    using guest = rig.frontEnd().boot();
    const { SET_DEVICE_STATE_FD, CHECK_DEVICE_STATE, POSTCOPY_END, IOTLB_MSG } = FrontEndRequest;
    expect(
      guest.control.acknowledged(encodeRequest(SET_DEVICE_STATE_FD, new Uint8Array(8), true), [guest.rx.kickFd]),
    ).toBe(0x101n);
    expect(guest.control.acknowledged(encodeRequest(CHECK_DEVICE_STATE, new Uint8Array(0), true))).toBe(0x101n);
    expect(guest.control.acknowledged(encodeRequest(POSTCOPY_END, new Uint8Array(0), true))).toBe(0x101n);
    expect(guest.control.acknowledged(encodeRequest(IOTLB_MSG, new Uint8Array(32), true))).toBe(0x101n);
    guest.offerBuffers(1);
    echoes(guest, 60);
  });

  test("a second pair of rings, which QEMU sets up with queues=2, is taken and never served", () => {
    using rig = new DeviceRig({ echo: true });
    using guest = rig.frontEnd().boot();
    expect(guest.session.queueCount()).toBe(2n);
    for (const index of [2, 3]) {
      const address = { ...guest.tx.address, index };
      guest.session.startRing({ size: 256, base: 7, address, kickFd: guest.tx.kickFd, callFd: -1, errorFd: -1 });
      expect(guest.session.stopRing(index)).toBe(7);
      guest.session.enableRing(index, false);
    }
    expect(() => guest.session.enableRing(4, true)).toThrow("refused");
    guest.offerBuffers(1);
    echoes(guest, 60);
    expect(rig.lines("refused")).toHaveLength(1);
  });
});
