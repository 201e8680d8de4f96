// The host of a measurement: a bed whose kernel sends TCP as most hosts do.

import type { HostNamespace } from "../guests/namespace.ts";
import { TestBed } from "../guests/test-bed.ts";

/**
 * What decides how fast the host's own TCP sends: cubic, which hosts have unless somebody chose another, or Reno where a
 * namespace may not choose that one. BBR, for one, paces: a sender on the host then waits for timers, not for a daemon.
 */
const usual = ["cubic", "reno"] as const;

/** Sets the congestion control of a host; its name. */
function setCongestionControl(host: HostNamespace): string {
  const names = usual.map((name) => `echo ${name} >$file`).join(" || ");
  const script = `file=/proc/sys/net/ipv4/tcp_congestion_control; { ${names}; } 2>/dev/null; cat $file`;
  return host.run(["sh", "-c", script]).trim();
}

/** A bed for a measurement. */
export async function createBenchBed(): Promise<TestBed> {
  const bed = await TestBed.create({ compile: false, open: true });
  setCongestionControl(bed.host);
  return bed;
}

/** The congestion control that the beds have here. */
export async function benchCongestionControl(): Promise<string> {
  await using bed = await TestBed.create({ compile: false, open: true });
  return setCongestionControl(bed.host);
}
