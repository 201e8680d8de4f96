import { expect, test } from "bun:test";
import { identityFor, isFirstMap, readStarter } from "./identity.ts";

const ROOT = { uid: 0, inFirstUserNamespace: true };

test("root becomes nobody unless told otherwise; whoever else, and root of a user namespace, stays", () => {
  expect(identityFor(undefined, ROOT)?.uid).toBe(65534);
  expect(identityFor(undefined, { uid: 1000, inFirstUserNamespace: true })).toBe(null);
  expect(identityFor(undefined, { uid: 0, inFirstUserNamespace: false })).toBe(null);
});

test("--runas: user and group, by number or name; the group is the user's own when none is given", () => {
  expect(identityFor("1234:5678", ROOT)).toEqual({ uid: 1234, gid: 5678 });
  expect(identityFor("4000000000", ROOT)).toEqual({ uid: 4000000000, gid: 4000000000 });
  expect(identityFor("root", ROOT)).toEqual({ uid: 0, gid: 0 });
  expect(identityFor("0", ROOT)).toEqual({ uid: 0, gid: 0 });
  expect(identityFor("nobody:root", ROOT)).toEqual({ uid: 65534, gid: 0 });
  expect(identityFor("1000:12", { uid: 1000, inFirstUserNamespace: true })).toEqual({ uid: 1000, gid: 12 });
});

test.each(["no such user", "nobody:no such group", "", ":", "nobody:", "1:2:3", "-1", "4294967295", "99999999999"])(
  "--runas %p is refused with one line",
  (text) => {
    expect(() => identityFor(text, ROOT)).toThrow(/^--runas: [^\n]+$/);
  },
);

test("a map of user ids that leaves all as they are is that of the first namespace", () => {
  expect(isFirstMap("         0          0 4294967295\n")).toBe(true);
  expect(isFirstMap("         0       1000          1\n")).toBe(false);
  expect(isFirstMap("0 0 1000\n1000 1000 4294966295\n")).toBe(false);
  expect(readStarter().uid).toBe(process.geteuid?.() ?? -1);
});
