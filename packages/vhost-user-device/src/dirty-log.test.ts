import { describe, expect, test } from "bun:test";
import { createEventFd, createPipe, EventSignal } from "@passt-ts/linux/eventfd";
import { setNonBlocking } from "@passt-ts/linux/file-status";
import { mapFile } from "@passt-ts/linux/mapped-memory";
import { createMemoryFile } from "@passt-ts/linux/memory-file";
import { featureBit, VirtioFeature } from "@passt-ts/vhost-user-proto/features";
import { logBaseRequest } from "@passt-ts/vhost-user-proto/front-end";
import { encodeU64, type LogArea } from "@passt-ts/vhost-user-proto/payload";
import { DirtyLog } from "./dirty-log.ts";
import { DeviceRig, testFrame } from "./testing/device-rig.ts";
import type { TestFrontEnd } from "./testing/front-end.ts";

const { RING_PACKED, VHOST_LOG_ALL } = VirtioFeature;
const LOG_ALL = featureBit(VHOST_LOG_ALL);
const PAGE = 4096;
const MIB = 1024 * 1024;

/** A log file as a front-end has it: it reads and clears the bits. */
class LogFile implements Disposable {
  readonly file = createMemoryFile("dirty-log", 2 * MIB);
  readonly area: LogArea;
  readonly #mapping = mapFile({ fd: this.file.fd, offset: 0, lengthBytes: 2 * MIB });
  readonly #bits: Uint8Array;

  constructor(offset = 0, sizeBytes = MIB) {
    this.area = { sizeBytes: BigInt(sizeBytes), mmapOffset: BigInt(offset) };
    this.#bits = this.#mapping.bytes(offset, sizeBytes);
  }

  /** The pages that are dirty, in rising order; they are clean then. */
  take(): number[] {
    const pages: number[] = [];
    for (const [at, bits] of this.#bits.entries()) {
      for (let bit = 0; bit < 8; bit++) if ((bits & (1 << bit)) !== 0) pages.push(at * 8 + bit);
    }
    this.#bits.fill(0);
    return pages;
  }

  [Symbol.dispose](): void {
    this.#mapping.close();
    this.file.close();
  }
}

/** The pages of a range in guest memory. */
function pagesOf(guestAddress: number, lengthBytes: number): number[] {
  const first = Math.floor(guestAddress / PAGE);
  const last = Math.floor((guestAddress + lengthBytes - 1) / PAGE);
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

/** Begins a migration: a log, the feature, and the flag of each ring. */
function beginLogging(guest: TestFrontEnd, log: LogFile, ringsToo = true): void {
  guest.session.setLog(log.area, log.file.fd);
  guest.session.setFeatures(guest.features | LOG_ALL);
  for (const ring of [guest.rx, guest.tx]) {
    ring.address = {
      ...ring.address,
      flags: ringsToo ? 1 : 0,
      logAddress: BigInt(guest.ram.guestAddress(ringOffset(ring))),
    };
    guest.session.startRing({
      size: ring.size,
      base: guest.stopRing(ring),
      address: ring.address,
      kickFd: ring.kickFd,
      callFd: ring.callFd,
      errorFd: ring.errorFd,
    });
  }
  guest.settle();
}

/** Where the device's part of a ring is, as an offset in the guest's memory. */
function ringOffset(ring: TestFrontEnd["rx"]): number {
  return ring.ring.used.byteOffset;
}

const sorted = (pages: Iterable<number>): number[] => [...new Set(pages)].sort((a, b) => a - b);

describe("a dirty log", () => {
  test("marks each page that a range touches, whatever its place", () => {
    using file = new LogFile(PAGE, 8192);
    using log = new DirtyLog(file.file.fd, file.area);
    log.mark(0, 1);
    log.mark(PAGE - 1, 2);
    log.mark(10 * PAGE, PAGE);
    log.mark(20 * PAGE + 5, 0);
    expect(file.take()).toEqual([0, 1, 10]);
    expect([log.changed, log.missed, log.endAddress]).toEqual([true, 0, 65536 * PAGE]);
    log.mark(65535 * PAGE + 4000, 200);
    expect(file.take()).toEqual([65535]);
    expect(log.missed).toBe(1);
  });

  test("that covers less than guest memory, or is no file of that length, is refused and the old one stays", () => {
    using rig = new DeviceRig({ echo: true });
    using guest = rig.frontEnd().boot();
    using log = new LogFile();
    beginLogging(guest, log);
    const refused: [LogArea, number][] = [
      // Guest memory ends at 1 GiB and 16 MiB: 266,240 pages.
      [{ sizeBytes: 266_240n / 8n - 1n, mmapOffset: 0n }, log.file.fd],
      [{ sizeBytes: BigInt(2 * MIB), mmapOffset: 1n }, log.file.fd],
      [{ sizeBytes: 0n, mmapOffset: 0n }, log.file.fd],
      [{ sizeBytes: 1n << 40n, mmapOffset: 0n }, log.file.fd],
      [log.area, guest.rx.kickFd],
    ];
    for (const [area, fd] of refused) {
      guest.control.send(logBaseRequest(area), [fd]);
      rig.pump();
      expect(guest.control.poll()).toMatchObject({ payload: encodeU64(0x101) });
      expect(() => guest.session.setLog(area, fd)).toThrow("SET_LOG_BASE was refused");
    }
    expect(rig.lines("refused SET_LOG_BASE")).toHaveLength(2 * refused.length);
    guest.offerBuffers(1);
    log.take();
    guest.send(testFrame(100));
    guest.receiveMany(1);
    expect(log.take().length).toBeGreaterThan(0);
  });

  for (const packed of [false, true]) {
    const features = ~0n & ~(packed ? 0n : featureBit(RING_PACKED)) & ~LOG_ALL;
    const name = packed ? "a packed ring" : "a split ring";

    test(`${name}: exactly the pages that receive buffers and rings were written in`, () => {
      using rig = new DeviceRig({ echo: true, windowBytesMax: 8192, features: { offer: featureBit(RING_PACKED) } });
      using guest = rig.frontEnd().boot({ features });
      using log = new LogFile();
      guest.offerBuffers(60, [100, 3000, 5000]);
      const gone = rig.windows.count;
      beginLogging(guest, log);
      expect(rig.windows.count).toBe(gone);
      log.take();
      const rings = [guest.rx, guest.tx].flatMap((ring) => {
        const own = pagesOf(guest.ram.guestAddress(ringOffset(ring)), packed ? 4 : 6 + 8 * 256);
        return packed ? [...own, ...pagesOf(guest.ram.guestAddress(ring.ring.descriptors.byteOffset), 4096)] : own;
      });
      for (const length of [60, 90, 3000, 9000, 30_000]) {
        const before = guest.ram.bytes.slice();
        guest.send(testFrame(length, length), [12]);
        // What the driver itself wrote is not the device's to log.
        before.set(guest.ram.bytes);
        rig.pump();
        const changed: number[] = [];
        for (let page = 0; page < before.length; page += PAGE) {
          const now = guest.ram.bytes.subarray(page, page + PAGE);
          if (Buffer.compare(before.subarray(page, page + PAGE), now) !== 0) changed.push((0x4000_0000 + page) / PAGE);
        }
        const dirty = log.take();
        // All that changed is logged; nothing is but that and the rings.
        expect(changed.filter((page) => !dirty.includes(page))).toEqual([]);
        expect(sorted([...dirty, ...rings])).toEqual(sorted([...changed, ...rings]));
        expect(guest.receiveMany(1)[0]?.bytes.subarray(0, length)).toEqual(testFrame(length, length));
      }
    });
  }

  test("without the ring's flag only buffers are logged; without the feature nothing is; the log fd hears of it", () => {
    using rig = new DeviceRig({ echo: true });
    using guest = rig.frontEnd().boot();
    using log = new LogFile();
    using told = createEventFd();
    guest.offerBuffers(8, [1000, 1000]);
    beginLogging(guest, log, false);
    guest.session.setLogFd(told.fd);
    log.take();
    guest.send(testFrame(60));
    const [frame] = guest.receiveMany(1);
    expect(frame?.usedBytes).toEqual([72]);
    const dirty = log.take();
    expect(dirty).toHaveLength(1);
    expect(dirty[0]).toBeGreaterThanOrEqual((0x4000_0000 + 131072) / PAGE);
    expect(rig.device.state.fds).toBe(7);
    guest.session.setFeatures(guest.features & ~LOG_ALL);
    guest.send(testFrame(60));
    guest.receiveMany(1);
    expect(log.take()).toEqual([]);
  });

  test("a log fd that would hold its writer does not hold the device", () => {
    using rig = new DeviceRig({ echo: true });
    using guest = rig.frontEnd().boot();
    using log = new LogFile();
    const [reader, writer] = createPipe();
    const signal = new EventSignal();
    for (let i = 0; i < 9000; i++) signal.notify(writer.fd);
    setNonBlocking(writer.fd, false);
    guest.offerBuffers(8);
    beginLogging(guest, log);
    guest.session.setLogFd(writer.fd);
    for (let i = 0; i < 3; i++) {
      guest.send(testFrame(100, i));
      guest.receiveMany(1);
    }
    for (const end of [reader, writer]) end.close();
  });

  test("a ring that is to be logged waits for its log, and goes on when it comes", () => {
    using rig = new DeviceRig({ echo: true });
    using guest = rig.frontEnd();
    using log = new LogFile();
    guest.negotiate();
    guest.session.setFeatures(guest.features | LOG_ALL);
    guest.shareMemory();
    for (const ring of [guest.rx, guest.tx]) {
      ring.address = { ...ring.address, flags: 1, logAddress: 0x4000_0000n };
      guest.startRing(ring);
    }
    guest.offerBuffers(8);
    guest.send(testFrame(100));
    rig.pump();
    expect([rig.backend.sent.length, Atomics.load(guest.tx.ring.used, 1)]).toEqual([0, 0]);
    guest.session.setLog(log.area, log.file.fd);
    expect(guest.receiveMany(1)[0]?.bytes).toEqual(testFrame(100));
    expect(log.take()).toContain(0x40000);
    // A log address that the log does not reach stops the ring.
    const address = { ...guest.tx.address, logAddress: 1n << 50n };
    expect(() =>
      guest.session.startRing({ size: 256, base: 0, address, kickFd: -1, callFd: -1, errorFd: -1 }),
    ).toThrow();
    expect(rig.lines("is behind the log")).toHaveLength(1);
  });

  test("replaced or unmapped under traffic: the old file is let go, frames and marks go on", () => {
    using rig = new DeviceRig({ echo: true });
    using guest = rig.frontEnd().boot();
    using first = new LogFile();
    using second = new LogFile(8192, 300_000);
    guest.offerBuffers(8);
    beginLogging(guest, first);
    for (const log of [second, first, second]) {
      guest.session.setLog(log.area, log.file.fd);
      guest.shareMemory();
      log.take();
      guest.send(testFrame(100));
      guest.receiveMany(1);
      expect(log.take().length).toBeGreaterThan(0);
    }
    expect(rig.lines("stopped")).toEqual([]);
  });
});
