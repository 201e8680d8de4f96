// Frames that the other side cuts into segments and datagrams, both ways.

import { udp } from "../conformance/frames.ts";
import { gateway4 } from "../conformance/host.ts";
import type { Program } from "../guests/process.ts";
import { asked, expectBytes, run } from "./exchange-steps.ts";
import { type Datagram, datagramIn, isTcp } from "./frame-check.ts";
import type { GuestLink } from "./guest-link.ts";
import { GuestStream } from "./guest-stream.ts";
import { cutLater, inPieces, SEGMENT_BYTES, takenBy } from "./offload.ts";
import { pattern } from "./pattern.ts";
import { echoPort, forwardedPort } from "./ports.ts";

const STREAM_BYTES = 150_000;
const FRAME_BYTES = 60_000;
const guestPort = 42_000;

/** Bytes of a frame, and of each datagram in it; the last one is shorter. */
const joined: readonly (readonly [length: number, datagramBytes: number])[] = [
  [60_333, 1472],
  [5, 3],
];

/** A stream in frames of many segments, which comes back in such frames too. */
export async function exchangeLargeSegments(link: GuestLink): Promise<void> {
  const stream = new GuestStream({ guestPort, peerPort: echoPort, frameBytes: FRAME_BYTES });
  link.deliverTo((frame) => void (isTcp(frame) && stream.take(frame)));
  const sent = pattern(7, STREAM_BYTES);
  stream.connect();
  stream.write(sent);
  stream.end();
  await run(link, stream, () => stream.isClosed, "the end of a stream in large segments");
  expectBytes("stream in large segments", stream.received, sent);
  const { longestSent, longestReceived } = stream;
  if (longestSent !== FRAME_BYTES) throw new Error(`no more than ${longestSent} bytes were sent in a frame`);
  if (longestReceived <= SEGMENT_BYTES) throw new Error(`no more than ${longestReceived} bytes came in a frame`);
}

function expectDatagrams(came: readonly Uint8Array[], sent: readonly Uint8Array[]): void {
  for (const [i, datagram] of sent.entries()) expectBytes(`datagram ${i} of ${sent.length}`, came[i], datagram);
}

/** Many datagrams in one frame: the host gets each by itself, and sends it back. */
export async function exchangeCutDatagrams(link: GuestLink): Promise<void> {
  for (const [i, [length, datagramBytes]] of joined.entries()) {
    const sent = pattern(i, length);
    const datagrams = inPieces(sent, datagramBytes);
    const came: Uint8Array[] = [];
    link.deliverTo((frame) => {
      const datagram = datagramIn(frame);
      if (datagram?.sourcePort !== echoPort || datagram.destinationPort !== guestPort + i) return;
      came.push(...inPieces(datagram.payload, frame.gsoSize));
    });
    await link.send(cutLater(udp({ to: gateway4 }, guestPort + i, echoPort, sent), datagramBytes));
    await link.until(() => came.length >= datagrams.length, `${datagrams.length} datagrams`);
    expectDatagrams(came, datagrams);
  }
}

/**
 * Datagrams that the host has sent with one call: they come in one frame where the driver takes that, and go back as they are
 * sent by it.
 */
export async function exchangeJoinedDatagrams(link: GuestLink, host: Program): Promise<void> {
  const isTaken = takenBy(link.one).datagrams;
  for (const [i, [length, datagramBytes]] of joined.entries()) {
    await asked(link, host, `joined ${i} ${length} ${datagramBytes}`, async () => {
      const sent = inPieces(pattern(i, length), datagramBytes);
      const came: Uint8Array[] = [];
      let peer: Datagram | null = null;
      let frames = 0;
      link.deliverTo((frame) => {
        const datagram = datagramIn(frame);
        if (datagram?.destinationPort !== forwardedPort) return;
        came.push(...inPieces(datagram.payload, frame.gsoSize));
        peer = datagram;
        frames++;
      });
      await link.until(() => came.length >= sent.length, `${sent.length} datagrams`);
      expectDatagrams(came, sent);
      if (isTaken !== frames < sent.length) throw new Error(`${sent.length} datagrams came in ${frames} frames`);
      const { source, sourcePort } = peer as unknown as Datagram;
      const back = (bytes: Uint8Array) => udp({ to: source }, forwardedPort, sourcePort, bytes);
      if (isTaken) await link.send(cutLater(back(pattern(i, length)), datagramBytes));
      else for (const datagram of sent) await link.send({ bytes: back(datagram) });
    });
  }
}
