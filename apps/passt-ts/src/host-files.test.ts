import { expect, test } from "bun:test";
import { join } from "node:path";
import { reportFromNamespace } from "@passt-ts/backend-sockets/testing/namespace";
import { readFlowTimers } from "./host-files.ts";
import type { TimersReport } from "./testing/timers-in-namespace.ts";

/** Reads from settings as if they were files below /proc/sys/net/. */
const host = (settings: Readonly<Record<string, string>>) =>
  readFlowTimers((path) => settings[path.replace(/^\/proc\/sys\/net\//, "")] ?? "");

test("the host's settings of SYN resends, the longest timeout and the times of datagrams are the guest's", () => {
  const settings = {
    "ipv4/tcp_syn_linear_timeouts": "2\n",
    "ipv4/tcp_syn_retries": "3\n",
    "ipv4/tcp_rto_max_ms": "60000\n",
    "netfilter/nf_conntrack_udp_timeout": "20\n",
    "netfilter/nf_conntrack_udp_timeout_stream": "240\n",
  };
  expect(host(settings)).toEqual({
    tcp: { synLinearTimeouts: 2, synRetries: 3, rtoMaxMs: 60_000 },
    udp: { oneWayTimeoutMs: 20_000, bothWaysTimeoutMs: 240_000 },
  });
});

test("a setting that the kernel does not have, or that makes no sense, is left to the engines", () => {
  const settings = {
    "ipv4/tcp_syn_linear_timeouts": "-1",
    "ipv4/tcp_syn_retries": "0",
    "ipv4/tcp_rto_max_ms": "many",
    "netfilter/nf_conntrack_udp_timeout": "0",
  };
  expect([host({}), host(settings)]).toEqual([
    { tcp: {}, udp: {} },
    { tcp: {}, udp: {} },
  ]);
});

test("this machine's kernel has a number of SYN resends", () => {
  expect(readFlowTimers().tcp.synRetries).toBeGreaterThan(0);
});

test("on a host that gives up early a connection to a silent guest ends early, not after 19 s", () => {
  const report = reportFromNamespace<TimersReport>(join(import.meta.dir, "testing/timers-in-namespace.ts"));
  expect(report.ending).toBe("ECONNRESET");
  expect(report.seconds).toBeLessThan(12);
}, 40_000);
