import { describe, expect, test } from "bun:test";
import {
  plainRequest,
  u64Request,
  vringAddressRequest,
  vringFdRequest,
  vringStateRequest,
} from "@passt-ts/vhost-user-proto/front-end";
import { decodeU64, encodeVringState } from "@passt-ts/vhost-user-proto/payload";
import { DeviceCounter } from "./device-counter.ts";
import { DeviceRig, testFrame } from "./testing/device-rig.ts";
import type { TestFrontEnd } from "./testing/front-end.ts";

function echoes(guest: TestFrontEnd, seed = 0): void {
  guest.send(testFrame(200, seed));
  expect(guest.receiveMany(1)[0]?.bytes).toEqual(testFrame(200, seed));
}

describe("life of a ring", () => {
  test("stopped with its base, started again from it: no frame lost or sent twice", () => {
    using rig = new DeviceRig({ echo: true });
    using guest = rig.frontEnd().boot();
    guest.offerBuffers(8);
    for (let i = 0; i < 5; i++) echoes(guest, i);
    guest.sent();
    expect(guest.stopRing(guest.tx)).toBe(5);
    expect(guest.stopRing(guest.rx)).toBe(5);
    expect(rig.device.state.rings).toMatchObject([{ started: false }, { started: false }]);
    // What is added to a stopped ring waits.
    guest.tx.send(testFrame(90), []);
    guest.tx.queue.publish();
    guest.tx.kickAnyway();
    rig.pump();
    expect(rig.backend.sent).toHaveLength(5);
    const resume = (ring: typeof guest.tx, base: number) => {
      const { index } = ring;
      guest.request((need) => vringStateRequest("SET_VRING_BASE", { index, value: base }, need));
      guest.control.send(new Uint8Array([12, 0, 0, 0, 1, 0, 0, 0, 8, 0, 0, 0, index, 0, 0, 0, 0, 0, 0, 0]), [
        ring.kickFd,
      ]);
    };
    resume(guest.rx, 5);
    resume(guest.tx, 5);
    expect(guest.receiveMany(1)[0]?.bytes).toEqual(testFrame(90));
    expect(rig.backend.sent).toHaveLength(6);
    // The same driver goes on: connections stay.
    expect(rig.backend.resets).toBe(0);
  });

  test("bound again without a stop, from base 0 (User-Mode Linux): works, and the back-end forgets the old driver", () => {
    using rig = new DeviceRig({ echo: true });
    using guest = rig.frontEnd().boot();
    for (let driver = 0; driver < 3; driver++) {
      guest.offerBuffers(8);
      for (let i = 0; i < 3; i++) echoes(guest, driver * 10 + i);
      expect(rig.backend.resets).toBe(driver);
      guest.enableRing(guest.tx, false);
      guest.enableRing(guest.rx, false);
      guest.shareMemory();
      guest.startRing(guest.rx);
      guest.startRing(guest.tx);
    }
    expect(rig.lines("broken")).toEqual([]);
  });

  test("features and header length change while the connection lives (firmware, then a kernel)", () => {
    using rig = new DeviceRig({ echo: true });
    using guest = rig.frontEnd();
    for (const features of [0n, ~0n, 1n << 32n, (1n << 30n) | (1n << 15n)]) {
      guest.boot({ features });
      guest.offerBuffers(8);
      echoes(guest);
      guest.stopRing(guest.rx);
      guest.stopRing(guest.tx);
    }
    expect(rig.device.counters[DeviceCounter.connections]).toBe(1);
    expect(rig.backend.sent).toHaveLength(4);
  });

  test("disabled: received frames wait, sent ones are drained without effect; RESET_OWNER disables both", () => {
    using rig = new DeviceRig({ echo: true });
    using guest = rig.frontEnd().boot();
    guest.offerBuffers(8);
    guest.request((need) => plainRequest("RESET_OWNER", need));
    guest.send(testFrame(60));
    guest.sent();
    expect(rig.backend.sent).toHaveLength(0);
    expect(rig.device.counters[DeviceCounter.txDrained]).toBe(1);
    rig.backend.deliver(testFrame(77));
    expect(guest.receive()).toEqual([]);
    guest.enableRing(guest.rx, true);
    expect(guest.receiveMany(1)[0]?.bytes).toEqual(testFrame(77));
    guest.enableRing(guest.tx, true);
    echoes(guest);
  });

  test("status 0 stops the rings", () => {
    using rig = new DeviceRig();
    using guest = rig.frontEnd().boot();
    guest.request((need) => u64Request("SET_STATUS", 15n, need));
    expect(decodeU64(guest.control.ask(plainRequest("GET_STATUS")))).toBe(15n);
    guest.request((need) => u64Request("SET_STATUS", 0n, need));
    expect(rig.device.state.rings).toMatchObject([{ started: false }, { started: false }]);
  });

  test("addresses that are misaligned, or reach out of their region, are refused while the ring goes on", () => {
    using rig = new DeviceRig({ echo: true });
    using guest = rig.frontEnd().boot();
    guest.offerBuffers(8);
    const { address } = guest.tx;
    const end = guest.ram.userAddress(guest.ram.bytes.length - 16);
    const wrong = [
      { ...address, descriptors: address.descriptors + 8n },
      { ...address, available: address.available + 1n },
      { ...address, used: address.used + 2n },
      { ...address, descriptors: end },
      { ...address, available: end },
      { ...address, used: end },
      { ...address, used: 0n },
      { ...address, used: (1n << 64n) - 4n },
    ];
    for (const each of wrong) expect(guest.control.acknowledged(vringAddressRequest(each, true))).toBe(1n);
    echoes(guest);
    // The same addresses again, as at the beginning of a migration: the ring goes on where it was.
    expect(guest.control.acknowledged(vringAddressRequest(address, true))).toBe(0n);
    echoes(guest, 1);
  });
});

describe("a stop", () => {
  test("of the transmit ring is exact: what came after it is not read, used or told of", () => {
    using rig = new DeviceRig();
    using guest = rig.frontEnd().boot();
    for (let i = 0; i < 7; i++) guest.tx.send(testFrame(60, i), []);
    guest.tx.kick();
    // The kick and the stop are read in one round: nothing was taken yet.
    expect(guest.stopRing(guest.tx)).toBe(rig.backend.sent.length);
    const base = rig.backend.sent.length;
    expect([...guest.tx.ring.used.subarray(0, 2)]).toEqual([expect.any(Number), base]);
    guest.tx.takeCalls();
    const before = [...guest.tx.ring.used];
    for (let i = 0; i < 3; i++) guest.tx.send(testFrame(60, i), []);
    guest.tx.queue.publish();
    guest.tx.kickAnyway();
    rig.pump();
    expect([...guest.tx.ring.used]).toEqual(before);
    expect([guest.tx.takeCalls(), guest.tx.takeErrors(), rig.backend.sent.length]).toEqual([0, 0, base]);
  });

  test("of the transmit ring in the middle of a long batch names the next frame, and a start there goes on", () => {
    using rig = new DeviceRig();
    using guest = rig.frontEnd({ queueSize: 2048 }).boot();
    for (let i = 0; i < 1500; i++) guest.tx.send(testFrame(60, i), []);
    guest.tx.kick();
    rig.loop.wait(0);
    expect(rig.device.turn(rig.nowMs)).toBe(true);
    const taken = rig.backend.sent.length;
    expect(taken).toBeLessThan(1500);
    guest.control.send(vringStateRequest("GET_VRING_BASE", { index: 1, value: 0 }));
    rig.loop.wait(0);
    expect(rig.device.turn(rig.nowMs)).toBe(false);
    const reply = guest.control.poll();
    expect(reply).toMatchObject({ payload: encodeVringState({ index: 1, value: taken }) });
    expect([rig.backend.sent.length, Atomics.load(guest.tx.ring.used, 1)]).toEqual([taken, taken]);
    guest.request((need) => vringFdRequest("SET_VRING_KICK", { index: 1, hasFd: true }, need), [guest.tx.kickFd]);
    guest.sent();
    expect(rig.backend.sent.map((frame) => frame.bytes)).toEqual(
      Array.from({ length: 1500 }, (_, i) => testFrame(60, i)),
    );
  });

  test("of the receive ring leaves every buffer behind it untouched", () => {
    using rig = new DeviceRig();
    rig.backend.framesPerTurn = 1;
    using guest = rig.frontEnd().boot();
    guest.offerBuffers(20);
    for (let i = 0; i < 10; i++) rig.backend.deliver(testFrame(200, i));
    for (let i = 0; i < 4; i++) rig.device.turn(rig.nowMs);
    guest.control.send(vringStateRequest("GET_VRING_BASE", { index: 0, value: 0 }));
    rig.pump();
    expect(guest.control.poll()).toMatchObject({ payload: encodeVringState({ index: 0, value: 4 }) });
    const used = [...guest.rx.ring.used];
    expect(used[1]).toBe(4);
    guest.rx.takeCalls();
    rig.pump();
    expect([[...guest.rx.ring.used], guest.rx.takeCalls()]).toEqual([used, 0]);
    expect(rig.backend.waiting).toBe(6);
    // The rest comes after a start, in order.
    guest.request((need) => vringFdRequest("SET_VRING_KICK", { index: 0, hasFd: true }, need), [guest.rx.kickFd]);
    expect(guest.receiveMany(10).map((frame) => frame.bytes)).toEqual(
      Array.from({ length: 10 }, (_, i) => testFrame(200, i)),
    );
  });

  test("and a second stop say the same, and a stopped ring is not told through a new call fd", () => {
    using rig = new DeviceRig({ echo: true });
    using guest = rig.frontEnd().boot();
    guest.offerBuffers(3);
    echoes(guest);
    expect([guest.stopRing(guest.rx), guest.stopRing(guest.rx)]).toEqual([1, 1]);
    guest.rx.takeCalls();
    guest.request((need) => vringFdRequest("SET_VRING_CALL", { index: 0, hasFd: true }, need), [guest.rx.callFd]);
    expect(guest.rx.takeCalls()).toBe(0);
  });
});

describe("what a front-end may do in any order", () => {
  test("addresses before size, memory and features: the start checks them", () => {
    using rig = new DeviceRig({ echo: true });
    using guest = rig.frontEnd();
    for (const ring of [guest.rx, guest.tx]) guest.control.send(vringAddressRequest(ring.address));
    guest.negotiate();
    const start = (ring: typeof guest.tx): void => {
      const { index } = ring;
      ring.negotiated(guest.features);
      guest.request((need) => vringStateRequest("SET_VRING_ENABLE", { index, value: 1 }, need));
      guest.request((need) => vringFdRequest("SET_VRING_CALL", { index, hasFd: true }, need), [ring.callFd]);
      guest.request((need) => vringFdRequest("SET_VRING_KICK", { index, hasFd: true }, need), [ring.kickFd]);
    };
    expect(() => start(guest.tx)).toThrow("refused with 1");
    expect(rig.logged.at(-1)).toContain("no memory table yet");
    guest.shareMemory();
    expect(() => start(guest.tx)).toThrow("refused with 1");
    expect(rig.logged.at(-1)).toContain("no size yet");
    for (const { index } of [guest.rx, guest.tx]) {
      guest.request((need) => vringStateRequest("SET_VRING_NUM", { index, value: 256 }, need));
    }
    start(guest.rx);
    start(guest.tx);
    guest.offerBuffers(1);
    echoes(guest);
    expect(rig.lines("refused")).toHaveLength(2);
  });

  test("a driver that is paused through the device status keeps its connections, a new one loses them", () => {
    using rig = new DeviceRig({ echo: true });
    using guest = rig.frontEnd().boot();
    guest.offerBuffers(8);
    echoes(guest);
    guest.sent();
    const bases = [guest.stopRing(guest.rx), guest.stopRing(guest.tx)];
    expect(bases).toEqual([1, 1]);
    guest.request((need) => u64Request("SET_STATUS", 0n, need));
    for (const { index, kickFd } of [guest.rx, guest.tx]) {
      guest.request((need) => vringStateRequest("SET_VRING_BASE", { index, value: 1 }, need));
      guest.request((need) => vringFdRequest("SET_VRING_KICK", { index, hasFd: true }, need), [kickFd]);
    }
    echoes(guest, 1);
    expect(rig.backend.resets).toBe(0);
    guest.request((need) => u64Request("SET_STATUS", 0n, need));
    guest.startRing(guest.rx);
    guest.startRing(guest.tx);
    guest.offerBuffers(8);
    echoes(guest, 2);
    expect(rig.backend.resets).toBe(1);
  });

  test("disabled and enabled while stopped: it holds from the start on", () => {
    using rig = new DeviceRig({ echo: true });
    using guest = rig.frontEnd().boot();
    guest.stopRing(guest.tx);
    guest.enableRing(guest.tx, false);
    guest.startRing(guest.tx, 0);
    guest.enableRing(guest.tx, false);
    guest.enableRing(guest.tx, false);
    guest.send(testFrame(60));
    guest.sent();
    expect(rig.backend.sent).toHaveLength(0);
    guest.enableRing(guest.tx, true);
    guest.offerBuffers(1);
    echoes(guest);
  });

  test("a disabled receive ring gives none of its buffers, and asks for no kick", () => {
    using rig = new DeviceRig();
    using guest = rig.frontEnd().boot();
    guest.enableRing(guest.rx, false);
    guest.offerBuffers(4);
    for (let i = 0; i < 3; i++) rig.backend.deliver(testFrame(60, i));
    rig.pump();
    expect([Atomics.load(guest.rx.ring.used, 1), guest.rx.takeCalls(), rig.backend.waiting]).toEqual([0, 0, 3]);
    guest.enableRing(guest.rx, true);
    expect(guest.receiveMany(3)).toHaveLength(3);
  });
});
