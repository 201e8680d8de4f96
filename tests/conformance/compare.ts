// Compares what two daemons answered to the same scripts, and finds every difference.

import { bytesOf } from "@passt-ts/wire/testing/frame-bytes";
import { dissect } from "./dissect.ts";
import type { Fields } from "./fields.ts";
import { Learning } from "./learned.ts";
import { masked } from "./masks.ts";
import type { PlayedScript, PlayedStep, PlayedSuite, ReceivedFrame } from "./played.ts";
import { type Script, type Suite, scriptsOf } from "./script.ts";
import { kindOf } from "./summary.ts";

/** One difference. */
export interface Found {
  /** "SUITE/SCRIPT". */
  readonly script: string;
  /** "STEP#N": the Nth frame that came in the step; "STEP" alone for what the host saw. */
  readonly frame: string;
  /** The field; "absent": a frame of the reference that does not come from ours; "extra": the reverse; "order"; "host". */
  readonly field: string;
  /** What the reference has there. */
  readonly reference: string;
  /** What ours has there. */
  readonly ours: string;
}

/** What stands for a field that a frame does not have. */
const NONE = "none";
/** See Step.toleranceMs. */
const TIME_TOLERANCE_MS = 450;

interface Frame {
  readonly kind: string;
  readonly fields: Fields;
  readonly summary: string;
  readonly atMs: number;
}

/** @throws Error when the record is of other scripts than those that were played. */
export function compareSuites(suite: Suite, reference: PlayedSuite, ours: PlayedSuite): Found[] {
  if (scriptText(reference) !== scriptText(ours)) {
    throw new Error(`the scripts of ${suite.name} have changed since they were recorded: record them anew`);
  }
  return scriptsOf(suite).flatMap((script, i) => {
    const name = `${suite.name}/${script.name}`;
    return compareScripts(name, script, reference.scripts[i], ours.scripts[i]);
  });
}

/** What was played, but for acknowledgment numbers and the like, which answer what came. */
function scriptText({ options, scripts }: PlayedSuite): string {
  const steps = scripts.flatMap((script) =>
    script.steps.map((step) => [script.name, step.name, ...step.sent.map(({ hex }) => sentText(bytesOf(hex)))]),
  );
  return JSON.stringify([options, steps]);
}

function sentText(bytes: Uint8Array): string {
  const fields = dissect(bytes, new Learning());
  const kind = kindOf(fields);
  return [...fields.values]
    .filter(([name]) => name !== "tcp.acknowledgment")
    .map(([name, value]) => `${name} ${masked(kind, name, value)}`)
    .join(", ");
}

function compareScripts(name: string, script: Script, reference: PlayedScript, ours: PlayedScript): Found[] {
  const [theirLearning, ourLearning] = [new Learning(), new Learning()];
  return script.steps.flatMap((step, i) => {
    const toleranceMs = step.collectMs === undefined ? null : (step.toleranceMs ?? TIME_TOLERANCE_MS);
    const theirs = framesOf(reference.steps[i], theirLearning);
    const own = framesOf(ours.steps[i], ourLearning);
    const found = compareFrames(theirs, own, step.name, toleranceMs);
    const theirHost = reference.steps[i].host.join("; ");
    const ourHost = ours.steps[i].host.join("; ");
    if (theirHost !== ourHost) found.push({ frame: step.name, field: "host", reference: theirHost, ours: ourHost });
    return found.map((difference) => ({ script: name, ...difference }));
  });
}

type FoundInScript = Omit<Found, "script">;

function framesOf(step: PlayedStep, learning: Learning): Frame[] {
  return step.received.map(({ hex, summary, atMs }: ReceivedFrame) => {
    const bytes = bytesOf(hex);
    learning.take(bytes);
    const fields = dissect(bytes, learning);
    return { kind: kindOf(fields), fields, summary, atMs };
  });
}

function compareFrames(
  theirs: readonly Frame[],
  ours: readonly Frame[],
  step: string,
  toleranceMs: number | null,
): FoundInScript[] {
  const found: FoundInScript[] = [];
  for (const [their, our] of align(theirs, ours, toleranceMs)) {
    if (our === null) {
      const frame = `${step}#${their + 1}`;
      found.push({ frame, field: "absent", reference: textOf(theirs[their], toleranceMs !== null), ours: NONE });
    } else if (their === null) {
      found.push({
        frame: `${step}#${our + 1}`,
        field: "extra",
        reference: NONE,
        ours: textOf(ours[our], toleranceMs !== null),
      });
    } else found.push(...compareFields(`${step}#${their + 1}`, theirs[their], ours[our]));
  }
  return found;
}

/** A frame that has no like; in a timed step the time may be why. */
const textOf = ({ summary, atMs }: Frame, timed: boolean): string => (timed ? `${summary}, at ${atMs} ms` : summary);

function compareFields(frame: string, their: Frame, our: Frame): FoundInScript[] {
  const found: FoundInScript[] = [];
  const value = ({ kind, fields }: Frame, name: string): string => {
    const text = fields.values.get(name);
    return text === undefined ? NONE : masked(kind, name, text);
  };
  for (const field of new Set([...their.fields.values.keys(), ...our.fields.values.keys()])) {
    const [reference, ours] = [value(their, field), value(our, field)];
    if (reference !== ours) found.push({ frame, field, reference, ours });
  }
  const shared = (fields: Fields, other: Fields): string =>
    [...fields.values.keys()].filter((name) => other.values.has(name)).join(" ");
  const [reference, ours] = [shared(their.fields, our.fields), shared(our.fields, their.fields)];
  if (reference !== ours) found.push({ frame, field: "order", reference, ours });
  return found;
}

type Pair =
  | readonly [their: number, our: number]
  | readonly [their: number, our: null]
  | readonly [their: null, our: number];

/** Pairs the frames of the same kind, in a timed step also of the same time, in order, as many as possible; the others stay alone. */
function align(theirs: readonly Frame[], ours: readonly Frame[], toleranceMs: number | null): Pair[] {
  const isSame = (i: number, j: number): boolean =>
    theirs[i].kind === ours[j].kind && (toleranceMs === null || Math.abs(theirs[i].atMs - ours[j].atMs) <= toleranceMs);
  // How many pairs are possible from frame i of theirs and frame j of ours on.
  const counts = Array.from({ length: theirs.length + 1 }, () => new Array<number>(ours.length + 1).fill(0));
  for (let i = theirs.length - 1; i >= 0; i--) {
    for (let j = ours.length - 1; j >= 0; j--) {
      counts[i][j] = isSame(i, j) ? counts[i + 1][j + 1] + 1 : Math.max(counts[i + 1][j], counts[i][j + 1]);
    }
  }
  const pairs: Pair[] = [];
  let [i, j] = [0, 0];
  while (i < theirs.length || j < ours.length) {
    if (i < theirs.length && j < ours.length && isSame(i, j)) pairs.push([i++, j++]);
    else if (j === ours.length || (i < theirs.length && counts[i + 1][j] >= counts[i][j + 1])) pairs.push([i++, null]);
    else pairs.push([null, j++]);
  }
  return pairs;
}
