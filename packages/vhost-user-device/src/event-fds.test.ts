import { describe, expect, test } from "bun:test";
import { readdirSync, readSync } from "node:fs";
import { createEventFd, createPipe, EventSignal } from "@passt-ts/linux/eventfd";
import { vringFdRequest } from "@passt-ts/vhost-user-proto/front-end";
import { DeviceRig, testFrame } from "./testing/device-rig.ts";

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
