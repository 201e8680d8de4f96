import { expect, test } from "bun:test";
import { u64Request } from "@passt-ts/vhost-user-proto/front-end";
import { LINES_LOGGED, RepeatedLines } from "./repeated-lines.ts";
import { DeviceRig } from "./testing/device-rig.ts";

test("the first lines of each kind are logged, and in the end how many more there were", () => {
  const logged: string[] = [];
  const lines = new RepeatedLines((level, text) => logged.push(`${level}: ${text}`));
  for (let i = 1; i <= LINES_LOGGED + 3; i++) lines.write("clouds", "info", `cloud ${i}`);
  lines.write("rain", "error", "it rains");
  expect(logged).toHaveLength(LINES_LOGGED + 1);
  expect(logged.slice(-2)).toEqual([`info: cloud ${LINES_LOGGED}`, "error: it rains"]);
  lines.close();
  lines.close();
  expect(logged.slice(LINES_LOGGED + 1)).toEqual(["warning: 3 more lines about clouds"]);
});

test("a ring that breaks, heals, stops and starts again and again does not fill the log, nor do memory tables", () => {
  using rig = new DeviceRig({ echo: true });
  using guest = rig.frontEnd().boot();
  const times = 100;
  let errors = 0;
  for (let i = 0; i < times; i++) {
    const used = Atomics.load(guest.tx.ring.used, 1);
    Atomics.store(guest.tx.ring.available, 1, (used + 5000) & 0xffff);
    guest.tx.kickAnyway();
    rig.pump();
    errors += guest.tx.takeErrors();
    guest.request((need) => u64Request("SET_FEATURES", guest.features, need));
    guest.shareMemory();
  }
  // The front-end hears of each.
  expect(errors).toBe(times);
  expect(rig.lines("ring broken")).toHaveLength(LINES_LOGGED);
  expect(rig.lines("guest memory:")).toHaveLength(LINES_LOGGED);
  guest.disconnect();
  rig.pump();
  expect(rig.lines("more lines")).toEqual([
    `warning: ${times - LINES_LOGGED} more lines about broken rings`,
    `warning: ${times + 1 - LINES_LOGGED} more lines about guest memory`,
  ]);
  // The next connection has lines of its own.
  using next = rig.frontEnd().boot();
  next.settle();
  expect(rig.lines("guest memory:")).toHaveLength(LINES_LOGGED + 1);
});
