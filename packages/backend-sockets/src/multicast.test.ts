import { expect, test } from "bun:test";
import { join } from "node:path";
import type { MulticastReport } from "./testing/multicast-in-namespace.ts";
import { reportFromNamespace } from "./testing/namespace.ts";

test("the guest's multicasts leave the host with its port and TTL, those to groups of the link too; nothing comes in", () => {
  const script = join(import.meta.dir, "testing/multicast-in-namespace.ts");
  const report = reportFromNamespace<MulticastReport>(script);
  const byPort = [...report.seen].sort((a, b) => a.sourcePort - b.sourcePort);
  const common = { destinationPort: 5353 };
  expect(byPort).toEqual([
    { ...common, group: "224.0.0.251", mac: "01005e0000fb", sourcePort: 40_100, hopLimit: 255, payload: [0, 7] },
    { ...common, group: "239.255.255.250", mac: "01005e7ffffa", sourcePort: 40_101, hopLimit: 4, payload: [1, 7] },
    {
      ...common,
      group: "ff0200000000000000000000000000fb",
      mac: "3333000000fb",
      sourcePort: 40_102,
      hopLimit: 255,
      payload: [2, 7],
    },
    {
      ...common,
      group: "ff150000000000000000000000001234",
      mac: "333300001234",
      sourcePort: 40_103,
      hopLimit: 3,
      payload: [3, 7],
    },
  ]);
  expect(report.toGuest).toBe(0);
});
