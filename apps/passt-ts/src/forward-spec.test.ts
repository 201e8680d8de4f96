import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { formatAddress } from "./address-text.ts";
import { parseForwards } from "./forward-spec.ts";

const EPHEMERAL = { first: 32768, last: 60999 };
const parse = (...texts: string[]) => parseForwards("tcp", texts, EPHEMERAL);
const ports = (...texts: string[]) => parse(...texts).map((forward) => [forward.port, forward.targetPort]);

describe("the grammar of -t and -u", () => {
  test("a port, a list, a range", () => {
    expect(ports("22")).toEqual([[22, 22]]);
    expect(ports("80,22")).toEqual([
      [22, 22],
      [80, 80],
    ]);
    expect(ports("5000-5002")).toEqual([
      [5000, 5000],
      [5001, 5001],
      [5002, 5002],
    ]);
  });

  test("other ports of the guest", () => {
    expect(ports("2222:22")).toEqual([[2222, 22]]);
    expect(ports("8000-8001:80-81")).toEqual([
      [8000, 80],
      [8001, 81],
    ]);
  });

  test("excludes win over includes", () => {
    expect(ports("5000-5003,~5001-5002")).toEqual([
      [5000, 5000],
      [5003, 5003],
    ]);
  });

  test("all, and excludes only, leave the ephemeral ports out and are best effort", () => {
    const all = parse("all");
    expect(all.length).toBe(65535 - (60999 - 32768 + 1));
    expect(all.every((forward) => forward.bestEffort)).toBe(true);
    expect(parse("~22").length).toBe(all.length - 1);
    expect(parse("22")[0].bestEffort).toBe(false);
  });

  test("bound to an address or an interface", () => {
    const [v4] = parse("192.0.2.1/22");
    expect([formatAddress(v4.address ?? new Uint32Array(4)), v4.port]).toEqual(["192.0.2.1", 22]);
    const [v6] = parse("[2001:db8::1]/22");
    expect(formatAddress(v6.address ?? new Uint32Array(4))).toBe("2001:db8::1");
    const [bare] = parse("2001:db8::1/22:23");
    expect([formatAddress(bare.address ?? new Uint32Array(4)), bare.targetPort]).toEqual(["2001:db8::1", 23]);
    const [device] = parse("127.0.0.1%lo/22");
    expect(device.interfaceName).toBe("lo");
    const [anyAddress] = parse("%eth0/22");
    expect([anyAddress.address, anyAddress.interfaceName]).toEqual([null, "eth0"]);
  });

  test("the same port twice is refused, on another address it is not", () => {
    expect(() => parse("22", "22")).toThrow("port 22 is forwarded twice");
    expect(() => parse("22,20-30")).toThrow("port 22 is forwarded twice");
    expect(parse("127.0.0.1/22", "192.0.2.1/22").length).toBe(2);
  });

  test.each([
    "0",
    "65536",
    "",
    "a",
    "5-4",
    "10-20:30-35",
    "65000-65535:65500",
    "1.2.3/22",
    "/22",
    "1.2.3.4%/22",
    "22:",
    "auto",
    "-5",
    "1-2-3",
    "22:10.0.0.5/80",
  ])("'%s' is refused with one line", (text) => {
    expect(() => parse(text)).toThrow(/^-t: [^\n]+$/);
  });

  test("none stands alone", () => {
    expect(parse("none")).toEqual([]);
    expect(() => parse("none", "22")).toThrow("none");
  });

  test("no text makes the parser fail in any other way", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(..."0123456789,-~:/[]%al."), maxLength: 20 }), (text) => {
        try {
          parse(text);
        } catch (error) {
          expect((error as { code?: string }).code).toBe("USAGE");
        }
      }),
    );
  });
});
