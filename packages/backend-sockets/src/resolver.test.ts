import { beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { reportFromNamespace } from "./testing/namespace.ts";
import type { ResolverReport } from "./testing/resolver-in-namespace.ts";

describe("the resolver's address on the guest's link (--dns-forward)", () => {
  let report: ResolverReport;
  beforeAll(() => {
    report = reportFromNamespace<ResolverReport>(join(import.meta.dir, "testing/resolver-in-namespace.ts"));
  });

  test.each([
    ["IPv4", [0, 0, 0xffff, 0x0a000035]],
    ["IPv6", [0x20010db8, 0, 0, 0x35]],
  ] as const)(
    "leads datagrams for ports 53 and 853 to the host's resolver, answers come from it: %s",
    (family, address) => {
      expect(family === "IPv4" ? report.udp4 : report.udp6).toEqual(
        [53, 853].map((port) => ({
          asked: [1, port & 255],
          answered: [2, port & 255],
          from: [...address, port],
        })),
      );
    },
  );

  test("leads connections to ports 53 and 853 there as well, though the host's loopback is out of reach", () => {
    expect(report.tcp).toEqual([
      [3, 53],
      [3, 85],
      [3, 53],
      [3, 85],
    ]);
  });

  test("is an ordinary address on every other port", () => {
    expect(report.otherPort).toBe(0);
  });

  test("comes before the host's loopback where one address means both", () => {
    expect(report.shared).toEqual(["resolver", "loopback"]);
  });
});
