import { describe, expect, test } from "bun:test";
import { featureBit, VirtioFeature } from "@passt-ts/vhost-user-proto/features";
import { vringStateRequest } from "@passt-ts/vhost-user-proto/front-end";
import type { MemoryRegion } from "@passt-ts/vhost-user-proto/payload";
import { DeviceRig, testFrame } from "./testing/device-rig.ts";
import type { TestFrontEnd } from "./testing/front-end.ts";

const { RING_PACKED, EVENT_IDX, VHOST_LOG_ALL } = VirtioFeature;

/** What gives a ring another queue, in the same round of the loop in which a socket had something for the guest. */
const REBINDINGS: Readonly<Record<string, (guest: TestFrontEnd) => void>> = {
  "the memory table comes again": (guest) => guest.shareMemory(),
  "a migration begins": ({ session }) => session.setFeatures(session.features | featureBit(VHOST_LOG_ALL)),
  "the ring stops and goes on": (guest) => guest.resumeRing(guest.rx, guest.stopRing(guest.rx)),
  "the other ring is disabled": (guest) => guest.enableRing(guest.tx, false),
};

const STOPS: Readonly<Record<string, (guest: TestFrontEnd) => void>> = {
  "the front-end asks for its base": () => {},
  "the device status is 0": ({ session }) => session.setStatus(0),
  "its memory is taken away": ({ session, ram }) => session.removeMemory(ram.table[0] as MemoryRegion),
  "its size comes again": (guest) => {
    guest.request((need) => vringStateRequest("SET_VRING_NUM", { index: 0, value: guest.rx.size }, need));
  },
};

/** A driver that waits for a call has buffers, and a frame comes as an event of a socket brings it: while the loop waits. */
function deliverBetweenTurns(rig: DeviceRig, guest: TestFrontEnd): void {
  guest.offerBuffers(8);
  rig.pump();
  expect(guest.rx.queue.allowNotifications()).toBe(false);
  guest.rx.takeCalls();
  rig.backend.deliver(testFrame(100));
  rig.backend.turn();
}

describe("a frame that came between two turns", () => {
  for (const packed of [false, true]) {
    const kind = packed ? "packed" : "split";
    const without = featureBit(VHOST_LOG_ALL) | (packed ? 0n : featureBit(RING_PACKED));
    for (const [what, rebind] of Object.entries(REBINDINGS)) {
      test(`${kind}: its driver is called, and of later ones as well, when ${what}`, () => {
        using rig = new DeviceRig({ features: { offer: featureBit(RING_PACKED) | featureBit(EVENT_IDX) } });
        using guest = rig.frontEnd().boot({ features: ~without });
        deliverBetweenTurns(rig, guest);
        rebind(guest);
        expect(guest.rx.takeCalls()).toBeGreaterThan(0);
        expect(guest.receiveMany(1)[0]?.bytes).toEqual(testFrame(100));
        guest.rx.queue.allowNotifications();
        guest.rx.takeCalls();
        rig.backend.deliver(testFrame(90));
        rig.pump();
        expect(guest.rx.takeCalls()).toBeGreaterThan(0);
      });
    }

    test(`${kind}: its driver is called when the front-end goes`, () => {
      using rig = new DeviceRig({ features: { offer: featureBit(RING_PACKED) | featureBit(EVENT_IDX) } });
      using guest = rig.frontEnd().boot({ features: ~without });
      deliverBetweenTurns(rig, guest);
      guest.disconnect();
      rig.pump();
      expect(rig.device.state.connected).toBe(false);
      expect(guest.rx.takeCalls()).toBeGreaterThan(0);
      expect(guest.rx.takeFrames(true)).toMatchObject([{ bytes: testFrame(100) }]);
    });

    for (const [what, stop] of Object.entries(STOPS)) {
      test(`${kind}: the base of the ring is behind it, both halves of it, when it stops: ${what}`, () => {
        using rig = new DeviceRig({ features: { offer: featureBit(RING_PACKED) } });
        using guest = rig.frontEnd().boot({ features: ~without });
        guest.offerBuffers(8);
        rig.backend.deliver(testFrame(100));
        rig.backend.turn();
        stop(guest);
        expect(guest.stopRing(guest.rx)).toBe(packed ? 0x8001_8001 : 1);
      });
    }
  }
});
