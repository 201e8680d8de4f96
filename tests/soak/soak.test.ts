// A million frames leave nothing behind on the data plane's heap: the daemon's own, through a real front-end with a driver of ours, and
// real sockets on the loopback interface.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { featureMask, VirtioFeature } from "@passt-ts/vhost-user-proto/features";
import { GuestTcp } from "../bench/memory/guest-tcp.ts";
import { HostStream } from "../bench/memory/host-stream.ts";
import { RingDriver } from "../bench/memory/ring-driver.ts";
import { WorkerDaemon } from "../bench/memory/worker-daemon.ts";
import { Datagrams } from "./datagrams.ts";
import { type Fault, type Heap, HeapReport, Look } from "./heap-report.ts";

const warmUpFrames = 100_000;
const frames = 1_000_000;
const objectsMax = 1000;
/** What so many of the smallest objects take, and what a program compiled anew may. */
const bytesMax = 256 * 1024;
/** Frames for which allocations are counted: few enough that the engine does not collect in between. */
const countedFrames = 200_000;
/** Ten bytes for each of them, which are no object. */
const madeBytesMax = 10 * countedFrames;
const patienceMs = 60_000;

const guest = 0x0a000002;
const gateway = 0x0a000001;
const link = "-4 -a 10.0.0.2/24 -g 10.0.0.1 -m 1500 -q".split(" ");
const queueSize = 256;
/** Payload of a segment: what counts are frames, not bytes. */
const segmentBytes = 200;

/** Left out so that each segment and each datagram is a frame of its own. */
const segmentation = featureMask(
  VirtioFeature.HOST_TSO4,
  VirtioFeature.HOST_TSO6,
  VirtioFeature.GUEST_TSO4,
  VirtioFeature.GUEST_TSO6,
  VirtioFeature.GUEST_USO4,
  VirtioFeature.GUEST_USO6,
);

const script = new URL("./data-plane.worker.ts", import.meta.url);
const report = new HeapReport();

let daemon: WorkerDaemon;
let driver: RingDriver;
async function startDaemon(fault: Fault): Promise<WorkerDaemon> {
  return await WorkerDaemon.start(script, link, { report: report.shared, fault });
}

beforeAll(async () => {
  daemon = await startDaemon("none");
  driver = new RingDriver(daemon.path, queueSize, segmentation);
});
afterAll(async () => {
  driver[Symbol.dispose]();
  await daemon[Symbol.asyncDispose]();
});

/** Works until `count` has grown by so many frames. */
function carry(work: () => void, count: () => number, by: number): void {
  const goal = count() + by;
  const endMs = performance.now() + patienceMs;
  while (count() < goal) {
    if (performance.now() > endMs) throw new Error(`${count() - goal + by} frames of ${by} in ${patienceMs} ms`);
    work();
  }
}

const ask = (look: Look): Heap => report.ask(look, () => driver.wake());

/**
 * What was allocated for some frames, kept or not, in bytes: the most of so many looks, as a collection of the engine's own in
 * the middle hides what was made before it.
 */
function madeBytes(work: () => void, count: () => number, looks: number): number {
  let most = 0;
  for (let look = 0; look < looks && most < madeBytesMax; look++) {
    ask(Look.collected);
    const roomBytes = ask(Look.room).bytes;
    // What was asked made garbage to find the room.
    ask(Look.collected);
    carry(work, count, countedFrames);
    most = Math.max(most, roomBytes - ask(Look.room).bytes);
  }
  return most;
}

/** What lies on the heap after the frames and did not before. */
function kept(work: () => void, count: () => number): Heap {
  const before = ask(Look.collected);
  carry(work, count, frames);
  const after = ask(Look.collected);
  return { objects: after.objects - before.objects, bytes: after.bytes - before.bytes };
}

/** A million frames more leave nothing, and make nothing either. */
function soak(work: () => void, count: () => number): void {
  carry(work, count, warmUpFrames);
  const { objects, bytes } = kept(work, count);
  expect(objects).toBeLessThan(objectsMax);
  expect(bytes).toBeLessThan(bytesMax);
  expect(madeBytes(work, count, 2)).toBeLessThan(madeBytesMax);
}

/** A connection from the guest to a socket of ours. */
function connection(host: HostStream, guestPort: number): GuestTcp {
  const ports = { port: host.port, guestPort };
  const tcp = new GuestTcp(driver, { guest, gateway, ...ports, segmentBytes, sendBytes: segmentBytes });
  tcp.connect();
  const endMs = performance.now() + patienceMs;
  while (!(tcp.isOpen && host.accept())) {
    if (performance.now() > endMs) throw new Error("no connection");
    tcp.receive();
    driver.flush();
  }
  return tcp;
}

test(
  "TCP to the host leaves nothing on the heap",
  () => {
    using host = new HostStream();
    const tcp = connection(host, 40_001);
    const work = () => {
      tcp.send(performance.now());
      driver.flush();
      host.sink();
      tcp.receive();
    };
    soak(work, () => driver.sent);
  },
  patienceMs,
);

test(
  "TCP to the guest leaves nothing on the heap, nor do its acknowledgments",
  () => {
    using host = new HostStream();
    const tcp = connection(host, 40_002);
    tcp.acknowledgesEach = true;
    const before = driver.sent;
    const work = () => {
      host.feed();
      tcp.receive();
      driver.flush();
    };
    soak(work, () => driver.received);
    expect(driver.sent - before).toBeGreaterThan(frames / 2);
  },
  patienceMs,
);

test(
  "bare ACKs leave nothing on the heap",
  () => {
    using host = new HostStream();
    const tcp = connection(host, 40_003);
    let turn = 0;
    const work = () => {
      while (driver.room > 0) tcp.updateWindow(turn++);
      driver.flush();
    };
    soak(work, () => driver.sent);
  },
  patienceMs,
);

test(
  "UDP to the host leaves nothing on the heap",
  () => {
    using datagrams = new Datagrams(driver, guest, gateway);
    soak(
      () => datagrams.toHost(),
      () => driver.sent,
    );
    expect(datagrams.received).toBeGreaterThan(frames / 10);
  },
  patienceMs,
);

test(
  "UDP to the guest leaves nothing on the heap",
  () => {
    using datagrams = new Datagrams(driver, guest, gateway);
    datagrams.answer();
    soak(
      () => datagrams.toGuest(),
      () => driver.received,
    );
  },
  patienceMs,
);

/** What `look` sees of datagrams to the host that a data plane with this fault carries. */
async function withFault<T>(fault: Fault, look: (work: () => void, count: () => number) => T): Promise<T> {
  const [sound, soundDriver] = [daemon, driver];
  await using faulty = await startDaemon(fault);
  using faultyDriver = new RingDriver(faulty.path, queueSize, segmentation);
  [daemon, driver] = [faulty, faultyDriver];
  try {
    using datagrams = new Datagrams(driver, guest, gateway);
    return look(
      () => datagrams.toHost(),
      () => driver.sent,
    );
  } finally {
    [daemon, driver] = [sound, soundDriver];
  }
}

test(
  "an object held for each frame shows in what is left",
  async () => {
    expect((await withFault("holds", kept)).objects).toBeGreaterThan(frames / 2);
  },
  patienceMs,
);

test(
  "an object made for each frame shows in what was made",
  async () => {
    const seen = await withFault("makes", (work, count) => madeBytes(work, count, 8));
    expect(seen).toBeGreaterThanOrEqual(madeBytesMax);
  },
  patienceMs,
);
