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
    expect(parse("/22")[0]).toMatchObject({ address: null, interfaceName: null, port: 22 });
  });

  test("another address behind the guest, where one is listened at", () => {
    const of = (text: string) =>
      parse(text).map(({ port, targetPort, targetAddress }) => [
        port,
        targetAddress === null ? null : formatAddress(targetAddress),
        targetPort,
      ]);
    expect(of("192.0.2.2/22:10.0.0.5/80")).toEqual([[22, "10.0.0.5", 80]]);
    expect(of("192.0.2.2/22-23:10.0.0.5")).toEqual([
      [22, "10.0.0.5", 22],
      [23, "10.0.0.5", 23],
    ]);
    expect(of("192.0.2.2/22-23:10.0.0.5/80-81")).toEqual([
      [22, "10.0.0.5", 80],
      [23, "10.0.0.5", 81],
    ]);
    expect(of("0.0.0.0/22:80,23:10.0.0.5/81")).toEqual([
      [22, null, 80],
      [23, "10.0.0.5", 81],
    ]);
    expect(of("[2001:db8::2]/22:[2001:db8::9]/80")).toEqual([[22, "2001:db8::9", 80]]);
    expect(of("2001:db8::2/22:2001:db8::9/80")).toEqual([[22, "2001:db8::9", 80]]);
    expect(of("::/22:2001:db8::9")).toEqual([[22, "2001:db8::9", 22]]);
    expect(of("192.0.2.2/22:0.0.0.0/80")).toEqual([[22, null, 80]]);
    const all = parse("192.0.2.2/all:10.0.0.5");
    expect(all.length).toBe(65535 - (60999 - 32768 + 1));
    expect(all.every(({ targetAddress }) => targetAddress?.[3] === 0x0a000005)).toBe(true);
  });

  test("unlike passt: 'all' together with ports of its own leads those elsewhere, and they are no best effort", () => {
    for (const text of ["all,22:23", "22:23,all"]) {
      const forwards = parse(text);
      expect(forwards.find(({ port }) => port === 22)).toMatchObject({ targetPort: 23, bestEffort: false });
      expect(forwards.find(({ port }) => port === 80)).toMatchObject({ targetPort: 80, bestEffort: true });
    }
  });

  test("ports may be left out of what is asked for by number, all of them even; port 0 can be left out only", () => {
    expect(ports("~22,23")).toEqual([[23, 23]]);
    expect(parse("22,~22")).toEqual([]);
    expect(ports("22,~0")).toEqual([[22, 22]]);
    expect(ports("60990-61000,~60991-61000")).toEqual([[60990, 60990]]);
  });

  test.each([
    [["22", "22"], "22:22"],
    [["22,20-30"], "port 22"],
    [["22-25", "24:1024"], "24:24 and 24:1024"],
    [["22", "127.0.0.1/22"], "22:22 and 127.0.0.1/22:22"],
    [["127.0.0.1/22", "22"], "127.0.0.1/22:22 and 22:22"],
    [["::/22", "22"], "[::]/22:22 and 22:22"],
    [["%lo/22", "22"], "%lo/22:22 and 22:22"],
    [["all", "22"], "port 22"],
    [["~80", "22"], "port 22"],
  ])("%p: a port that two forwards could take is refused, and both are named", (texts, named) => {
    expect(() => parse(...texts)).toThrow(/^-t: port \d+ is forwarded twice/);
    expect(() => parse(...texts)).toThrow(named);
  });

  test("on another address, another interface or of another protocol the same port is fine", () => {
    expect(parse("127.0.0.1/22", "192.0.2.1/22").length).toBe(2);
    expect(parse("0.0.0.0/22", "::/22").length).toBe(2);
    expect(parse("%lo/22", "%eth0/22").length).toBe(2);
  });

  test.each([
    "0",
    "65536",
    "",
    "a",
    "5-4",
    "10-20:30-35",
    "22-23:24",
    "22:23-24",
    "65000-65535:65500",
    "1.2.3/22",
    "1.2.3.4%/22",
    "%/22",
    "%a%b/22",
    "22:",
    "22,",
    "22 ",
    "auto",
    "-5",
    "1-2-3",
    "0x16",
    "~22:23",
    "22:10.0.0.5/80",
    "all:10.0.0.5",
    "22-23:10.0.0.5",
    "192.0.2.2/22:/80",
    "192.0.2.2/22:10.0.0.5/",
    "192.0.2.2/22:2001:db8::9/80",
    "[2001:db8::2]/22:10.0.0.5/80",
    "192.0.2.2/22:224.0.0.1/80",
  ])("'%s' is refused with one line", (text) => {
    expect(() => parse(text)).toThrow(/^-t: [^\n]+$/);
  });

  test.each([
    [" 22", [[22, 22]]],
    ["+22", [[22, 22]]],
    [
      "22, +23:\t+80",
      [
        [22, 22],
        [23, 80],
      ],
    ],
    [
      " 22-+23: 80- 81",
      [
        [22, 80],
        [23, 81],
      ],
    ],
    [
      "22-24,~ +23",
      [
        [22, 22],
        [24, 24],
      ],
    ],
    ["127.0.0.1/ 22", [[22, 22]]],
    ["::ffff:127.0.0.1/22", [[22, 22]]],
  ])("'%s': spaces and signs before a number are taken as strtoul(3) takes them", (text, expected) => {
    expect(ports(text)).toEqual(expected);
  });

  test("none may only come first", () => {
    expect(parse("none")).toEqual([]);
    expect(parse("none", "22").length).toBe(1);
    expect(() => parse("22", "none")).toThrow("none");
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
