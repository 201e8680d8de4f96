// Every kind of virtqueue and driver against the whole daemon: a front-end and a driver of our own over a real socket, memory file and
// eventfds, the daemon as a process in a namespace with somebody to talk to.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { u64Request, vringFdRequest } from "@passt-ts/vhost-user-proto/front-end";
import type { Daemon, ProcessCounts } from "../guests/daemon.ts";
import { type Case, caseText, chooseCases, pairsOf, possiblePairs } from "./cases.ts";
import { exchangeAll } from "./exchanges.ts";
import { GuestLink } from "./guest-link.ts";
import { MatrixHost } from "./host.ts";
import { featuresOf, invalidKinds, kinds, kindText, validKinds, whyInvalid } from "./kinds.ts";
import { memoryLayouts, receiveLayouts, sendLayouts } from "./layouts.ts";

const TIMEOUT_MS = 60_000;
/** Longer than the daemon needs to see that a guest has gone. */
const SETTLE_MS = 200;
/** What must not be said, of a guest that does nothing wrong. */
const COMPLAINT = /^(?:.*\b(?:refused|broken|unexpected)\b.*|(?:warning|error): .*)$/gm;
/** Said at the start by a daemon that root started. */
const EXPECTED = /started as root/;

const cases = chooseCases();

function complaintsIn(log: string): string[] {
  return [...log.matchAll(COMPLAINT)].map(([line]) => line).filter((line) => !EXPECTED.test(line));
}

let host: MatrixHost;

beforeAll(async () => {
  host = await MatrixHost.create();
}, TIMEOUT_MS);

afterAll(async () => await host.close());

test("a combination is valid, or there is a reason why it cannot be; every reason is needed", () => {
  expect([kinds.length, validKinds.length]).toEqual([64, 40]);
  for (const { when, why } of invalidKinds) {
    const alone = kinds.filter((kind) => when(kind) && whyInvalid(kind).length === 1);
    expect([why, alone.length > 0]).toEqual([why, true]);
  }
});

test("the cases are every kind with every way to send, and every two properties that can meet do", () => {
  const met = new Set(cases.flatMap(pairsOf));
  expect([...possiblePairs()].filter((pair) => !met.has(pair))).toEqual([]);
  for (const kind of validKinds) {
    const sent = new Set(cases.filter((one) => one.kind === kind).map(({ send }) => send));
    expect([kindText(kind), sent.size]).toEqual([kindText(kind), sendLayouts.length]);
  }
});

describe("each kind of queue carries ARP, DHCP, ICMP, TCP and UDP both ways", () => {
  let daemon: Daemon;
  let before: ProcessCounts;

  beforeAll(async () => {
    daemon = await host.listeningDaemon();
    await play(cases[0], daemon.socket);
    await Bun.sleep(SETTLE_MS);
    before = daemon.counts();
  }, TIMEOUT_MS);

  afterAll(async () => expect(await daemon.stop()).toBe(0));

  for (const kind of validKinds) {
    test(
      `however laid out: ${kindText(kind)}`,
      async () => {
        for (const one of cases.filter((other) => other.kind === kind)) await play(one, daemon.socket);
        expect(complaintsIn(daemon.log)).toEqual([]);
      },
      TIMEOUT_MS,
    );
  }

  test("afterwards the daemon holds what it held before", async () => {
    await Bun.sleep(SETTLE_MS);
    expect(daemon.counts()).toEqual(before);
  });
});

/** One front-end: connects, boots, talks about everything, goes. */
async function play(one: Case, socket: string): Promise<void> {
  try {
    using link = new GuestLink(one, socket);
    await exchangeAll(link, host.end);
    expect(link.calls).toBeGreaterThan(0);
  } catch (error) {
    throw new Error(`${kindText(one.kind)}; ${caseText(one)}: ${(error as Error).message}`, { cause: error });
  }
}

test(
  "the same through a socket pair that the daemon inherited, where it ends with the guest",
  async () => {
    for (const packed of [false, true]) {
      const [one] = cases.filter(({ kind }) => kind.packed === packed && kind.indirect && kind.eventIndex);
      const { socket, ended } = host.inheritingDaemon();
      {
        using link = new GuestLink(one, socket);
        await exchangeAll(link, host.end);
      }
      const said = await ended;
      expect(said).toEndWith("exit code 0");
      expect(complaintsIn(said)).toEqual([]);
    }
  },
  TIMEOUT_MS,
);

test(
  "the same for rings without kick fds, which are polled, and which get kick fds then",
  async () => {
    const daemon = await host.listeningDaemon();
    for (const packed of [false, true]) {
      const [one] = cases.filter(({ kind }) => kind.packed === packed && kind.indirect && kind.eventIndex);
      using link = new GuestLink(one, daemon.socket, true);
      await exchangeAll(link, host.end);
      for (const { index, kickFd } of [link.frontEnd.rx, link.frontEnd.tx]) {
        link.frontEnd.request((need) => vringFdRequest("SET_VRING_KICK", { index, hasFd: true }, need), [kickFd]);
      }
      await exchangeAll(link, host.end);
    }
    expect(complaintsIn(daemon.log)).toEqual([]);
    expect(daemon.log.match(/is polled/g)).toHaveLength(4);
    expect(await daemon.stop()).toBe(0);
  },
  TIMEOUT_MS,
);

test(
  "firmware, boot loader and kernel: drivers of other kinds on one connection, one after the other",
  async () => {
    const { socket, ended } = host.inheritingDaemon();
    const layouts = { send: sendLayouts[1], receive: receiveLayouts[0], memory: memoryLayouts[0], offloads: false };
    const drivers = validKinds.filter(({ indirect, inOrder }) => !indirect && !inOrder);
    {
      using link = new GuestLink({ kind: drivers[0], ...layouts }, socket);
      for (const kind of drivers) {
        link.restart({ kind, ...layouts });
        await exchangeAll(link, host.end);
      }
    }
    expect(await ended).toEndWith("exit code 0");
  },
  TIMEOUT_MS,
);

test(
  "a driver that asks for what cannot be gets no worse than a refusal, and the next one is served",
  async () => {
    const daemon = await host.listeningDaemon();
    const [one] = cases;
    for (const kind of kinds.filter((other) => whyInvalid(other).length > 0)) {
      using link = new GuestLink(one, daemon.socket);
      const { control } = link.frontEnd;
      expect([0n, 1n]).toContain(control.acknowledged(u64Request("SET_FEATURES", featuresOf(kind, false), true)));
    }
    await play(one, daemon.socket);
    expect(await daemon.stop()).toBe(0);
  },
  TIMEOUT_MS,
);
