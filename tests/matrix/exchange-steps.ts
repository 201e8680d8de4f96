// What exchanges are made of: a stream that runs on the link, a host that is asked to begin, and bytes compared.

import type { Program } from "../guests/process.ts";
import type { GuestLink } from "./guest-link.ts";
import type { GuestStream } from "./guest-stream.ts";
import { firstDifference } from "./pattern.ts";

const HOST_TIMEOUT_MS = 8000;

/** Bytes that came back, and those that were to come. @throws Error that says where they differ. */
export function expectBytes(what: string, received: ArrayLike<number>, sent: ArrayLike<number>): void {
  const at = firstDifference(received, sent);
  if (at >= 0) throw new Error(`${what}: ${received.length} bytes instead of ${sent.length}, other ones from ${at} on`);
}

/** Hands frames to the stream, and sends what it has to say. */
export async function run(link: GuestLink, stream: GuestStream, condition: () => boolean, what: string): Promise<void> {
  while (!condition()) {
    for (const frame of stream.takeFrames()) await link.send(frame);
    const { framesReceived } = link;
    await link.until(() => condition() || link.framesReceived > framesReceived, what);
  }
  for (const frame of stream.takeFrames()) await link.send(frame);
}

/** Has the host begin, and waits until it says that all came back. */
export async function asked(link: GuestLink, host: Program, line: string, answer: () => Promise<void>): Promise<void> {
  const from = host.output.length;
  host.write(`${line}\n`);
  await answer();
  const said = host.waitFor(/(done|failed) .*\n/, HOST_TIMEOUT_MS, from);
  let text = "";
  said.then(
    ([found]) => {
      text = found;
    },
    (error: Error) => {
      text = error.message;
    },
  );
  await link.until(() => text !== "", `the host's word on ${line}`);
  if (text.trim() !== `done ${line}`) throw new Error(text);
}
