// The corpus: what is right, as files of text, to be changed a little.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const folder = join(import.meta.dir, "corpus");

/** Something with the name of its file. */
export interface Named<T> {
  readonly name: string;
  readonly value: T;
}

function filesOf(kind: string, ending: string): Named<string>[] {
  return readdirSync(join(folder, kind))
    .filter((file) => file.endsWith(ending))
    .sort()
    .map((file) => ({
      name: file.slice(0, -ending.length),
      value: readFileSync(join(folder, kind, file), "utf8"),
    }));
}

/** Frames of a guest at 10.0.0.2 and 2001:db8::2, whose gateway ends in 1: corpus/frames/NAME.hex, hexadecimal digits. */
export function readFrames(): Named<Uint8Array>[] {
  return filesOf("frames", ".hex").map(({ name, value }) => ({
    name,
    value: Uint8Array.fromHex(value.replaceAll(/\s/g, "")),
  }));
}

/** A message with the descriptors that go with it, by what they are. */
export interface CorpusMessage {
  readonly bytes: Uint8Array;
  readonly fds: readonly string[];
}

/** Sessions of front-ends: corpus/messages/NAME.txt, a line for each message, its bytes in hexadecimal and its descriptors. */
export function readSessions(): Named<CorpusMessage[]>[] {
  return filesOf("messages", ".txt").map(({ name, value }) => ({
    name,
    value: value
      .trim()
      .split("\n")
      .map((line) => {
        const [hex, ...fds] = line.split(" ");
        return { bytes: Uint8Array.fromHex(hex), fds };
      }),
  }));
}
