// A stream of the host to a guest that cannot take it: nothing is lost, nothing spins meanwhile, and it goes on by itself.

import { expect, test } from "bun:test";
import { F } from "@passt-ts/tcp-vu/testing/frames";
import { TestLink } from "./test-link.ts";

const STREAM_BYTES = 100_000;
/** Longer than several retransmission timeouts and probes, shorter than what gives a connection up. */
const SPAN_MS = 60_000;
/** A few timers a second: probes, retransmissions. A loop that spins goes round without end. */
const ROUNDS_MAX = 4 * 60;

const stream = Uint8Array.from({ length: STREAM_BYTES }, (_, i) => (i * 31) % 251);

interface Obstacle {
  readonly name: string;
  readonly begin: (link: TestLink) => void;
  readonly end: (link: TestLink) => void;
  /** Payload that may leave for the guest meanwhile. */
  readonly bytesMax: number;
}

const obstacles: readonly Obstacle[] = [
  {
    name: "the guest's window is closed",
    begin: (link) => announce(link, 0),
    end: (link) => announce(link, 512),
    // A probe is one unit of the window: after 1, 2, 4, 8, 16, 32 s.
    bytesMax: 6 * 128,
  },
  {
    // A guest that takes no frame gives no buffer back.
    name: "the receive ring is empty",
    begin: () => {},
    end: () => {},
    bytesMax: 4 * 1460,
  },
  {
    name: "the receive ring is disabled",
    begin: ({ frontEnd }) => frontEnd.enableRing(frontEnd.rx, false),
    end: ({ frontEnd }) => frontEnd.enableRing(frontEnd.rx, true),
    bytesMax: 0,
  },
  {
    name: "the receive ring is stopped",
    begin: ({ frontEnd }) => void frontEnd.stopRing(frontEnd.rx),
    end: ({ frontEnd }) => {
      frontEnd.startRing(frontEnd.rx, 0);
      frontEnd.offerBuffers(4);
    },
    bytesMax: 0,
  },
];

function announce(link: TestLink, window: number): void {
  link.window = window;
  link.segment(F.ack);
  link.pump();
}

for (const { name, begin, end, bytesMax } of obstacles) {
  test(`while ${name} the stream waits in the socket and the loop sleeps; afterwards it goes on`, () => {
    using link = new TestLink(4);
    begin(link);
    expect(link.host.write(stream)).toBe(STREAM_BYTES);
    expect(link.pass(SPAN_MS)).toBeLessThan(ROUNDS_MAX);
    expect(link.bytesOut).toBeLessThanOrEqual(bytesMax);
    end(link);
    link.until(() => link.received.length >= STREAM_BYTES, "the stream");
    expect(Uint8Array.from(link.received)).toEqual(stream);
    expect(link.resets).toBe(0);
  });
}

test("receive buffers alone move a stream that waits for room: the driver is asked to kick for them", () => {
  using link = new TestLink(4);
  expect(link.host.write(stream)).toBe(STREAM_BYTES);
  link.pass(10);
  const kicks = link.kicks;
  for (let given = 0; given < 8; given++) {
    expect([link.bytesOut, link.kicks - kicks]).toEqual([(4 + 4 * given) * 1460, given]);
    link.receive(false);
    link.pump();
  }
});

test("the guest is called at most once in a turn: for a burst, for acknowledgments of a gap, for a service's reply", () => {
  using link = new TestLink(200);
  const causes: readonly (readonly [frames: number, cause: () => void])[] = [
    [14, () => void link.host.write(stream.subarray(0, 14 * 1460))],
    [2, () => link.segment(F.ack, [1, 2, 3], [], 1000)],
    [1, () => link.askForGateway()],
  ];
  for (const [frames, cause] of causes) {
    link.calls = 0;
    link.mostCalls = 0;
    const before = link.framesOut;
    cause();
    link.frontEnd.until(() => link.framesOut >= before + frames, `${frames} frames`);
    expect([link.framesOut - before, link.calls, link.mostCalls]).toEqual([frames, 1, 1]);
  }
});
