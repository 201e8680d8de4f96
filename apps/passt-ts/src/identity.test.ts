import { expect, test } from "bun:test";
import { hasSetUid, identityFor, isFirstMap, readStarter } from "./identity.ts";

const ROOT = { uid: 0, inFirstUserNamespace: true, mayChangeUser: true };
const USER = { ...ROOT, uid: 1000, mayChangeUser: false };
const NAMESPACE_ROOT = { ...ROOT, inFirstUserNamespace: false };

test("root becomes nobody unless told otherwise; whoever else, and root of a user namespace, stays", () => {
  expect(identityFor(undefined, ROOT)?.uid).toBe(65534);
  expect(identityFor(undefined, USER)).toBe(null);
  expect(identityFor(undefined, NAMESPACE_ROOT)).toBe(null);
});

test("--runas: user and group, by number or name; the group is the user's own when none is given", () => {
  expect(identityFor("1234:5678", ROOT)).toEqual({ uid: 1234, gid: 5678 });
  expect(identityFor("4000000000", ROOT)).toEqual({ uid: 4000000000, gid: 4000000000 });
  expect(identityFor("nobody:root", ROOT)).toEqual({ uid: 65534, gid: 0 });
  expect(identityFor("1000:12", USER)).toEqual({ uid: 1000, gid: 12 });
  expect(identityFor("0x4d2: 02215", ROOT)).toEqual({ uid: 1234, gid: 1165 });
});

test("unlike passt: --runas with an empty group: the user's own, not that of root", () => {
  expect(identityFor("4000000000:", ROOT)).toEqual({ uid: 4000000000, gid: 4000000000 });
  expect(identityFor("nobody:", ROOT)).toEqual(identityFor("nobody", ROOT));
});

test("root is refused to root that could be somebody else; in a user namespace, or without that right, it stays what it is", () => {
  for (const text of ["root", "0", "0:0", "0:1000"]) {
    expect(() => identityFor(text, ROOT)).toThrow(/^--runas: '[^']+' is root, [^\n]+$/);
    expect(identityFor(text, NAMESPACE_ROOT)?.uid).toBe(0);
    expect(identityFor(text, { ...ROOT, mayChangeUser: false })?.uid).toBe(0);
  }
});

test.each(["no such user", "nobody:no such group", "", ":", ":0", "1:2:3", "-1", "4294967295", "99999999999"])(
  "unlike passt in a user namespace: --runas %p is refused with one line",
  (text) => {
    expect(() => identityFor(text, ROOT)).toThrow(/^--runas: [^\n]+$/);
    expect(() => identityFor(text, NAMESPACE_ROOT)).toThrow(/^--runas: [^\n]+$/);
  },
);

test("the right to become somebody else is a bit among the capabilities in effect", () => {
  expect(hasSetUid("Name:\tx\nCapEff:\t0000000000000080\nCapBnd:\t0000000000000000\n")).toBe(true);
  expect(hasSetUid("Name:\tx\nCapEff:\t000001ffffffff7f\nCapBnd:\t000001ffffffffff\n")).toBe(false);
  expect(hasSetUid("")).toBe(false);
});

test("a map of user ids that leaves all as they are is that of the first namespace", () => {
  expect(isFirstMap("         0          0 4294967295\n")).toBe(true);
  expect(isFirstMap("         0       1000          1\n")).toBe(false);
  expect(isFirstMap("0 0 1000\n1000 1000 4294966295\n")).toBe(false);
  expect(readStarter().uid).toBe(process.geteuid?.() ?? -1);
});
