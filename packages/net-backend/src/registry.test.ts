import { expect, test } from "bun:test";
import { WindowTable } from "@passt-ts/iov/windows";
import type { NetBackend } from "./backend.ts";
import { type BackendKind, BackendNameError, BackendRegistry, UnknownBackendError } from "./registry.ts";
import { reservedKinds } from "./reserved-kinds.ts";
import { LoopbackBackend } from "./testing/loopback-backend.ts";

function kind(prefix: string, made: string[]): BackendKind<WindowTable> {
  return {
    prefix,
    create: (name: string, windows: WindowTable): NetBackend => {
      made.push(`${prefix} ${name}`);
      return new LoopbackBackend(windows, { waitingFrames: 1 });
    },
  };
}

test("a back-end is chosen by the prefix of its name", () => {
  const made: string[] = [];
  const registry = new BackendRegistry([kind("sockets", made), kind("tap:", made)]);
  registry.create("tap:tap0", new WindowTable());
  registry.create("sockets", new WindowTable());
  expect(made).toEqual(["tap: tap:tap0", "sockets sockets"]);
  expect(registry.prefixes).toEqual(["sockets", "tap:"]);
});

test("the first match wins", () => {
  const made: string[] = [];
  new BackendRegistry([kind("tap:fd=", made), kind("tap:", made)]).create("tap:fd=5", new WindowTable());
  expect(made).toEqual(["tap:fd= tap:fd=5"]);
});

test("no match is a clear error", () => {
  const registry = new BackendRegistry([kind("sockets", []), kind("tap:", [])]);
  for (const name of ["", "tap", "netmap:em0", "xsockets"]) {
    expect(() => registry.find(name)).toThrow(UnknownBackendError);
  }
  expect(() => registry.find("bridge")).toThrow('no back-end is named "bridge"; there are "sockets", "tap:"');
});

test("what a kind throws reaches the caller", () => {
  const registry = new BackendRegistry<null>([
    {
      prefix: "vmnet:",
      create: () => {
        throw new Error("vmnet is not on this system");
      },
    },
  ]);
  expect(() => registry.create("vmnet:x", null)).toThrow("vmnet is not on this system");
});

test("a name is checked without making anything, and before anything is made", () => {
  const made: string[] = [];
  const check = (name: string): void => {
    if (name !== "sockets") throw new BackendNameError(name, "nothing follows sockets");
  };
  const registry = new BackendRegistry([{ ...kind("sockets", made), check }, kind("tap:", made), ...reservedKinds]);
  for (const name of ["sockets", "tap:", "tap:x"]) registry.check(name);
  expect(() => registry.check("socketsfoo")).toThrow('back-end "socketsfoo": nothing follows sockets');
  expect(() => registry.create("socketsfoo", new WindowTable())).toThrow(BackendNameError);
  expect(() => registry.check("vale:0:1")).toThrow("reserved");
  expect(() => registry.check("tap")).toThrow(UnknownBackendError);
  expect(made).toEqual([]);
});

test("a kind that an earlier prefix hides is refused", () => {
  expect(() => new BackendRegistry([kind("tap", []), kind("tap:", [])])).toThrow('"tap" hides the back-end "tap:"');
});

test("names of other systems and of back-ends to come are refused with their reason", () => {
  const registry = new BackendRegistry<WindowTable>([kind("sockets", []), ...reservedKinds]);
  const create = (name: string) => () => registry.create(name, new WindowTable());
  expect(create("vmnet:en0")).toThrow('back-end "vmnet:en0": vmnet is not on Linux');
  for (const name of ["vmnet:", "netmap:em0", "vale:0:1"]) expect(create(name)).toThrow(BackendNameError);
  expect(create("netmap:em0")).toThrow("reserved");
  expect(create("vale")).toThrow(UnknownBackendError);
});

test("each instance is its own: what one was told is not what another was", () => {
  const registry = new BackendRegistry([kind("sockets", [])]);
  const windows = new WindowTable();
  const [one, other] = [registry.create("sockets", windows), registry.create("sockets", windows)];
  expect(one).not.toBe(other);
  one.setCapabilities(0, 12);
  expect((other as LoopbackBackend).headerLength).toBe(0);
  expect((one as LoopbackBackend).headerLength).toBe(12);
});
