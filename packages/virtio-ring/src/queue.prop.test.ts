import { expect, test } from "bun:test";
import { IovPool } from "@passt-ts/iov/iov";
import fc from "fast-check";
import { DescriptorChain } from "./descriptor-chain.ts";
import { type DeviceQueue, PopResult } from "./device-queue.ts";
import type { DriverQueue } from "./driver-queue.ts";
import { Elements } from "./elements.ts";
import { type GuestParts, guestParts } from "./testing/guest-ring.ts";
import { describeKind, makeQueues, QUEUE_KINDS, type QueueKind, tablesIn } from "./testing/queues.ts";

// Driver and device take turns in any order; the model is a handful of arrays that chains move through. It knows of a
// descriptor only that it has a place in the ring: a chain is the list of its buffers. One body for all kinds of queues.

const TABLE_SIZE = 4;
const POOL_CAPACITY = 14;

interface Buffer {
  readonly address: number;
  readonly length: number;
  readonly writable: boolean;
}

interface Chain {
  readonly head: number;
  readonly buffers: readonly Buffer[];
  readonly cost: number; // descriptors of the ring
  written: number;
}

const setups = fc.record({
  sizeIndex: fc.nat(3),
  start: fc.constantFrom(0, 1, 2, 3, 4),
  windowBytesMax: fc.constantFrom(13, 64, 2 ** 20),
});
type Setup = typeof setups extends fc.Arbitrary<infer T> ? T : never;

/** What the places that one side shows the other are called in the ring's event words. */
interface Places {
  /** The place `distance` entries behind the start; entries are chains (split) or descriptors (packed). */
  nameOf(distance: number): number;
  /** Whether the device wants to hear of these places, from the words in the ring; so for the driver. */
  deviceWants(places: readonly number[]): boolean;
  driverWants(places: readonly number[]): boolean;
}

function splitPlaces(guest: GuestParts, startIndex: number, eventIndex: boolean): Places {
  const words = (part: Uint8Array) => new Uint16Array(part.buffer, part.byteOffset, part.length / 2);
  const driver = words(guest.parts.driver);
  const device = words(guest.parts.device);
  const wants = (part: Uint16Array, places: readonly number[]) =>
    eventIndex ? places.includes(part[part.length - 1]) : places.length > 0 && part[0] === 0;
  return {
    nameOf: (distance) => (startIndex + distance) & 0xffff,
    deviceWants: (places) => wants(device, places),
    driverWants: (places) => wants(driver, places),
  };
}

function packedPlaces(guest: GuestParts, startIndex: number): Places {
  const { size } = guest;
  const words = (part: Uint8Array) => new Uint16Array(part.buffer, part.byteOffset, 2);
  const driver = words(guest.parts.driver);
  const device = words(guest.parts.device);
  const wants = ([place, flags]: Uint16Array, places: readonly number[]) =>
    flags === 2 ? places.includes(place) : flags === 0 && places.length > 0;
  return {
    nameOf: (distance) => {
      const index = (startIndex & 0x7fff) + distance;
      const wrap = (startIndex >>> 15) ^ (Math.floor(index / size) & 1);
      return (wrap << 15) | (index % size);
    },
    deviceWants: (places) => wants(device, places),
    driverWants: (places) => wants(driver, places),
  };
}

const buffers = fc.array(
  fc.record({
    address: fc.integer({ min: 0, max: 500 }),
    length: fc.integer({ min: 0, max: 20 }),
    writable: fc.boolean(),
  }),
  { minLength: 1, maxLength: TABLE_SIZE },
);

const steps = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ act: fc.constant("add" as const), buffers, indirect: fc.boolean() }) },
    { weight: 4, arbitrary: fc.record({ act: fc.constant("driverPublish" as const), ask: fc.boolean() }) },
    { weight: 6, arbitrary: fc.record({ act: fc.constant("pop" as const) }) },
    { weight: 2, arbitrary: fc.record({ act: fc.constant("unpop" as const), count: fc.nat(8) }) },
    { weight: 4, arbitrary: fc.record({ act: fc.constant("push" as const), count: fc.nat(8), written: fc.nat(99) }) },
    { weight: 4, arbitrary: fc.record({ act: fc.constant("devicePublish" as const), ask: fc.boolean() }) },
    { weight: 4, arbitrary: fc.record({ act: fc.constant("reap" as const), count: fc.nat(8) }) },
    { weight: 2, arbitrary: fc.record({ act: fc.constant("kicks" as const), allow: fc.boolean() }) },
    { weight: 2, arbitrary: fc.record({ act: fc.constant("notifications" as const), allow: fc.boolean() }) },
  ),
  { minLength: 20, maxLength: 150, size: "max" },
);
type Step = typeof steps extends fc.Arbitrary<(infer T)[]> ? T : never;

class Bench {
  readonly setup: Setup;
  readonly kind: QueueKind;
  readonly size: number;
  readonly guest: GuestParts;
  readonly places: Places;
  readonly driver: DriverQueue;
  readonly device: DeviceQueue;
  readonly pool: IovPool;
  readonly elements: Elements = new Elements(6);
  /** Elements that are pushed already, at the beginning of the list. */
  pushedElements = 0;
  // The model: a chain moves from each of these to the next, and back from `popped` to `available` by unpop.
  free: number;
  added: Chain[] = [];
  available: Chain[] = [];
  popped: Chain[] = [];
  pushed: Chain[] = [];
  used: Chain[] = [];
  // How many places each side has shown, and whether one sleeps until the other wakes it: it found nothing to do after
  // it had asked to be woken.
  shownByDriver = 0;
  shownByDevice = 0;
  unaskedByDriver: number[] = [];
  unaskedByDevice: number[] = [];
  deviceSleeps = false;
  driverSleeps = false;

  constructor(kind: QueueKind, setup: Setup) {
    const { format, eventIndex } = kind;
    this.setup = setup;
    this.kind = kind;
    const packed = format.name === "packed";
    const size = (packed ? [1, 3, 5, 8] : [1, 2, 4, 8])[setup.sizeIndex];
    this.size = size;
    this.guest = guestParts(format, { size, dataBytes: 1024, windowBytesMax: setup.windowBytesMax });
    const wrap = setup.start % 2;
    const place = (wrap << 15) | (setup.start % size);
    const startIndex = packed ? ((place << 16) | place) >>> 0 : (0 - setup.start) & 0xffff;
    this.places = packed ? packedPlaces(this.guest, place) : splitPlaces(this.guest, startIndex, eventIndex);
    const { driver, device } = makeQueues(this.guest, kind, tablesIn(this.guest, TABLE_SIZE), startIndex);
    this.driver = driver;
    this.device = device;
    this.pool = new IovPool(this.guest.windows, POOL_CAPACITY);
    this.free = size;
  }

  /** The places that a chain takes. */
  placesOf(chain: Chain): number {
    return this.kind.format.name === "packed" ? chain.cost : 1;
  }

  placesIn(chains: readonly Chain[]): number {
    return chains.reduce((sum, chain) => sum + this.placesOf(chain), 0);
  }

  /** The entries of a chain, told from the addresses alone: cut at the multiples of the window size. */
  entriesOf(chain: Chain): number[][] {
    const cut = this.setup.windowBytesMax;
    const entries: number[][] = [];
    for (const { address, length } of chain.buffers) {
      if (length === 0) entries.push([0, 0, 0]);
      for (let at = address; at < address + length; ) {
        const end = Math.min(address + length, (Math.floor(at / cut) + 1) * cut);
        entries.push([Math.floor(at / cut), at % cut, end - at]);
        at = end;
      }
    }
    return entries;
  }

  add(step: Extract<Step, { act: "add" }>): void {
    const sorted = [...step.buffers].sort((a, b) => Number(a.writable) - Number(b.writable));
    const chain = new DescriptorChain(TABLE_SIZE);
    for (const { address, length, writable } of sorted) {
      if (writable) chain.writable(address, length);
      else chain.readable(address, length);
    }
    if (sorted.length > this.size) return; // longer than any chain may be
    const cost = step.indirect ? 1 : sorted.length;
    const made: Chain = { head: 0, buffers: sorted, cost, written: 0 };
    if (this.entriesOf(made).length > POOL_CAPACITY) return; // would break the queue, as another test shows
    const head = step.indirect ? this.driver.addIndirect(chain) : this.driver.add(chain);
    expect(head >= 0).toBe(cost <= this.free);
    if (head < 0) return;
    for (const other of [this.added, this.available, this.popped, this.pushed, this.used].flat()) {
      expect(other.head).not.toBe(head);
    }
    this.free -= cost;
    this.added.push({ ...made, head });
  }

  driverPublish(ask: boolean): void {
    this.driver.publish();
    for (const chain of this.added.splice(0)) {
      this.available.push(chain);
      for (let i = 0; i < this.placesOf(chain); i++)
        this.unaskedByDriver.push(this.places.nameOf(this.shownByDriver++));
    }
    if (!ask) return;
    const expected = this.places.deviceWants(this.unaskedByDriver);
    const kick = this.driver.needsKick();
    expect(kick).toBe(expected);
    if (this.deviceSleeps && this.available.length > 0) expect(kick).toBe(true); // no wake-up is lost
    if (kick) this.deviceSleeps = false;
    this.unaskedByDriver = [];
  }

  pop(): void {
    const { pool, elements, device } = this;
    const room = POOL_CAPACITY - pool.count;
    const full = elements.count === elements.capacity;
    const [chain] = this.available;
    const pending = device.pending();
    expect(pending > 0).toBe(this.available.length > 0);
    expect(pending).toBeLessThanOrEqual(this.available.length);
    const before = pool.count;
    const result = device.pop(elements, pool);
    if (chain === undefined) expect(result).toBe(PopResult.empty);
    else if (full || this.entriesOf(chain).length > room) expect(result).toBe(PopResult.poolFull);
    else {
      expect(result).toBe(elements.count - 1);
      this.popped.push(chain);
      this.available.shift();
      this.deviceSleeps = false;
    }
    if (result < 0) expect(pool.count).toBe(before);
  }

  /** Every element and every entry that is held, compared with the chain it came from. */
  checkElements(): void {
    const { pool, elements } = this;
    let entry = 0;
    for (let i = 0; i < elements.count; i++) {
      expect(elements.firstEntry[i]).toBeGreaterThanOrEqual(entry);
      entry = elements.firstEntry[i] + elements.outCount[i] + elements.inCount[i];
    }
    expect(elements.count === 0 || entry === pool.count).toBe(true);
    expect(elements.count - this.pushedElements).toBe(this.popped.length);
    this.popped.forEach((chain, i) => {
      const at = this.pushedElements + i;
      const first = elements.firstEntry[at];
      const count = elements.outCount[at] + elements.inCount[at];
      const got = Array.from({ length: count }, (_, j) => first + j).map((e) => [
        pool.window[e],
        pool.offset[e],
        pool.length[e],
      ]);
      expect(got).toEqual(this.entriesOf(chain));
      const bytes = (writable: boolean) =>
        chain.buffers.reduce((sum, buffer) => sum + (buffer.writable === writable ? buffer.length : 0), 0);
      expect([elements.head[at], elements.outBytes[at], elements.inBytes[at]]).toEqual([
        chain.head,
        bytes(false),
        bytes(true),
      ]);
      const firstWritable = chain.buffers.findIndex((buffer) => buffer.writable && buffer.length > 0);
      const readable = firstWritable < 0 ? chain.buffers : chain.buffers.slice(0, firstWritable);
      expect(elements.outCount[at]).toBe(this.entriesOf({ ...chain, buffers: readable }).length);
    });
  }

  unpop(count: number): void {
    const taken = Math.min(count, this.popped.length);
    if (taken > 0) this.deviceSleeps = false;
    this.device.unpop(this.elements, taken);
    this.available.unshift(...this.popped.splice(this.popped.length - taken));
    this.forgetPushed();
  }

  push(count: number, written: number): void {
    for (const chain of this.popped.splice(0, Math.min(count, this.popped.length))) {
      const at = this.pushedElements++;
      chain.written = Math.min(written, this.elements.inBytes[at]);
      this.device.push(this.elements.head[at], chain.written);
      this.pushed.push(chain);
    }
    this.forgetPushed();
  }

  forgetPushed(): void {
    if (this.popped.length > 0) return;
    this.elements.clear();
    this.pool.truncate(0);
    this.pushedElements = 0;
  }

  devicePublish(ask: boolean): void {
    this.device.publish();
    for (const chain of this.pushed.splice(0)) {
      this.used.push(chain);
      for (let i = 0; i < this.placesOf(chain); i++)
        this.unaskedByDevice.push(this.places.nameOf(this.shownByDevice++));
    }
    if (!ask) return;
    const expected = this.places.driverWants(this.unaskedByDevice);
    const notify = this.device.needsNotification();
    expect(notify).toBe(expected);
    if (this.driverSleeps && this.used.length > 0) expect(notify).toBe(true);
    if (notify) this.driverSleeps = false;
    this.unaskedByDevice = [];
  }

  reap(count: number): void {
    for (let i = 0; i < count; i++) {
      const chain = this.used.shift();
      expect(this.driver.reap()).toBe(chain?.head ?? PopResult.empty);
      if (chain === undefined) return;
      this.driverSleeps = false;
      expect(this.driver.reapedBytes).toBe(chain.written);
      this.free += chain.cost;
    }
  }

  kicks(allow: boolean): void {
    this.deviceSleeps = false;
    if (!allow) {
      this.device.suppressKicks();
      return;
    }
    const pending = this.device.allowKicks();
    expect(pending).toBe(this.available.length > 0);
    this.deviceSleeps = !pending;
  }

  notifications(allow: boolean): void {
    this.driverSleeps = false;
    if (!allow) {
      this.driver.suppressNotifications();
      return;
    }
    const pending = this.driver.allowNotifications();
    expect(pending).toBe(this.used.length > 0);
    this.driverSleeps = !pending;
  }

  run(step: Step): void {
    if (step.act === "add") this.add(step);
    else if (step.act === "driverPublish") this.driverPublish(step.ask);
    else if (step.act === "pop") this.pop();
    else if (step.act === "unpop") this.unpop(step.count);
    else if (step.act === "push") this.push(step.count, step.written);
    else if (step.act === "devicePublish") this.devicePublish(step.ask);
    else if (step.act === "reap") this.reap(step.count);
    else if (step.act === "kicks") this.kicks(step.allow);
    else this.notifications(step.allow);
    this.checkElements();
    expect([this.device.brokenReason, this.driver.brokenReason]).toEqual([0, 0]);
    expect(this.driver.freeCount).toBe(this.free);
    const held = [...this.popped, ...this.pushed];
    expect(this.device.heldDescriptors).toBe(held.reduce((sum, chain) => sum + chain.cost, 0));
    const next = this.places.nameOf(this.shownByDriver - this.placesIn(this.available));
    const base = this.kind.format.name === "packed" ? this.places.nameOf(this.shownByDevice) * 0x1_0000 + next : next;
    expect(this.device.nextAvailable).toBe(base);
  }
}

for (const kind of QUEUE_KINDS) {
  test(`${describeKind(kind)}: any interleaving moves chains as arrays would, and loses no wake-up`, () => {
    fc.assert(
      fc.property(setups, steps, (setup, list) => {
        const bench = new Bench(kind, setup);
        for (const step of list) bench.run(step);
      }),
      { numRuns: 600 },
    );
  });
}
