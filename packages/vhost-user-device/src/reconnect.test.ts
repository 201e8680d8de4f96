import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { EventSignal } from "@passt-ts/linux/eventfd";
import { closeFd } from "@passt-ts/linux/owned-fd";
import { featureMask, hasFeature, VirtioFeature } from "@passt-ts/vhost-user-proto/features";

import type { InflightArea } from "@passt-ts/vhost-user-proto/payload";
import { DeviceRig, testFrame } from "./testing/device-rig.ts";
import { TestFrontEnd } from "./testing/front-end.ts";
import { Takeover } from "./testing/takeover.ts";

const { RING_PACKED, IN_ORDER, EVENT_IDX, VERSION_1, PROTOCOL_FEATURES, MRG_RXBUF } = VirtioFeature;
const PLAIN = featureMask(VERSION_1, PROTOCOL_FEATURES, MRG_RXBUF);
const OFFER = featureMask(RING_PACKED, IN_ORDER, EVENT_IDX);

/** Kinds of ring that a driver goes on with. */
const KINDS: readonly (readonly [name: string, features: bigint])[] = [
  ["split", PLAIN],
  ["split, event index", PLAIN | featureMask(EVENT_IDX)],
  ["split, in order", PLAIN | featureMask(IN_ORDER)],
  ["packed", PLAIN | featureMask(RING_PACKED)],
  ["packed, event index", PLAIN | featureMask(RING_PACKED, EVENT_IDX)],
  ["packed, in order", PLAIN | featureMask(RING_PACKED, IN_ORDER)],
];

const BUFFERS = 40;

const openFds = (): number => readdirSync("/proc/self/fd").length;
const guestMaps = (): number => readFileSync("/proc/self/maps", "utf8").split("guest-ram").length;

/** Every transmit chain comes back, and every receive buffer can still be filled: none was lost or used twice. */
function expectNothingLost(guest: TestFrontEnd): void {
  guest.sent();
  expect(guest.rx.outstanding).toBe(BUFFERS);
  for (let i = 0; i < 2 * BUFFERS; i++) {
    guest.send(testFrame(300, i));
    guest.until(() => guest.receive().some((frame) => sameBytes(frame.bytes, testFrame(300, i))), `frame ${i}`);
  }
  guest.sent();
  expect([guest.rx.queue.brokenReason, guest.tx.queue.brokenReason]).toEqual([0, 0]);
}

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

/** Where a front-end can kill a device. */
type Moment = (rig: DeviceRig) => void;

class Killed extends Error {}

const MOMENTS: Readonly<Record<string, Moment>> = {
  "with a batch taken and nothing sent": (rig) => {
    rig.backend.send = () => {
      throw new Killed();
    };
  },
  "with a batch sent and not given back": (rig) => {
    const send = rig.backend.send.bind(rig.backend);
    rig.backend.send = (frames, count) => {
      send(frames, count);
      throw new Killed();
    };
  },
  "with received frames that nobody has told the driver of": (rig) => {
    const turn = rig.backend.turn.bind(rig.backend);
    rig.backend.turn = () => {
      turn();
      throw new Killed();
    };
  },
  "with received frames published and the driver not called": (rig) => {
    const turn = rig.backend.turn.bind(rig.backend);
    rig.backend.turn = () => {
      // What follows in this round is to call the drivers; the next one to signal anything is the device.
      const { notify } = EventSignal.prototype;
      EventSignal.prototype.notify = () => {
        EventSignal.prototype.notify = notify;
        throw new Killed();
      };
      return turn();
    };
  },
};

/** The driver takes what it has received, and from now on does nothing until it is called. */
function waitForCalls({ rx, tx }: TestFrontEnd): void {
  for (const { queue, take } of [
    { queue: rx.queue, take: () => rx.takeFrames(true) },
    { queue: tx.queue, take: () => tx.reapSent() },
  ]) {
    do take();
    while (queue.allowNotifications());
  }
  rx.kick();
}

/** Both drivers, which wait for calls, are called by the device that took over, and the receiving one of a later frame. */
function expectCalls(guest: TestFrontEnd): void {
  const called = (): [boolean, boolean] => [guest.rx.takeCalls() > 0, guest.tx.takeCalls() > 0];
  expect(called()).toEqual([true, true]);
  waitForCalls(guest);
  guest.send(testFrame(90));
  guest.settle();
  expect(called()).toEqual([true, true]);
  waitForCalls(guest);
}

/** Sends a batch that the device does not survive; every other frame has this layout. */
function die(takeover: Takeover, moment: Moment, layout: readonly number[] = [12, 30]): void {
  const { guest, rig } = takeover;
  waitForCalls(guest);
  guest.settle();
  for (const ring of [guest.rx, guest.tx]) ring.takeCalls();
  moment(rig);
  for (let i = 0; i < 9; i++) guest.tx.send(testFrame(100 + i, i), i % 2 === 0 ? [] : layout);
  guest.tx.kick();
  expect(() => rig.pump()).toThrow(Killed);
  takeover.replaceDevice();
}

/** What QEMU finds out when its back-end is gone: where the used rings end. */
const usedIndexes = ({ rx, tx }: TestFrontEnd): [number, number] => [
  Atomics.load(rx.ring.used, 1),
  Atomics.load(tx.ring.used, 1),
];

describe("a device that is killed, and another one takes over", () => {
  for (const [kind, features] of KINDS) {
    for (const [moment, kill] of Object.entries(MOMENTS)) {
      test(`${kind}, ${moment}: with in-flight tracking no descriptor is lost or used twice`, () => {
        using takeover = new Takeover({ echo: true, features: { offer: OFFER } });
        const { guest } = takeover;
        guest.negotiate({ features });
        guest.shareMemory();
        const { area, fd } = guest.session.getInflight(2, guest.rx.size);
        guest.session.setInflight(area, fd);
        guest.startRing(guest.rx);
        guest.startRing(guest.tx);
        const bases: [number, number] = [guest.rx.startBase, guest.tx.startBase];
        guest.offerBuffers(BUFFERS, [100, 300]);
        for (let i = 0; i < 200; i++) {
          guest.send(testFrame(200, i), [12]);
          guest.receiveMany(1);
        }
        for (let death = 0; death < 3; death++) {
          die(takeover, kill);
          // The front-end knows no more than where the rings began.
          takeover.resume({ features }, bases, [area, fd]);
          expectCalls(guest);
          expectNothingLost(guest);
        }
        expect(takeover.rig.lines("broken")).toEqual([]);
      });
    }
  }

  for (const [kind, features] of KINDS.filter(([, mask]) => !hasFeature(mask, RING_PACKED))) {
    test(`${kind}, without tracking: the ring's own indexes say where to go on, right, stale or too far ahead`, () => {
      using takeover = new Takeover({ echo: true, features: { offer: OFFER } });
      const { guest } = takeover;
      guest.boot({ features });
      guest.offerBuffers(BUFFERS, [100, 300]);
      const moments = Object.values(MOMENTS);
      for (let death = 0; death < 12; death++) {
        for (let i = 0; i < 300; i++) {
          guest.send(testFrame(200, i), [12]);
          guest.receiveMany(1);
        }
        die(takeover, moments[death % 4] as Moment);
        const used = usedIndexes(guest);
        const believed: [number, number][] = [used, [0, 0], [used[0], (used[1] + 9) & 0xffff]];
        takeover.resume({ features }, believed[Math.floor(death / 4)] as [number, number]);
        expectCalls(guest);
        expectNothingLost(guest);
      }
      expect(takeover.rig.lines("broken")).toEqual([]);
    });
  }

  for (const [kind, features] of KINDS.filter(([name]) => name.startsWith("packed") && !name.includes("order"))) {
    test(`${kind}, without tracking, chains of one descriptor: the ring says where to go on`, () => {
      using takeover = new Takeover({ echo: true, features: { offer: OFFER } });
      const { guest } = takeover;
      guest.boot({ features });
      const bases = [guest.rx.startBase, guest.tx.startBase] as const;
      guest.offerBuffers(BUFFERS, [400]);
      const moments = Object.values(MOMENTS);
      for (let death = 0; death < 12; death++) {
        for (let i = 0; i < death * 30; i++) {
          guest.send(testFrame(200, i));
          guest.receiveMany(1);
        }
        die(takeover, moments[death % 4] as Moment, []);
        takeover.resume({ features }, bases);
        expectCalls(guest);
        expectNothingLost(guest);
      }
      expect(takeover.rig.lines("broken")).toEqual([]);
    });
  }

  test("a split ring that was killed early goes on where it was used, though its base would fit as well, and says so", () => {
    using takeover = new Takeover({ echo: true });
    const { guest } = takeover;
    guest.boot();
    guest.offerBuffers(BUFFERS);
    for (let i = 0; i < 20; i++) {
      guest.send(testFrame(200, i));
      guest.receiveMany(1);
    }
    guest.sent();
    takeover.replaceDevice();
    takeover.resume({}, [0, 0]);
    expect(takeover.rig.backend.sent).toEqual([]);
    expect(takeover.rig.lines("goes on at 20, where it was left, not at 0")).toHaveLength(2);
    expectNothingLost(guest);
  });

  test("a driver that begins anew in memory that nobody cleared begins where its front-end says", () => {
    using takeover = new Takeover({ echo: true });
    const { guest } = takeover;
    guest.boot();
    guest.offerBuffers(BUFFERS);
    for (let i = 0; i < 500; i++) {
      guest.send(testFrame(200, i));
      guest.receiveMany(1);
    }
    const used = usedIndexes(guest);
    takeover.replaceDevice();
    guest.rx.negotiated(guest.features);
    guest.tx.negotiated(guest.features);
    Atomics.store(guest.rx.ring.used, 1, used[0]);
    Atomics.store(guest.tx.ring.used, 1, used[1]);
    guest.negotiate();
    guest.shareMemory();
    guest.resumeRing(guest.rx, 0);
    guest.resumeRing(guest.tx, 0);
    expect(takeover.rig.device.state.rings).toMatchObject([{ nextAvailable: 0 }, { nextAvailable: 0 }]);
  });

  test("an in-flight buffer of another ring, or of none, changes nothing", () => {
    using takeover = new Takeover({ echo: true });
    const { guest } = takeover;
    guest.negotiate();
    guest.shareMemory();
    const { area, fd } = guest.session.getInflight(1, 128);
    expect(() => guest.session.setInflight({ ...area, sizeBytes: area.sizeBytes * 2n }, fd)).toThrow("refused");
    expect(() => guest.session.setInflight({ ...area, ringCount: 0 }, fd)).toThrow("refused");
    expect(() => guest.session.setInflight(area, guest.rx.kickFd)).toThrow("refused");
    guest.session.setInflight(area, fd);
    // One ring of the buffer is smaller than the guest's, the other one has no place in it.
    expect(() => guest.startRing(guest.rx)).toThrow("refused");
    expect(takeover.rig.logged.at(-1)).toContain("in-flight buffer is too small");
    guest.startRing(guest.tx);
    guest.send(testFrame(60));
    guest.sent();
  });

  test("an in-flight buffer that comes while rings run, or again before a start, loses nothing", () => {
    using takeover = new Takeover({ echo: true, features: { offer: OFFER } });
    const { guest } = takeover;
    guest.boot({ features: PLAIN | featureMask(RING_PACKED) });
    guest.offerBuffers(BUFFERS);
    const { area, fd } = guest.session.getInflight(2, 256);
    for (let round = 0; round < 6; round++) {
      guest.send(testFrame(200, round));
      guest.receiveMany(1);
      guest.session.setInflight(area, fd);
      if (round % 2 === 0) continue;
      const bases = [guest.stopRing(guest.rx), guest.stopRing(guest.tx)] as const;
      guest.session.setInflight(area, fd);
      guest.resumeRing(guest.rx, bases[0]);
      guest.resumeRing(guest.tx, bases[1]);
    }
    expectNothingLost(guest);
  });
});

describe("a front-end that goes away and comes back", () => {
  /** All that a front-end sends until its guest can send a frame, as pieces with their descriptors. */
  function messagesOf(guest: TestFrontEnd): [bytes: Uint8Array, fds: readonly number[]][] {
    const sent: [Uint8Array, readonly number[]][] = [];
    const send = guest.control.send.bind(guest.control);
    guest.control.send = (bytes, fds = []) => {
      sent.push([bytes, fds]);
      send(bytes, fds);
    };
    guest.boot();
    return sent;
  }

  test("at any byte of any message: what it held is given back, and the next one is served", () => {
    using rig = new DeviceRig({ echo: true });
    using guest = new TestFrontEnd({ pump: rig.pump });
    const connect = (): void => {
      guest.disconnect();
      rig.pump();
      expect([rig.device.state.connected, rig.device.state.fds, rig.windows.count]).toEqual([false, 0, 2]);
      const other = rig.frontEnd();
      guest.connect(other.control.socket);
      // Its memory and descriptors are not needed: only the connection is.
      other.ram[Symbol.dispose]();
      for (const ring of [other.rx, other.tx]) ring.close();
    };
    connect();
    const messages = messagesOf(guest);
    connect();
    const before = [openFds(), guestMaps()];
    for (const [i, [bytes]] of messages.entries()) {
      for (let cut = 0; cut < bytes.length; cut += bytes.length > 24 && cut > 12 ? 7 : 1) {
        for (const [whole, fds] of messages.slice(0, i)) guest.control.send(whole, fds);
        const [last, fds] = messages[i] as [Uint8Array, readonly number[]];
        if (cut > 0) guest.control.send(last.subarray(0, cut), fds);
        rig.pump();
        connect();
      }
    }
    expect([openFds(), guestMaps()]).toEqual(before);
    guest.boot();
    guest.offerBuffers(4);
    guest.send(testFrame(77));
    expect(guest.receiveMany(1)[0]?.bytes).toEqual(testFrame(77));
  });

  test("in the middle of a transfer, with the driver going on: no frame comes twice, none is lost", () => {
    using takeover = new Takeover({ echo: true });
    const { guest, rig } = takeover;
    guest.boot();
    guest.offerBuffers(BUFFERS);
    let sent = 0;
    for (let round = 0; round < 20; round++) {
      guest.tx.reapSent();
      for (let i = 0; i < 20; i++) guest.tx.send(testFrame(100, sent++), []);
      guest.tx.kick();
      // Half of the time the device has begun.
      if (round % 2 === 0) {
        rig.loop.wait(0);
        rig.device.turn(rig.nowMs++);
      }
      guest.disconnect();
      rig.pump();
      expect(rig.device.state.connected).toBe(false);
      guest.rx.takeFrames(true);
      takeover.connect();
      takeover.resume({}, usedIndexes(guest));
    }
    guest.sent();
    expect(rig.backend.sent.map((frame) => frame.bytes)).toEqual(
      Array.from({ length: sent }, (_, i) => testFrame(100, i)),
    );
    expectNothingLost(guest);
  });

  test("with a log and an in-flight buffer: both are unmapped when it goes", () => {
    using rig = new DeviceRig();
    const shared = (): number => readFileSync("/proc/self/maps", "utf8").split("memfd:").length;
    const before = [openFds(), shared()];
    const guest = rig.frontEnd().boot();
    const inflight = guest.session.getInflight(2, 256);
    guest.session.setInflight(inflight.area, inflight.fd);
    guest.session.setLog({ sizeBytes: 1n << 20n, mmapOffset: 0n }, guest.ram.file.fd);
    guest.session.setLogFd(guest.rx.callFd);
    expect(rig.device.state.fds).toBe(7);
    guest[Symbol.dispose]();
    rig.pump();

    closeFd(inflight.fd);
    expect([openFds(), shared()]).toEqual(before);
  });
});

describe("a daemon that is killed with SIGKILL and started again while the guest lives", () => {
  const start = async (path: string) => {
    rmSync(path, { force: true });
    const child = Bun.spawn([process.execPath, `${import.meta.dir}/testing/echo-server.ts`, path], {
      stdout: "inherit",
      stderr: "inherit",
    });
    return child;
  };

  async function connected(guest: TestFrontEnd, path: string): Promise<void> {
    for (let i = 0; i < 500; i++) {
      try {
        guest.connect(path);
        return;
      } catch {
        await Bun.sleep(10);
      }
    }
    throw new Error("the daemon does not listen");
  }

  for (const [kind, features] of KINDS.filter(([name]) => !name.includes("event"))) {
    test(`${kind}: frames flow within 200 ms of reconnecting (the median of three), no descriptor is lost or used twice`, async () => {
      const path = `${tmpdir()}/echo-${crypto.randomUUID()}.sock`;
      let child = await start(path);
      using guest = new TestFrontEnd();
      let inflight: [InflightArea, number] | null = null;
      const delaysMs: number[] = [];
      try {
        for (let round = 0; round < 4; round++) {
          await connected(guest, path);
          const startMs = performance.now();
          guest.negotiate({ features });
          guest.shareMemory();
          if (inflight === null) {
            const { area, fd } = guest.session.getInflight(2, guest.rx.size);
            inflight = [area, fd];
          }
          guest.session.setInflight(...inflight);
          if (round === 0) {
            guest.startRing(guest.rx);
            guest.startRing(guest.tx);
            guest.offerBuffers(BUFFERS, [100, 300]);
          } else {
            guest.resumeRing(guest.rx, guest.rx.startBase);
            guest.resumeRing(guest.tx, guest.tx.startBase);
            guest.send(testFrame(222, round));
            guest.until(() => guest.receive().some((frame) => frame.bytes.length === 222), "an echo");
            delaysMs.push(performance.now() - startMs);
          }
          const turns = 50 + Math.floor(Math.random() * 100);
          for (let i = 0; i < turns; i++) {
            guest.tx.reapSent();
            if (guest.tx.queue.freeCount > 40) for (let k = 0; k < 20; k++) guest.tx.send(testFrame(100, k), [12]);
            guest.tx.kick();
            guest.rx.takeFrames(true);
            guest.rx.kick();
          }
          if (round === 3) expectNothingLost(guest);
          child.kill("SIGKILL");
          await child.exited;
          guest.disconnect();
          if (round < 3) child = await start(path);
        }
        expect(delaysMs).toHaveLength(3);
        expect(delaysMs.sort((a, b) => a - b)[1]).toBeLessThan(200);
      } finally {
        child.kill("SIGKILL");
        rmSync(path, { force: true });
      }
    }, 30_000);
  }
});
