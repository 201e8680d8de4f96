import { expect, test } from "bun:test";
import { WindowTable } from "@passt-ts/iov/windows";
import { EventLoop } from "@passt-ts/linux/event-loop";
import { openFileCount } from "@passt-ts/linux/testing/open-files";
import { createSocketPair } from "@passt-ts/linux/unix-socket";
import { BackendNameError, BackendRegistry } from "@passt-ts/net-backend/registry";
import { reservedKinds } from "@passt-ts/net-backend/reserved-kinds";
import { parseTapName, type TapContext, tapKinds } from "./tap-kinds.ts";

const registry = new BackendRegistry<TapContext>([...tapKinds, ...reservedKinds]);

test("a name means an interface, or a descriptor", () => {
  expect(parseTapName("tap:tap0")).toEqual({ interfaceName: "tap0" });
  expect(parseTapName("tap:fifteen-bytes-x")).toEqual({ interfaceName: "fifteen-bytes-x" });
  expect(parseTapName("tap:fd")).toEqual({ interfaceName: "fd" });
  expect(parseTapName("tap:fd=3")).toEqual({ fd: 3 });
});

test("a name that makes no sense is refused with its reason", () => {
  const rows: readonly (readonly [string, string])[] = [
    ["tap:", "the name of an interface is missing"],
    ["tap:sixteen-bytes-xx", "at most 15 bytes"],
    ["tap:a/b", "not a name that an interface can have"],
    ["tap:a b", "not a name"],
    ["tap:tap%d", "not a name"],
    ["tap:..", "not a name"],
    ["tap:fd=", '"" is no file descriptor'],
    ["tap:fd=x", '"x" is no file descriptor'],
    ["tap:fd=-1", "no file descriptor"],
    ["tap:fd=1", "descriptor 1 is a standard stream"],
  ];
  for (const [name, problem] of rows) {
    expect(() => registry.check(name)).toThrow(BackendNameError);
    expect(() => registry.check(name)).toThrow(problem);
  }
});

test("a descriptor that is no tap is refused, and nothing stays open", () => {
  const before = openFileCount();
  using loop = new EventLoop();
  const windows = new WindowTable();
  const [left, right] = createSocketPair();
  const name = `tap:fd=${left.take()}`;
  expect(() => registry.create(name, { loop, windows, report: () => {} })).toThrow(BackendNameError);
  right.close();
  loop.close();
  expect([windows.count, openFileCount()]).toEqual([0, before]);
});
