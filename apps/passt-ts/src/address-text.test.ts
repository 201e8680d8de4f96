import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  formatAddress,
  formatMac,
  isIpv4,
  isUsableUnicast,
  parseAddress,
  parseMac,
  parseNetmask,
} from "./address-text.ts";

const words = fc.array(fc.integer({ min: 0, max: 0xffff_ffff }), { minLength: 4, maxLength: 4 });

describe("addresses", () => {
  test.each([
    ["192.0.2.1", [0, 0, 0xffff, 0xc0000201], "192.0.2.1"],
    ["255.255.255.255", [0, 0, 0xffff, 0xffffffff], "255.255.255.255"],
    ["2001:DB8:0:0::1", [0x20010db8, 0, 0, 1], "2001:db8::1"],
    ["[::1]", [0, 0, 0, 1], "::1"],
    ["[192.0.2.1]", [0, 0, 0xffff, 0xc0000201], "192.0.2.1"],
    ["::", [0, 0, 0, 0], "::"],
    ["::ffff:192.0.2.1", [0, 0, 0xffff, 0xc0000201], "192.0.2.1"],
    ["[::ffff:c000:201]", [0, 0, 0xffff, 0xc0000201], "192.0.2.1"],
  ])("%s", (text, expected, formatted) => {
    const address = parseAddress(text, "-a");
    expect([...address]).toEqual(expected);
    expect(formatAddress(address)).toBe(formatted);
    expect(isIpv4(address)).toBe(expected[2] === 0xffff);
  });

  test.each([
    "",
    "1.2.3",
    "127.1",
    "1.2.3.4.5",
    "256.1.1.1",
    "0x1.2.3.4",
    "01.2.3.4",
    "1.2.3.4/24",
    "a.b.c.d",
    ":",
    "1:2",
    "fe80::1%lo",
    "::1.2.3.4",
    "[::1",
    "::1]",
    " ::1",
  ])("'%s' is refused with one line that names the option", (text) => {
    expect(() => parseAddress(text, "-a")).toThrow(/^-a: [^\n]+$/);
  });

  test("what is formatted is parsed to the same words", () => {
    fc.assert(
      fc.property(words, (values) => {
        const address = Uint32Array.from(values);
        fc.pre(!isIpv4(address));
        expect(parseAddress(formatAddress(address), "")).toEqual(address);
        const ipv4 = Uint32Array.of(0, 0, 0xffff, values[3]);
        expect(parseAddress(formatAddress(ipv4), "")).toEqual(ipv4);
      }),
    );
  });

  test("usable ones, and those that no host can have", () => {
    const usable = (text: string) => isUsableUnicast(parseAddress(text, ""));
    for (const text of ["192.0.2.1", "10.0.0.1", "169.254.1.1", "2001:db8::1", "fe80::1", "fd00::1"]) {
      expect([text, usable(text)]).toEqual([text, true]);
    }
    for (const text of ["0.0.0.0", "127.0.0.1", "127.9.9.9", "224.0.0.1", "255.255.255.255", "::", "::1", "ff02::1"]) {
      expect([text, usable(text)]).toEqual([text, false]);
    }
  });
});

describe("netmasks", () => {
  test("every number of bits, dotted or not", () => {
    for (let bits = 0; bits <= 32; bits++) {
      const mask = bits === 0 ? 0 : (0xffff_ffff << (32 - bits)) >>> 0;
      const dotted = [24, 16, 8, 0].map((shift) => (mask >>> shift) & 255).join(".");
      expect([parseNetmask(String(bits), "-n"), parseNetmask(dotted, "-n")]).toEqual([bits, bits]);
    }
  });

  test("bits in any base", () => {
    expect(["0x18", "030", "+24", " 24"].map((text) => parseNetmask(text, "-n"))).toEqual([24, 24, 24, 24]);
  });

  test.each(["33", "-1", "", "255.0.255.0", "0.0.0.255", "255.255.255", "24.5", "0x21", "24 "])(
    "'%s' is refused",
    (text) => {
      expect(() => parseNetmask(text, "-n")).toThrow(/^-n: [^\n]+$/);
    },
  );
});

describe("MAC addresses", () => {
  test("with colons, in any case, and back", () => {
    expect([...parseMac("52:54:00:AB:cd:09", "-M")]).toEqual([0x52, 0x54, 0, 0xab, 0xcd, 9]);
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 6, maxLength: 6 }), (mac) => {
        expect(parseMac(formatMac(mac), "-M")).toEqual(Uint8Array.from(mac));
      }),
    );
  });

  test.each([
    ...["", "52:54:00:ab:cd", "52:54:00:ab:cd:09:01", "5:54:00:ab:cd:09", "gg:54:00:ab:cd:09", "525400abcd09"],
    ...["52-54-00-ab-cd-09", "52:54:00-ab:cd:09"],
  ])("'%s' is refused", (text) => {
    expect(() => parseMac(text, "-M")).toThrow(/^-M: [^\n]+$/);
  });
});
