import { beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { reportFromNamespace } from "./testing/namespace.ts";
import type { PathReport } from "./testing/path-errors-in-namespace.ts";
import { FAR4, FAR6, FORBIDDEN4, FORBIDDEN6, ROUTER4, ROUTER6, UNREACHABLE4, UNREACHABLE6 } from "./testing/router.ts";

const text4 = (value: number): string => `0:0:ffff:${value.toString(16)}`;
const text6 = (words: Uint32Array): string => [...words].map((word) => word.toString(16)).join(":");

/** Type and code of the messages, by family. */
const FAMILIES = [
  {
    family: "IPv4",
    index: 0,
    router: text4(ROUTER4),
    far: text4(FAR4),
    unreachable: text4(UNREACHABLE4),
    forbidden: text4(FORBIDDEN4),
    timeExceeded: [11, 0],
    portUnreachable: [3, 3],
    echoReply: [0, 0],
    hostUnreachable: [3, 1],
    // What the router forbids, connect() calls unreachable.
    prohibited: [3, 1],
  },
  {
    family: "IPv6",
    index: 1,
    router: text6(ROUTER6),
    far: text6(FAR6),
    unreachable: text6(UNREACHABLE6),
    forbidden: text6(FORBIDDEN6),
    timeExceeded: [3, 0],
    portUnreachable: [1, 4],
    echoReply: [129, 0],
    hostUnreachable: [1, 0],
    prohibited: [1, 1],
  },
];

let report: PathReport;
// One namespace serves both families.
beforeAll(() => {
  report = reportFromNamespace<PathReport>(join(import.meta.dir, "testing/path-errors-in-namespace.ts"));
}, 30_000);

describe.each(FAMILIES)("over $family, through a router", (family) => {
  const { index } = family;

  test("traceroute by UDP shows the router, then the far host, each quoting exactly what the guest sent", () => {
    const [first, second] = report.udpTrace[index];
    expect([first.type, first.code, first.source]).toEqual([...family.timeExceeded, family.router]);
    expect([second.type, second.code, second.source]).toEqual([...family.portUnreachable, family.far]);
    expect([first.isExactQuote, second.isExactQuote]).toEqual([true, true]);
  });

  test("traceroute by echo shows the router, which quotes exactly what the guest sent, then the far host's reply", () => {
    const [first, second] = report.pingTrace[index];
    expect([first.type, first.code, first.source]).toEqual([...family.timeExceeded, family.router]);
    expect([second.type, second.code, second.source]).toEqual([...family.echoReply, family.far]);
    expect(first.isExactQuote).toBe(true);
  });

  test("an unreachable network is told to the guest's UDP by the router's message", () => {
    const { type, source, isExactQuote } = report.udpUnreachable[index];
    expect([type, source, isExactQuote]).toEqual([family.hostUnreachable[0], family.router, true]);
  });

  test("an unreachable network ends the guest's connect() with the error that ours had, instead of a RST", () => {
    const { type, code, source, isExactQuote } = report.tcpUnreachable[index];
    expect([type, code, source]).toEqual([...family.hostUnreachable, family.unreachable]);
    expect(isExactQuote).toBe(true);
  });

  test("so does one that is forbidden", () => {
    const { type, code, source } = report.tcpForbidden[index];
    expect([type, code, source]).toEqual([...family.prohibited, family.forbidden]);
  });

  test("a closed port of the far host is a RST, and no ICMP", () => {
    expect(report.tcpClosedPort[index]).toEqual({ resets: 1, errors: 0 });
  });

  test("nothing is left behind", () => {
    expect([report.flowsLeft, report.leakedFiles]).toEqual([0, 0]);
  });
});
