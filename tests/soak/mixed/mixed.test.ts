// Mixed traffic through the whole daemon while front-ends go at any moment, rings break and memory is replaced: in the end the daemon
// holds what it held before. PASST_TS_SOAK_SECONDS says how long (default 30), PASST_TS_SOAK_SEED with which numbers; a seed decides what
// is tried in each round, the machine how far it comes.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { Random } from "../../fuzz/random.ts";
import { type Case, caseText, chooseCases } from "../../matrix/cases.ts";
import { GuestLink } from "../../matrix/guest-link.ts";
import { kindText } from "../../matrix/kinds.ts";
import { breakRing, endings, passing, stopping } from "./disturbances.ts";
import { type Held, SoakHost } from "./soak-host.ts";
import { type Numbers, Traffic } from "./traffic.ts";

const soakSeconds = Number(process.env.PASST_TS_SOAK_SECONDS ?? 30);
const seed = Number(process.env.PASST_TS_SOAK_SEED ?? Date.now() & 0xff_ffff);
/** As long as code is compiled and pools come to be. */
const warmUpShare = 0.4;
/** What the compiler and the collector of the engine may still do in the rest of the time: 2 to 4 MiB were seen. */
const rssMarginBytes = 10 * 1024 * 1024;
const mib = 1024 * 1024;

/** What speaks of a mistake of the daemon in its log. */
const ownMistake = /unexpected|undefined|not a function|not an object|detached|out of bounds|giving up|panic/i;

const cases: readonly Case[] = chooseCases();
const figures = { rounds: 0, frames: 0, bytes: 0, disconnects: 0, corrupted: 0, broken: 0, passed: 0 };
const numbers: Numbers = { next: 1 };
let host: SoakHost;

beforeAll(async () => {
  host = await SoakHost.create();
}, 60_000);

afterAll(async () => await host.close());

/** Traffic goes on for some frames, or until all is done. */
async function runSome(traffic: Traffic, link: GuestLink, random: Random): Promise<void> {
  const until = link.framesReceived + random.few(100);
  await traffic.run(() => link.framesReceived >= until || traffic.isDone);
}

/** One front-end: traffic, something that happens in it, more traffic, and so on until it goes in one way or the other. */
async function playRound(random: Random): Promise<void> {
  const one = random.pick(cases);
  const happened: string[] = [];
  try {
    using link = new GuestLink(one, host.daemon.socket);
    const begin = (): Traffic => new Traffic(link, host, random, numbers);
    let traffic = begin();
    for (let acts = random.below(4); acts > 0; acts--) {
      await runSome(traffic, link, random);
      if (random.chance(0.6)) {
        const isStop = random.chance(0.5);
        const kinds = isStop ? stopping : passing;
        const name = random.pick(Object.keys(kinds));
        happened.push(name);
        if (isStop) await traffic.run(() => traffic.isOpen);
        kinds[name](link.frontEnd, random);
        figures.passed++;
      } else {
        const { what, broke } = await breakRing(link, random);
        happened.push(what);
        figures.corrupted++;
        if (broke) figures.broken++;
        host.forget();
        figures.bytes += traffic.bytes;
        traffic = begin();
      }
    }
    const goesEarly = random.chance(0.5);
    if (goesEarly) await runSome(traffic, link, random);
    else await traffic.run(() => traffic.isDone);
    if (!goesEarly) await link.finish();
    happened.push(random.pick(Object.keys(endings)));
    endings[happened[happened.length - 1]](link.frontEnd, random);
    host.forget();
    figures.bytes += traffic.bytes;
    figures.frames += link.framesReceived;
    figures.disconnects++;
  } catch (error) {
    const text = `${kindText(one.kind)}; ${caseText(one)}; ${happened.join(", ")}`;
    throw new Error(`seed ${seed}, round ${figures.rounds}: ${text}: ${(error as Error).message}`, { cause: error });
  }
}

let logReadTo = 0;

/** @throws Error when the daemon has said since the last time that it made a mistake. */
function checkLog(): void {
  const { log } = host.daemon;
  const said = log.slice(logReadTo).split("\n");
  logReadTo = log.length;
  const line = said.find((text) => ownMistake.test(text));
  if (line !== undefined) throw new Error(`seed ${seed}, round ${figures.rounds}: ${line}\n${log.slice(-4000)}`);
}

/** @throws Error when the daemon has ended, or says that it made a mistake. */
function checkDaemon(): void {
  const { program, log } = host.daemon;
  if (program.exitCode !== null) throw new Error(`seed ${seed}: the daemon ended:\n${log.slice(-4000)}`);
  checkLog();
}

async function playFor(seconds: number): Promise<void> {
  const endMs = performance.now() + seconds * 1000;
  while (performance.now() < endMs) {
    await playRound(new Random(seed, figures.rounds));
    checkDaemon();
    figures.rounds++;
  }
}

function figuresText(before: Held, after: Held): string {
  const { rounds, frames, bytes, disconnects, corrupted, broken, passed } = figures;
  const rss = ({ rssAnonBytes }: Held): string => (rssAnonBytes / mib).toFixed(1);
  return [
    `soak: seed ${seed}, ${rounds} rounds, ${frames} frames, ${(bytes / mib).toFixed(1)} MiB`,
    `${disconnects} disconnects, ${corrupted} corrupted rings (${broken} found broken), ${passed} other disturbances`,
    `RssAnon ${rss(before)} -> ${rss(after)} MiB, fds ${before.fds} -> ${after.fds}, maps ${before.maps} -> ${after.maps}`,
  ].join("; ");
}

test(
  "front-ends that go at any moment, broken rings and replaced memory under mixed traffic leave nothing behind",
  async () => {
    await playFor(soakSeconds * warmUpShare);
    const before = await host.heldWhenIdle();
    await playFor(soakSeconds * (1 - warmUpShare));
    const after = await host.heldWhenIdle();
    console.log(figuresText(before, after));
    expect({ ...after, rssAnonBytes: 0 }).toEqual({ ...before, rssAnonBytes: 0 });
    expect(after.rssAnonBytes - before.rssAnonBytes).toBeLessThan(rssMarginBytes);
    expect(figures.broken).toBeGreaterThan(0);
    expect(await host.daemon.stop()).toBe(0);
    checkLog();
    expect(host.daemon.counters().flowsLeft).toBe(0);
  },
  soakSeconds * 1000 + 60_000,
);
