import { expect, test } from "bun:test";
import { groupNamed, userNamed, userNumbered } from "./user-database.ts";

test("users and groups that every system has", () => {
  expect(userNamed("root")).toEqual({ uid: 0, gid: 0 });
  expect(userNumbered(0)).toEqual({ uid: 0, gid: 0 });
  expect(userNamed("nobody")?.uid).toBe(65534);
  expect(groupNamed("root")).toBe(0);
});

test("what nobody is called, and no number of anybody", () => {
  expect(userNamed("no such user")).toBe(null);
  expect(userNumbered(0xffff_fffe)).toBe(null);
  expect(groupNamed("no such group")).toBe(null);
});
