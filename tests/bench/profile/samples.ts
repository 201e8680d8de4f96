// What the engine's sampling profiler saw, by where the time went.

import { basename } from "node:path";

/** The part of a stack trace that is used; the innermost frame is the first. */
interface Frame {
  readonly name: string;
  readonly sourceURL?: string;
}

interface StackTraces {
  readonly traces: readonly { readonly frames: readonly Frame[] }[];
}

/** A function, or a function of the C library, and its share of the samples. */
export interface Share {
  readonly name: string;
  readonly share: number;
}

/** Where the data plane sleeps: the C library's function, and who calls it, which is all that optimised code shows. */
const waits = ["epoll_wait (called)", "wait event-loop.ts"];

const placeOf = ({ name, sourceURL }: Frame): string =>
  sourceURL === undefined ? `${name} (called)` : `${name} ${basename(sourceURL)}`;

/** Shares of what ran itself, largest first, and the share of the samples in which events were waited or looked for. */
export function sharesOf(json: string): { readonly waiting: number; readonly shares: readonly Share[] } {
  const { traces } = JSON.parse(json) as StackTraces;
  const counts = new Map<string, number>();
  let waiting = 0;
  for (const { frames } of traces) {
    const [innermost] = frames;
    if (innermost === undefined) continue;
    const place = placeOf(innermost);
    if (waits.includes(place)) waiting++;
    else counts.set(place, (counts.get(place) ?? 0) + 1);
  }
  const working = traces.length - waiting;
  const shares = [...counts].map(([name, count]) => ({ name, share: count / working }));
  return { waiting: waiting / traces.length, shares: shares.sort((a, b) => b.share - a.share) };
}
