import { expect, test } from "bun:test";
import { IovPool } from "@passt-ts/iov/iov";
import { DescriptorFlag } from "@passt-ts/virtio-ring/descriptor";
import { DescriptorChain } from "@passt-ts/virtio-ring/descriptor-chain";
import type { DeviceQueue } from "@passt-ts/virtio-ring/device-queue";
import type { DriverQueue } from "@passt-ts/virtio-ring/driver-queue";
import { Elements } from "@passt-ts/virtio-ring/elements";
import { availableFlags, OWNERSHIP_FLAGS, type PackedRing, usedFlags } from "@passt-ts/virtio-ring/packed-ring";
import { packedFormat } from "@passt-ts/virtio-ring/ring-format";
import { type GuestPackedRing, guestPackedRing, guestRing } from "@passt-ts/virtio-ring/testing/guest-ring";
import { describeKind, makeQueues, QUEUE_KINDS, type QueueKind, tablesIn } from "@passt-ts/virtio-ring/testing/queues";
import fc from "fast-check";
import { type PackedRestart, packedRestartPosition, splitRestartIndex } from "./restart-point.ts";

const BEGIN = packedFormat.newRingBase;

test("a split ring goes on where its used ring ends, unless that does not fit what the driver has published", () => {
  const { ring } = guestRing({ size: 16 });
  const cases: [used: number, available: number, base: number, start: number][] = [
    [0, 0, 0, 0],
    [5, 9, 5, 5],
    // Chains were taken and not returned.
    [5, 9, 8, 5],
    [65530, 4, 2, 65530],
    // A front-end that does not know how far it had come.
    [500, 510, 0, 500],
    [500, 510, 77, 500],
    // The same where the base would fit as well: what was used is not used again.
    [8, 12, 0, 8],
    [8, 8, 0, 8],
    [2, 10, 65533, 2],
    [16, 16, 0, 16],
    // Memory that the driver before left.
    [500, 3, 0, 0],
    [500, 0, 0, 0],
    // Neither makes sense: the front-end decides, and the ring will break.
    [500, 1000, 7, 7],
  ];
  for (const [used, available, base, start] of cases) {
    ring.used[1] = used;
    ring.available[1] = available;
    expect([used, available, base, splitRestartIndex(ring, base)]).toEqual([used, available, base, start]);
  }
});

/** A chain that a driver makes available: how many descriptors, whether in a table, how many of them the device writes. */
interface Chain {
  readonly length: number;
  readonly indirect: boolean;
  readonly writable: boolean;
}

/** One after the other: chains made available, and how many of those that wait are taken, returned, and shown. */
interface Step {
  readonly add: readonly Chain[];
  readonly pop: number;
  readonly unpop: number;
  readonly push: number;
  readonly publish: boolean;
  readonly reap: boolean;
  readonly kicks: "suppress" | "allow" | "leave";
  /** Here the device is dropped, whatever it holds, and another one goes on; the front-end knows nothing. */
  readonly dies: boolean;
}

const chains = fc.array(
  fc.record({ length: fc.integer({ min: 1, max: 8 }), indirect: fc.boolean(), writable: fc.boolean() }),
  { maxLength: 5 },
);
const steps = fc.array(
  fc.record<Step>({
    add: chains,
    pop: fc.nat(6),
    unpop: fc.nat(2),
    push: fc.nat(6),
    publish: fc.boolean(),
    reap: fc.boolean(),
    kicks: fc.constantFrom("suppress", "allow", "leave"),
    dies: fc.boolean(),
  }),
  { maxLength: 30 },
);

const TABLE_SIZE = 8;

/** A guest with a packed ring that outlives its devices; it knows what was made available and what came back. */
class LongLivedGuest {
  readonly guest: GuestPackedRing;
  readonly driver: DriverQueue;
  device: DeviceQueue;
  readonly #kind: QueueKind;
  readonly #elements = new Elements(64);
  readonly #pool: IovPool;
  /** Chains made available and not given back to the driver, oldest first, by what their first buffer says. */
  readonly outstanding: number[] = [];
  /** Chains that the device that lives now has taken and not shown. */
  readonly held: number[] = [];
  /** The rest of a chain that was used may be taken for one. */
  toleratesRest = false;
  #pushed = 0;
  #taken = 0;
  #serial = 0;

  constructor(size: number, kind: QueueKind) {
    this.#kind = kind;
    this.guest = guestPackedRing({ size, dataBytes: size * TABLE_SIZE * 16 + 0x10000 });
    const tables = tablesIn(this.guest, TABLE_SIZE);
    const { driver, device } = makeQueues(this.guest, kind, tables);
    this.driver = driver;
    this.device = device;
    this.#pool = new IovPool(this.guest.windows, 1024);
    // Told at once, as by every device that starts.
    this.device.allowKicks();
  }

  /** The bytes of its first buffer, by which the device is seen to have taken it: 1 to 4000, in turn. */
  add({ length, indirect, writable }: Chain): void {
    // A chain is no longer than its queue, also in a table (2.8.17).
    if (length > this.guest.size) return;
    const lengthBytes = 1 + (this.#serial % 4000);
    const chain = new DescriptorChain(8);
    const at = this.guest.dataAddress + this.guest.size * TABLE_SIZE * 16;
    for (let i = 0; i < length; i++) {
      if (writable) chain.writable(at, i === 0 ? lengthBytes : 5000);
      else chain.readable(at, i === 0 ? lengthBytes : 5000);
    }
    const id = indirect ? this.driver.addIndirect(chain) : this.driver.add(chain);
    if (id < 0) return;
    this.outstanding.push(lengthBytes);
    this.#serial++;
  }

  /** Takes up to `count` chains, which have to be the next ones. */
  pop(count: number): void {
    for (let i = 0; i < count; i++) {
      if (this.#elements.count === this.#elements.capacity) return;
      const element = this.device.pop(this.#elements, this.#pool);
      if (element < 0) break;
      const lengthBytes = this.#pool.length[this.#elements.firstEntry[element] as number] as number;
      if (!this.toleratesRest) expect(lengthBytes).toBe(this.outstanding[this.#taken] as number);
      this.#taken++;
      this.held.push(element);
    }
    expect(this.device.brokenReason).toBe(0);
  }

  unpop(count: number): void {
    const taken = Math.min(count, this.held.length - this.#pushed);
    this.device.unpop(this.#elements, taken);
    this.held.length -= taken;
    this.#taken -= taken;
  }

  push(count: number): void {
    for (let i = 0; i < count && this.#pushed < this.held.length; i++) {
      const element = this.held[this.#pushed++] as number;
      const writable = (this.#elements.inBytes[element] as number) > 0;
      this.device.push(this.#elements.head[element] as number, writable ? 1 : 0);
    }
  }

  publish(): void {
    this.device.publish();
    if (this.#pushed < this.held.length) {
      this.held.splice(0, this.#pushed);
      this.#pushed = 0;
      return;
    }
    this.#forgetHeld();
  }

  #forgetHeld(): void {
    this.held.length = 0;
    this.#pushed = 0;
    this.#elements.clear();
    this.#pool.count = 0;
  }

  reap(): void {
    while (this.driver.reap() >= 0) {
      expect(this.outstanding.length).toBeGreaterThan(0);
      this.outstanding.shift();
      this.#taken--;
    }
    expect(this.driver.brokenReason).toBe(0);
  }

  /**
   * The driver goes on while nobody serves it: what it adds may have the ids that it has just got back. With no more than
   * `room` descriptors it does not come round to what was outstanding.
   */
  goOn(chains: readonly Chain[], room: number): void {
    this.reap();
    let left = room;
    for (const chain of chains) {
      left -= chain.indirect ? 1 : chain.length;
      if (left >= 0) this.add(chain);
    }
    this.driver.publish();
  }

  /** Another device goes on with the ring; what the last one held and did not show is to be taken again. */
  replaceDevice(base: number): PackedRestart {
    this.#taken -= this.held.length;
    this.#forgetHeld();
    const restart = packedRestartPosition(this.guest.ring, base, this.#kind.inOrder);
    const { memory, size, parts } = this.guest;
    const startIndex = restart.position;
    this.device = packedFormat.deviceQueue(size, parts, { ...this.#kind, memory, indirect: true, startIndex });
    return restart;
  }

  /** All that is outstanding comes back, and so do two rounds of the ring more. */
  expectAlive(): void {
    for (let i = 0; i < 2 * this.guest.size + 2; i++) {
      this.add({ length: 1, indirect: false, writable: false });
      this.driver.publish();
      this.pop(64);
      this.push(64);
      this.publish();
      this.reap();
      if (!this.toleratesRest || i > 0) expect(this.outstanding).toEqual([]);
    }
    expect(this.driver.freeCount).toBe(this.guest.size);
  }
}

function play(guest: LongLivedGuest, step: Step): void {
  for (const chain of step.add) guest.add(chain);
  guest.driver.publish();
  if (step.kicks === "suppress") guest.device.suppressKicks();
  guest.pop(step.pop);
  if (step.kicks === "allow") guest.device.allowKicks();
  guest.unpop(step.unpop);
  guest.push(step.push);
  if (step.publish) guest.publish();
  if (step.reap) guest.reap();
}

const KINDS = QUEUE_KINDS.filter(({ format }) => format === packedFormat);

for (const kind of KINDS) {
  test(`${describeKind(kind)}: a device that was dropped between any two operations: the next one loses no chain and uses none twice`, () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 21 }), steps, fc.nat(0xffff), fc.boolean(), (size, wanted, any, knows) => {
        const guest = new LongLivedGuest(size, kind);
        for (const step of wanted) {
          play(guest, step);
          if (!step.dies) continue;
          const stood = guest.device.nextAvailable >>> 16;
          const base = knows ? (any & 0x8000) | ((any & 0x7fff) % size) : BEGIN;
          expect(guest.replaceDevice(base)).toEqual({ position: stood, certain: true });
        }
        guest.expectAlive();
      }),
      { numRuns: 400 },
    );
  });
}

/** What a device had written of a publication when it was killed: from nothing, 0, to everything but where it stands. */
function killWithinPublication(guest: LongLivedGuest, stores: number): void {
  const { descriptors, deviceEvent } = guest.guest.ring;
  const before = descriptors.slice();
  const event = deviceEvent[0] as number;
  const from = guest.device.nextAvailable >>> 16;
  guest.publish();
  const written = descriptors.slice();
  const heads: number[] = [];
  for (let i = 0, at = from & 0x7fff; i < guest.guest.size; i++, at = (at + 1) % guest.guest.size) {
    if (written[at * 4 + 3] !== before[at * 4 + 3]) heads.push(at);
  }
  deviceEvent[0] = event;
  descriptors.set(before);
  // As the queue does: the first one last, and of that one alone the length before the flags.
  const words = heads
    .reverse()
    .flatMap((at) => (at === heads.at(-1) ? [at * 4 + 2, at * 4 + 3] : [at * 4 + 3, at * 4 + 2]));
  for (const word of words.slice(0, stores)) descriptors[word] = written[word] as number;
}

for (const kind of KINDS) {
  test(`${describeKind(kind)}: a device that was killed between two stores of a publication: the driver gets everything back and goes on`, () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 21 }),
        steps,
        fc.array(chains, { minLength: 1, maxLength: 4 }),
        fc.nat(40),
        fc.boolean(),
        (size, past, last, stores, goesOn) => {
          const guest = new LongLivedGuest(size, kind);
          for (const step of past) play(guest, step);
          guest.push(64);
          guest.publish();
          guest.reap();
          for (const chain of last.flat()) guest.add(chain);
          guest.driver.publish();
          guest.pop(64);
          guest.push(64);
          guest.toleratesRest = true;
          killWithinPublication(guest, stores);
          if (goesOn) guest.goOn(last.flat(), guest.driver.freeCount);
          guest.replaceDevice(BEGIN);
          guest.expectAlive();
        },
      ),
      { numRuns: 400 },
    );
  });
}

/**
 * What QEMU does with what a driver sends while its back-end is gone: it returns it unread, from where it believes the
 * ring to stand: which may be in the middle of it, and of a chain. Returns where it believes the ring to stand then.
 */
function dropAvailable({ descriptors, size }: PackedRing, from: number): number {
  let position = from;
  for (;;) {
    const first = (position & 0x7fff) * 4 + 3;
    const word = descriptors[first] as number;
    if (((word >>> 16) & OWNERSHIP_FLAGS) !== availableFlags(position >>> 15)) return position;
    const used = usedFlags(position >>> 15);
    let more = true;
    for (let i = 0; i < size && more; i++) {
      more = (((descriptors[(position & 0x7fff) * 4 + 3] as number) >>> 16) & DescriptorFlag.next) !== 0;
      position = (position & 0x7fff) + 1 === size ? (position & 0x8000) ^ 0x8000 : position + 1;
    }
    descriptors[first - 1] = 0;
    descriptors[first] = (used << 16) | (word & 0xffff);
  }
}

for (const kind of KINDS) {
  test(`${describeKind(kind)}: a front-end that returned chains itself, from a wrong place, while its device was gone: the driver gets everything back and goes on`, () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 21 }),
        steps,
        fc.array(chains, { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 0, max: 0x7fff }),
        fc.boolean(),
        fc.boolean(),
        (size, past, last, place, isSecondLap, goesOn) => {
          const guest = new LongLivedGuest(size, kind);
          for (const step of past) play(guest, step);
          for (const chain of last.flat()) guest.add({ ...chain, writable: false });
          const room = guest.driver.freeCount;
          guest.driver.publish();
          guest.toleratesRest = true;
          const base = dropAvailable(guest.guest.ring, (isSecondLap ? 0 : 0x8000) | (place % size));
          if (goesOn) guest.goOn(last.flat(), room);
          guest.replaceDevice(base);
          guest.expectAlive();
        },
      ),
      { numRuns: 400 },
    );
  });
}

test("a new ring that its driver has filled before there was a device begins at its base", () => {
  for (const inOrder of [false, true]) {
    const guest = new LongLivedGuest(4, { format: packedFormat, eventIndex: false, inOrder });
    for (let i = 0; i < 4; i++) {
      guest.guest.ring.deviceEvent[0] = 0;
      guest.add({ length: 1, indirect: false, writable: true });
      guest.driver.publish();
      expect(packedRestartPosition(guest.guest.ring, BEGIN, inOrder)).toEqual({ position: 0x8000, certain: true });
    }
    expect(guest.driver.reap()).toBeLessThan(0);
  }
});

test("what another back-end left in the event suppression is not believed against the ring", () => {
  const guest = new LongLivedGuest(8, { format: packedFormat, eventIndex: true, inOrder: false });
  const { ring } = guest.guest;
  for (let i = 0; i < 3; i++) guest.add({ length: 1, indirect: false, writable: true });
  guest.driver.publish();
  guest.pop(1);
  guest.push(1);
  guest.publish();
  const at = 0x8001;
  // A kick wanted behind the buffers that are there; a bare flag; an offset outside the ring; one where the ring began.
  for (const word of [0x28003, 0, 0x10000, 0x1ffff, 0x28000]) {
    ring.deviceEvent[0] = word;
    expect([word, packedRestartPosition(ring, at, false)]).toEqual([word, { position: at, certain: true }]);
    expect([word, packedRestartPosition(ring, BEGIN, false).position]).toEqual([word, at]);
  }
});
