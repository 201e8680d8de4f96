import { describe, expect, test } from "bun:test";
import { readdirSync, readSync } from "node:fs";
import { createEventFd, createPipe, EventSignal } from "@passt-ts/linux/eventfd";
import { featureBit, VirtioFeature } from "@passt-ts/vhost-user-proto/features";
import { vringFdRequest } from "@passt-ts/vhost-user-proto/front-end";
import { DeviceRig, testFrame } from "./testing/device-rig.ts";
import type { TestFrontEnd } from "./testing/front-end.ts";

const openFds = (): number => readdirSync("/proc/self/fd").length;

/** Whether the last writing end of a pipe is closed; what is in the pipe is read. */
function hasEnded(reader: number): boolean {
  const bytes = new Uint8Array(4096);
  try {
    while (readSync(reader, bytes) > 0);
    return true;
  } catch (error) {
    if ((error as { code?: string }).code === "EAGAIN") return false;
    throw error;
  }
}

describe("kick, call and error descriptors", () => {
  const NAMES = ["SET_VRING_KICK", "SET_VRING_CALL", "SET_VRING_ERR"] as const;

  test("a new one closes the old, none closes it too, and the end closes all", () => {
    using rig = new DeviceRig();
    const guest = rig.frontEnd().boot();
    const before = openFds();
    for (const name of NAMES) {
      for (let i = 0; i < 20; i++) {
        const [reader, writer] = createPipe();
        guest.request((need) => vringFdRequest(name, { index: 1, hasFd: true }, need), [writer.fd]);
        writer.close();
        // Ours is the only writing end now: the pipe lives as long as we hold it.
        expect(hasEnded(reader.fd)).toBe(false);
        const hasFd = i % 2 === 0;
        using event = createEventFd();
        guest.request((need) => vringFdRequest(name, { index: 1, hasFd }, need), hasFd ? [event.fd] : []);
        expect(hasEnded(reader.fd)).toBe(true);
        reader.close();
      }
    }
    expect(rig.device.state.fds).toBe(6 - NAMES.length);
    expect(rig.device.state.rings[1]?.polled).toBe(true);
    expect(openFds()).toBe(before - NAMES.length);
    guest.request((need) => vringFdRequest("SET_VRING_KICK", { index: 1, hasFd: true }, need), [guest.tx.kickFd]);
    expect(rig.device.state.rings[1]?.polled).toBe(false);
    const [reader, writer] = createPipe();
    guest.request((need) => vringFdRequest("SET_VRING_CALL", { index: 1, hasFd: true }, need), [writer.fd]);
    writer.close();
    guest[Symbol.dispose]();
    rig.pump();
    expect(hasEnded(reader.fd)).toBe(true);
    reader.close();
  });

  test("the kick fd goes with a stop; call and error fd stay for the next start", () => {
    using rig = new DeviceRig();
    using guest = rig.frontEnd().boot();
    const registrations = rig.loop.count;
    guest.stopRing(guest.tx);
    expect([rig.device.state.fds, rig.loop.count]).toEqual([5, registrations - 1]);
    guest.stopRing(guest.rx);
    expect([rig.device.state.fds, rig.loop.count]).toEqual([4, registrations - 2]);
  });

  const setFd = (guest: TestFrontEnd, name: (typeof NAMES)[number], fd: number): void => {
    guest.request((need) => vringFdRequest(name, { index: 1, hasFd: fd >= 0 }, need), fd >= 0 ? [fd] : []);
  };

  for (const eventIndex of [false, true]) {
    const offer = eventIndex ? featureBit(VirtioFeature.EVENT_IDX) : 0n;
    test(`a ring that was polled and gets a kick fd asks for kicks (event index: ${eventIndex})`, () => {
      using rig = new DeviceRig({ features: { offer } });
      using guest = rig.frontEnd({ noKickFds: true }).boot();
      guest.tx.send(testFrame(60), []);
      guest.tx.queue.publish();
      guest.sent();
      setFd(guest, "SET_VRING_KICK", guest.tx.kickFd);
      rig.pump();
      for (let i = 1; i <= 3; i++) {
        guest.tx.send(testFrame(60), []);
        expect(guest.tx.kick()).toBe(true);
        rig.pump();
        expect(guest.tx.reapSent()).toBe(1);
      }
      expect(rig.device.state.rings).toMatchObject([{ polled: true }, { polled: false }]);
    });
  }

  test("a disabled ring that was polled asks for kicks as well, and its frames are thrown away", () => {
    using rig = new DeviceRig();
    using guest = rig.frontEnd({ noKickFds: true }).boot();
    rig.pump();
    guest.enableRing(guest.tx, false);
    using fresh = createEventFd();
    setFd(guest, "SET_VRING_KICK", fresh.fd);
    rig.pump();
    guest.tx.send(testFrame(60), []);
    guest.tx.queue.publish();
    expect(guest.tx.queue.needsKick()).toBe(true);
  });

  test("a kick to a descriptor that is replaced before it was read is not lost", () => {
    using rig = new DeviceRig();
    using guest = rig.frontEnd().boot();
    rig.pump();
    guest.tx.send(testFrame(60), []);
    guest.tx.queue.publish();
    // As if the kick had gone to the first descriptor, in the moment in which it was closed.
    using fresh = createEventFd();
    setFd(guest, "SET_VRING_KICK", fresh.fd);
    rig.pump();
    expect(guest.tx.reapSent()).toBe(1);
  });

  test("a disabled ring keeps what waits in it when its kick fd is replaced, and is looked at once enabled", () => {
    using rig = new DeviceRig();
    using guest = rig.frontEnd().boot();
    rig.pump();
    guest.enableRing(guest.tx, false);
    guest.tx.send(testFrame(60), []);
    guest.tx.queue.publish();
    using fresh = createEventFd();
    setFd(guest, "SET_VRING_KICK", fresh.fd);
    rig.pump();
    expect(guest.tx.reapSent()).toBe(0);
    guest.enableRing(guest.tx, true);
    rig.pump();
    expect([guest.tx.reapSent(), rig.backend.sent.length]).toEqual([1, 1]);
  });

  test("a call fd that a started ring gets is called at once: for what was used while there was none", () => {
    using rig = new DeviceRig();
    using guest = rig.frontEnd().boot();
    setFd(guest, "SET_VRING_CALL", -1);
    guest.send(testFrame(60));
    guest.sent();
    expect(guest.tx.takeCalls()).toBe(0);
    setFd(guest, "SET_VRING_CALL", guest.tx.callFd);
    expect(guest.tx.takeCalls()).toBe(1);
  });

  test("each kick of an eventfd is heard, and none costs a read; one that stays readable does not spin", () => {
    using rig = new DeviceRig({ echo: true });
    using guest = rig.frontEnd().boot();
    guest.offerBuffers(8);
    for (let i = 0; i < 5; i++) {
      guest.send(testFrame(80, i));
      expect(guest.receiveMany(1)[0]?.bytes).toEqual(testFrame(80, i));
    }
    rig.pump();
    expect(rig.loop.wait(0)).toBe(0);
    // The first kick of each ring, and one for each frame, are still in the counter.
    const counter = new BigUint64Array(1);
    readSync(guest.tx.kickFd, new Uint8Array(counter.buffer));
    expect(counter[0]).toBeGreaterThanOrEqual(5n);
  });

  test("a kick fd that ends, or that holds more than is read at once, neither spins nor stops the ring", () => {
    using rig = new DeviceRig();
    using guest = rig.frontEnd().boot();
    const [reader, writer] = createPipe();
    const signal = new EventSignal();
    for (let i = 0; i < 3000; i++) signal.notify(writer.fd);
    guest.request((need) => vringFdRequest("SET_VRING_KICK", { index: 1, hasFd: true }, need), [reader.fd]);
    guest.tx.send(testFrame(60), []);
    guest.tx.queue.publish();
    signal.notify(writer.fd);
    guest.sent();
    writer.close();
    rig.pump();
    expect([rig.loop.wait(0), rig.device.turn(rig.nowMs)]).toEqual([0, false]);
    reader.close();
  });
});
