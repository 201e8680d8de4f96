import { expect, test } from "bun:test";
import { forwardLines } from "./forward-report.ts";
import { parseForwards } from "./forward-spec.ts";

const lines = (...texts: string[]) => forwardLines(parseForwards("tcp", texts, { first: 32768, last: 60999 }));

test("a line for each range of ports that leads to a range, however it was written", () => {
  expect(lines("2222:22", "8000-8009:80-89,8010:90", "8011:80")).toEqual([
    "forward: TCP 2222 to 22",
    "forward: TCP 8000-8010 to 80-90",
    "forward: TCP 8011 to 80",
  ]);
});

test("where it listens and to whom it leads; the same ports at two addresses are two ranges", () => {
  expect(lines("127.0.0.1%lo/22-23:10.0.0.9/1022-1023", "[::1]/22-23")).toEqual([
    "forward: TCP 127.0.0.1%lo/22-23 to 10.0.0.9/1022-1023",
    "forward: TCP [::1]/22-23 to 22-23",
  ]);
});

test("of all ports those that are free, cut where ports are left out", () => {
  expect(lines("~100")).toEqual([
    "forward: TCP 1-99 to 1-99, those that are free",
    "forward: TCP 101-32767 to 101-32767, those that are free",
    "forward: TCP 61000-65535 to 61000-65535, those that are free",
  ]);
});
