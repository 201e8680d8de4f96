// The data plane of the daemon on a thread of its own, as the daemon runs it; and now and then it says what lies on its heap.

import { heapStats } from "bun:jsc";
import type { NetBackend } from "@passt-ts/net-backend/backend";
import { DataPlane } from "../../apps/passt-ts/src/data-plane.ts";
import type { StartMessage } from "../../apps/passt-ts/src/worker-messages.ts";
import { type Fault, HeapReport, Look } from "./heap-report.ts";

declare const self: Worker;

/** A start message, and where the heap is reported. */
interface SoakStart {
  readonly start: StartMessage;
  readonly report: SharedArrayBuffer;
  readonly fault: Fault;
}

/** Garbage of so many bytes between two looks. */
const stepBytes = 1024 * 1024;

/** Makes garbage until the engine collects it: its numbers are those of the last collection. Bytes. */
function roomBytes(): number {
  const held: Uint8Array[] = [];
  const before = heapStats();
  for (let bytes = stepBytes; ; bytes += stepBytes) {
    for (let made = 0; made < stepBytes; made += 1024) held[0] = new Uint8Array(1000 - 64);
    const { heapSize, objectCount } = heapStats();
    if (heapSize !== before.heapSize || objectCount !== before.objectCount) return bytes;
  }
}

/** Has a back-end look in each turn whether somebody wants to know what lies on the heap. */
function reporting(backend: NetBackend, report: HeapReport): NetBackend {
  const turn = backend.turn.bind(backend);
  backend.turn = (nowMs) => {
    if (report.wanted !== Look.none) {
      if (report.wanted === Look.room) report.give(0, roomBytes());
      else {
        // The first one may be a collection that was under way and knows nothing of the newest objects.
        Bun.gc(true);
        Bun.gc(true);
        const { objectCount, heapSize } = heapStats();
        report.give(objectCount, heapSize);
      }
    }
    return turn(nowMs);
  };
  return backend;
}

/** Has a back-end make an object for each frame that the guest sends, and hold all of them or only the newest. */
function faulty(backend: NetBackend, holdsAll: boolean): NetBackend {
  const send = backend.send.bind(backend);
  const held: object[] = [];
  backend.send = (frames, count, nowMs) => {
    for (let index = 0; index < count; index++) held[holdsAll ? held.length : 0] = { index };
    send(frames, count, nowMs);
  };
  return backend;
}

self.onmessage = ({ data }: MessageEvent<SoakStart>): void => {
  const report = new HeapReport(data.report);
  const dataPlane = new DataPlane(
    data.start,
    (message) => {
      if (message.kind === "log") console.error(`${message.level}: ${message.text}`);
    },
    (backend) => reporting(data.fault === "none" ? backend : faulty(backend, data.fault === "holds"), report),
  );
  try {
    self.postMessage("ready");
    dataPlane.run();
  } finally {
    dataPlane.close();
  }
  process.exit();
};
