// Plays many suites, some at the same time: those that want the same host share one.

import type { HostNamespace } from "../guests/namespace.ts";
import { createHost, type HostKind } from "./host.ts";
import type { PlayedSuite } from "./played.ts";
import { type Expectation, playSuite } from "./player.ts";
import type { Suite } from "./script.ts";

export interface PlayAllOptions {
  readonly command: readonly string[];
  readonly suites: readonly Suite[];
  /** Suites that are played at the same time. */
  readonly atOnce: number;
  readonly expected: (suite: Suite) => Expectation;
}

/** What came of each suite, by its name; an Error where it could not be played to its end. */
export async function playAll(options: PlayAllOptions): Promise<Map<string, PlayedSuite | Error>> {
  const { command, suites, atOnce, expected } = options;
  const hosts = new Map<HostKind, HostNamespace>();
  const played = new Map<string, PlayedSuite | Error>();
  const waiting = [...suites];
  const play = async (suite: Suite): Promise<PlayedSuite | Error> => {
    try {
      const host = hosts.get(suite.host ?? "gateway") as HostNamespace;
      return await playSuite({ host, command, suite, expected: expected(suite) });
    } catch (error) {
      return error as Error;
    }
  };
  const work = async (): Promise<void> => {
    for (let suite = waiting.shift(); suite !== undefined; suite = waiting.shift()) {
      played.set(suite.name, await play(suite));
    }
  };
  try {
    for (const { host: kind = "gateway" } of suites) if (!hosts.has(kind)) hosts.set(kind, await createHost(kind));
    await Promise.all(Array.from({ length: atOnce }, work));
  } finally {
    for (const host of hosts.values()) await host.close();
  }
  return played;
}
