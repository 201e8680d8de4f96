import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { FlowKey } from "./flow-key.ts";
import { FlowTable } from "./flow-table.ts";
import { SlotLists } from "./slot-list.ts";
import { TimerWheel } from "./timer-wheel.ts";

/** RssAnon of this process, in MiB. */
function residentMebibytes(): number {
  return Number(/RssAnon:\s+(\d+) kB/.exec(readFileSync("/proc/self/status", "utf8"))?.[1]) / 1024;
}

test("room for millions of flows, lists and timers costs no resident memory until it is used", () => {
  const capacity = 1 << 22;
  // More than 300 MiB as they are declared.
  const before = residentMebibytes();
  const table = new FlowTable(capacity, new Uint32Array(4));
  const lists = new SlotLists(capacity, 3);
  const wheel = new TimerWheel(capacity, 0);
  const key = new FlowKey();
  for (let port = 0; port < 100; port++) {
    key.setWords(6, new Uint32Array(4), 0, new Uint32Array(4), 0, port, 80);
    const flow = table.insert(key);
    lists.append(0, flow);
    wheel.schedule(flow, 1000);
  }
  expect([table.count, lists.lengths[0], wheel.deadlineMs]).toEqual([100, 100, 960]);
  expect(residentMebibytes() - before).toBeLessThan(64);
});
