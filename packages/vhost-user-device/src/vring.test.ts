import { describe, expect, test } from "bun:test";
import { plainRequest, u64Request, vringAddressRequest, vringStateRequest } from "@passt-ts/vhost-user-proto/front-end";
import { decodeU64 } from "@passt-ts/vhost-user-proto/payload";
import { DescriptorFlag } from "@passt-ts/virtio-ring/split-ring";
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

describe("a hostile guest", () => {
  test("an address outside memory breaks the transmit ring; the error fd hears of it once; a reset heals", () => {
    using rig = new DeviceRig({ echo: true });
    using guest = rig.frontEnd().boot();
    guest.offerBuffers(8);
    for (let round = 1; round <= 3; round++) {
      guest.tx.send(testFrame(100), []);
      // An address whose end overflows 64 bits.
      const head = guest.tx.ring.available[2 + (guest.tx.ring.available[1] & 255)];
      guest.tx.ring.descriptors.set([0xffffffff, 0xffffffff], head * 4);
      guest.tx.kick();
      rig.pump();
      guest.tx.kickAnyway();
      rig.pump();
      expect(guest.tx.takeErrors()).toBe(1);
      expect(rig.lines("transmit ring broken")).toHaveLength(round);
      expect(rig.lines("outside guest memory")).toHaveLength(round);
      expect(rig.device.counters[DeviceCounter.queuesBroken]).toBe(round);
      // The other ring is not concerned.
      rig.backend.deliver(testFrame(60, round));
      expect(guest.receiveMany(1)[0]?.bytes).toEqual(testFrame(60, round));
      guest.stopRing(guest.tx);
      guest.startRing(guest.tx);
      echoes(guest, round);
    }
  });

  test("a receive buffer that may only be read breaks the receive ring", () => {
    using rig = new DeviceRig();
    using guest = rig.frontEnd().boot();
    guest.rx.send(testFrame(100), []);
    guest.rx.kick();
    rig.backend.deliver(testFrame(60));
    rig.pump();
    rig.pump();
    expect(guest.rx.takeErrors()).toBe(1);
    expect(rig.lines("receive ring broken")).toHaveLength(1);
  });

  test("loops, jumps and heads out of range: each breaks its ring, none the device", () => {
    using rig = new DeviceRig();
    using guest = rig.frontEnd().boot();
    const { ring } = guest.tx;
    const attacks: (() => void)[] = [
      () => Atomics.store(ring.available, 1, 1000),
      () => {
        ring.available[2] = 256;
        Atomics.store(ring.available, 1, 1);
      },
      () => {
        const self = (0 << 16) | DescriptorFlag.next;
        ring.descriptors.set([0x4000_8000, 0, 16, self], 0);
        ring.available[2] = 0;
        Atomics.store(ring.available, 1, 1);
      },
      () => {
        ring.descriptors.set([0x4000_8000, 0, 16, DescriptorFlag.indirect], 0);
        ring.available[2] = 0;
        Atomics.store(ring.available, 1, 1);
      },
    ];
    for (const [i, attack] of attacks.entries()) {
      attack();
      guest.tx.kickAnyway();
      rig.pump();
      expect(rig.device.counters[DeviceCounter.queuesBroken]).toBe(i + 1);
      guest.stopRing(guest.tx);
      guest.startRing(guest.tx);
    }
    guest.send(testFrame(60));
    guest.sent();
    expect(rig.backend.sent).toHaveLength(1);
  });
});
