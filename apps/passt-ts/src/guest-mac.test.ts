import { expect, test } from "bun:test";
import fc from "fast-check";
import { deriveGuestMac } from "./guest-mac.ts";

const OURS = Uint8Array.of(0x9a, 0x55, 0x9a, 0x55, 0x9a, 0x55);

test("it is a local unicast address, the same at each start, another one for another socket or machine", () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), fc.string(), (machine, path, otherPath) => {
      const mac = deriveGuestMac(machine, path, OURS);
      expect([mac.length, mac[0] & 3]).toEqual([6, 2]);
      expect(deriveGuestMac(machine, path, OURS)).toEqual(mac);
      fc.pre(path !== otherPath);
      expect(deriveGuestMac(machine, otherPath, OURS)).not.toEqual(mac);
    }),
  );
  expect(deriveGuestMac("one", "/tmp/a", OURS)).not.toEqual(deriveGuestMac("two", "/tmp/a", OURS));
});

test("it is never our own address (-M), and stays the same for every other one", () => {
  const mac = deriveGuestMac("machine", "/tmp/a", OURS);
  const instead = deriveGuestMac("machine", "/tmp/a", mac);
  expect(instead).not.toEqual(mac);
  expect(instead[0] & 3).toBe(2);
  expect(deriveGuestMac("machine", "/tmp/a", Uint8Array.of(2, 0, 0, 0, 0, 1))).toEqual(mac);
});
