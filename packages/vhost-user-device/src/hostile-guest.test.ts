import { describe, expect, test } from "bun:test";
import { closeFd } from "@passt-ts/linux/owned-fd";
import {
  u64Request,
  vringAddressRequest,
  vringFdRequest,
  vringStateRequest,
} from "@passt-ts/vhost-user-proto/front-end";
import { DeviceCounter } from "./device-counter.ts";
import { DeviceRig, testFrame } from "./testing/device-rig.ts";
import type { TestFrontEnd } from "./testing/front-end.ts";

/** Flags of a descriptor (virtio 1.3, 2.7.5). */
const DescriptorFlag = { next: 1, indirect: 4 } as const;

function echoes(guest: TestFrontEnd, seed = 0): void {
  guest.send(testFrame(200, seed));
  expect(guest.receiveMany(1)[0]?.bytes).toEqual(testFrame(200, seed));
}

describe("a hostile guest", () => {
  test("each way of setting a broken ring up again makes it usable", () => {
    using rig = new DeviceRig({ echo: true });
    using guest = rig.frontEnd().boot();
    guest.offerBuffers(8);
    const { index, address, kickFd } = guest.tx;
    const kick = (): void => {
      guest.request((need) => vringFdRequest("SET_VRING_KICK", { index, hasFd: true }, need), [kickFd]);
    };
    const ways: (() => void)[] = [
      () => {
        guest.stopRing(guest.tx);
        kick();
      },
      () => {
        guest.request((need) => vringStateRequest("SET_VRING_NUM", { index, value: guest.tx.size }, need));
        kick();
      },
      () => {
        guest.request((need) => vringStateRequest("SET_VRING_BASE", { index, value: 0 }, need));
        kick();
      },
      () => guest.request((need) => vringAddressRequest(address, need)),
      () => guest.shareMemory(),
      () => guest.request((need) => u64Request("SET_FEATURES", guest.features, need)),
    ];
    for (const [i, way] of ways.entries()) {
      const used = Atomics.load(guest.tx.ring.used, 1);
      Atomics.store(guest.tx.ring.available, 1, (used + 5000) & 0xffff);
      guest.tx.kickAnyway();
      rig.pump();
      expect([guest.tx.takeErrors(), rig.lines("transmit ring broken").length]).toEqual([1, i + 1]);
      // The guest comes to its senses, and begins its ring anew where base 0 was set.
      if (i === 2) guest.tx.negotiated(guest.features);
      Atomics.store(guest.tx.ring.available, 1, Atomics.load(guest.tx.ring.used, 1));
      way();
      echoes(guest, i);
      guest.sent();
    }
  });

  test("a broken ring stays broken, and is told of once, when memory regions come and go, or a log comes", () => {
    using rig = new DeviceRig({ echo: true });
    using guest = rig.frontEnd().boot();
    guest.offerBuffers(8);
    guest.rx.send(testFrame(100), []);
    // A receive buffer that may only be read, behind those that are right; and a jump of the transmit ring.
    Atomics.store(guest.tx.ring.available, 1, 5000);
    guest.tx.kickAnyway();
    guest.rx.kick();
    for (let i = 0; i < 9; i++) rig.backend.deliver(testFrame(60, i));
    rig.pump();
    const [region] = guest.ram.table;
    if (region === undefined) throw new Error("no memory");
    const other = {
      ...region,
      guestAddress: region.guestAddress + 2n ** 33n,
      userAddress: region.userAddress + 2n ** 33n,
    };
    const changes: (() => void)[] = [
      () => guest.session.addMemory(other, guest.ram.file.fd),
      () => guest.session.removeMemory(other),
      () => guest.session.setLog({ sizeBytes: 1n << 20n, mmapOffset: 0n }, guest.ram.file.fd),
      () => {
        const { area, fd } = guest.session.getInflight(2, 256);
        guest.session.setInflight(area, fd);
        closeFd(fd);
      },
    ];
    for (const change of changes) {
      change();
      for (const ring of [guest.rx, guest.tx]) ring.kickAnyway();
      rig.pump();
    }
    expect([guest.rx.takeErrors(), guest.tx.takeErrors()]).toEqual([1, 1]);
    expect(rig.lines("ring broken")).toHaveLength(2);
    const used = Atomics.load(guest.tx.ring.used, 1);
    Atomics.store(guest.tx.ring.available, 1, used);
    guest.stopRing(guest.tx);
    guest.startRing(guest.tx);
    guest.send(testFrame(60));
    guest.sent();
  });

  test("without an error fd a broken ring is logged all the same, and both rings break by themselves", () => {
    using rig = new DeviceRig();
    using guest = rig.frontEnd().boot();
    for (const ring of [guest.rx, guest.tx]) {
      guest.request((need) => vringFdRequest("SET_VRING_ERR", { index: ring.index, hasFd: false }, need));
      Atomics.store(ring.ring.available, 1, 1000);
      ring.kickAnyway();
    }
    rig.backend.deliver(testFrame(60));
    rig.pump();
    expect(rig.lines("receive ring broken until it is reset")).toHaveLength(1);
    expect(rig.lines("transmit ring broken until it is reset")).toHaveLength(1);
    expect([guest.rx.takeErrors(), guest.tx.takeErrors()]).toEqual([0, 0]);
    guest.settle();
  });

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
