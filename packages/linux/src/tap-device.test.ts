import { expect, test } from "bun:test";
import { interfaceHardwareAddress, interfaceIndex, interfaceMtu } from "./interface-status.ts";
import { Errno } from "./system-error.ts";
import { adoptTap, openTap } from "./tap-device.ts";
import { openFileCount } from "./testing/open-files.ts";
import { createSocketPair } from "./unix-socket.ts";

// What a tap does is tested where there is one: in a network namespace, by the back-end that uses it.

test("a descriptor that is no tap is refused and closed", () => {
  const before = openFileCount();
  const [left, right] = createSocketPair();
  expect(() => adoptTap(left)).toThrow(/TUNGETIFF descriptor \d+: /);
  right.close();
  expect(openFileCount()).toBe(before);
});

test("a name that no interface can have is refused, and nothing stays open", () => {
  const before = openFileCount();
  expect(() => openTap("")).toThrow("EINVAL");
  expect(() => openTap("x".repeat(16))).toThrow("EINVAL");
  expect(openFileCount()).toBe(before);
});

test("interfaces are found by name", () => {
  expect(interfaceIndex("lo")).toBe(1);
  expect(interfaceMtu("lo")).toBeGreaterThan(0);
  expect(interfaceIndex("no-such-thing")).toBe(-Errno.ENODEV);
  expect(interfaceMtu("a-name-longer-than-any")).toBe(-Errno.ENODEV);
  expect(interfaceHardwareAddress("lo")).toEqual(new Uint8Array(6));
  expect(interfaceHardwareAddress("no-such-thing")).toBe(null);
});
