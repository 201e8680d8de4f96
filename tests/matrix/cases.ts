// Which layouts each kind of queue is driven with. Everything with everything would be thousands of cases and take minutes, and tell
// little more: each kind is driven with every way to send, while the ways to receive, memories and offloads go round, and then with as
// many more cases as it takes for every two of {each property of the kind, send, receive, memory, offloads} to meet.

import { type Kind, validKinds } from "./kinds.ts";
import {
  type MemoryLayout,
  memoryLayouts,
  type ReceiveLayout,
  receiveLayouts,
  type SendLayout,
  sendLayouts,
  sizesOf,
} from "./layouts.ts";

export interface Case {
  readonly kind: Kind;
  readonly send: SendLayout;
  readonly receive: ReceiveLayout;
  readonly memory: MemoryLayout;
  readonly offloads: boolean;
}

/** Indirect tables for so many chains of so many descriptors would fill the memory of a small machine. */
const MEMORY_BYTES_MAX = 256 * 1024 * 1024;

/** Whether a driver could be like this. */
function isPossible({ kind, send, receive }: Case): boolean {
  if (receive.short && !kind.mergeable) return false;
  return sizesOf(kind, send, receive).memoryBytes <= MEMORY_BYTES_MAX;
}

const casesOf = (kind: Kind): Case[] =>
  sendLayouts
    .flatMap((send) =>
      receiveLayouts.flatMap((receive) =>
        memoryLayouts.flatMap((memory) => [false, true].map((offloads) => ({ kind, send, receive, memory, offloads }))),
      ),
    )
    .filter(isPossible);

/** Each two of its properties. */
export function pairsOf({ kind, send, receive, memory, offloads }: Case): string[] {
  const properties = [
    ...Object.entries(kind).map(([name, value]) => `${name} ${value}`),
    `send ${send.name}`,
    `receive ${receive.name}`,
    `memory ${memory.name}`,
    `offloads ${offloads}`,
  ];
  return properties.flatMap((one, i) => properties.slice(i + 1).map((other) => `${one} + ${other}`));
}

/** All pairs that can be. */
export function possiblePairs(): Set<string> {
  return new Set(validKinds.flatMap(casesOf).flatMap(pairsOf));
}

/** All ways to send; what else there is goes round, from another beginning with each kind. */
function casesOfKind(kind: Kind, beginning: number): Case[] {
  const receives = receiveLayouts.filter(({ short }) => kind.mergeable || !short);
  return sendLayouts.flatMap((send, i) => {
    const turn = beginning + i;
    const memory = memoryLayouts[(turn >>> 1) % memoryLayouts.length];
    const rest = { kind, send, memory, offloads: turn % 3 === 0 };
    const candidates = receives.map((_, k) => ({ ...rest, receive: receives[(turn + k) % receives.length] }));
    return candidates.find(isPossible) ?? [];
  });
}

/** The cases of the matrix, those of one kind together. */
export function chooseCases(): Case[] {
  const chosen = new Map<Kind, Case[]>(validKinds.map((kind, i) => [kind, casesOfKind(kind, i)]));
  const missing = possiblePairs();
  for (const one of [...chosen.values()].flat()) for (const pair of pairsOf(one)) missing.delete(pair);
  const all = missing.size === 0 ? [] : validKinds.flatMap(casesOf);
  while (missing.size > 0) {
    const one = all.reduce((best, other) => (newPairs(other, missing) > newPairs(best, missing) ? other : best));
    chosen.get(one.kind)?.push(one);
    for (const pair of pairsOf(one)) missing.delete(pair);
  }
  return [...chosen.values()].flat();
}

function newPairs(one: Case, missing: ReadonlySet<string>): number {
  return pairsOf(one).filter((pair) => missing.has(pair)).length;
}

/** For the name of a test. */
export function caseText({ send, receive, memory, offloads }: Case): string {
  return `sends ${send.name}; receives ${receive.name}; ${memory.name}${offloads ? "; offloads" : ""}`;
}
