// Plays many suites on one host, some at the same time.

import type { HostNamespace } from "../guests/namespace.ts";
import type { PlayedSuite } from "./played.ts";
import { type Expectation, playSuite } from "./player.ts";
import type { Suite } from "./script.ts";

export interface PlayAllOptions {
  readonly host: HostNamespace;
  readonly command: readonly string[];
  readonly suites: readonly Suite[];
  /** Suites that are played at the same time. */
  readonly atOnce: number;
  readonly expected: (suite: Suite) => Expectation;
}

/** What came of each suite, by its name; an Error where it could not be played to its end. */
export async function playAll(options: PlayAllOptions): Promise<Map<string, PlayedSuite | Error>> {
  const { host, command, atOnce, expected } = options;
  const played = new Map<string, PlayedSuite | Error>();
  const waiting = [...options.suites];
  const work = async (): Promise<void> => {
    for (let suite = waiting.shift(); suite !== undefined; suite = waiting.shift()) {
      const { name } = suite;
      try {
        played.set(name, await playSuite({ host, command, suite, expected: expected(suite) }));
      } catch (error) {
        played.set(name, error as Error);
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return played;
}
