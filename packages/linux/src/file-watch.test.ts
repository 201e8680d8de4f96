import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { appendFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EpollEvent, EventLoop } from "./event-loop.ts";
import { FileWatch } from "./file-watch.ts";
import { openFileCount } from "./testing/open-files.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "file-watch-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const at = (...names: string[]): string => join(folder, ...names);

describe("a watched file has changed when it", () => {
  test.each<[string, (path: string) => void]>([
    ["was written", (path) => writeFileSync(path, "new")],
    ["was appended to", (path) => appendFileSync(path, "more")],
    ["was removed", (path) => rmSync(path)],
    [
      "was replaced by another one",
      (path) => {
        writeFileSync(`${path}.new`, "new");
        renameSync(`${path}.new`, path);
      },
    ],
    ["was moved away", (path) => renameSync(path, `${path}.old`)],
  ])("%s, and again after that", (_how, change) => {
    writeFileSync(at("file"), "old");
    using watch = new FileWatch(at("file"));
    expect(watch.take()).toBe(false);
    for (let i = 0; i < 3; i++) {
      change(at("file"));
      expect(watch.take()).toBe(true);
      writeFileSync(at("file"), "old");
      watch.take();
      expect(watch.take()).toBe(false);
    }
  });

  test("came into being, as did the folders on the way to it", () => {
    using watch = new FileWatch(at("a", "b", "file"));
    mkdirSync(at("a"));
    expect(watch.take()).toBe(true);
    mkdirSync(at("a", "b"));
    expect(watch.take()).toBe(true);
    writeFileSync(at("a", "b", "file"), "");
    expect(watch.take()).toBe(true);
  });
});

test("a file beside it does not matter", () => {
  writeFileSync(at("file"), "old");
  using watch = new FileWatch(at("file"));
  writeFileSync(at("other"), "new");
  renameSync(at("other"), at("another"));
  expect(watch.take()).toBe(false);
});

test("symbolic links are followed: what they point to, and where they point", () => {
  mkdirSync(at("run"));
  writeFileSync(at("run", "stub"), "old");
  writeFileSync(at("run", "full"), "old");
  symlinkSync("run/stub", at("link"));
  symlinkSync(at("link"), at("file"));
  using watch = new FileWatch(at("file"));
  const changes: boolean[] = [];
  const step = (change: () => void) => {
    change();
    changes.push(watch.take());
  };
  step(() => writeFileSync(at("run", "full"), "1"));
  step(() => writeFileSync(at("run", "stub"), "2"));
  step(() => {
    writeFileSync(at("run", "new"), "3");
    renameSync(at("run", "new"), at("run", "stub"));
  });
  step(() => {
    rmSync(at("link"));
    symlinkSync("run/full", at("link"));
  });
  step(() => writeFileSync(at("run", "stub"), "4"));
  step(() => writeFileSync(at("run", "full"), "5"));
  expect(changes).toEqual([false, true, true, true, false, true]);
});

test("links that lead in a circle are no trouble", () => {
  symlinkSync("two", at("one"));
  symlinkSync("one", at("two"));
  using watch = new FileWatch(at("one"));
  rmSync(at("two"));
  expect(watch.take()).toBe(true);
});

test("an event loop is told, and closing gives everything back", () => {
  const before = openFileCount();
  writeFileSync(at("file"), "old");
  const watch = new FileWatch(at("file"));
  using loop = new EventLoop();
  let told = 0;
  const registration = loop.add(watch.fd, EpollEvent.readable | EpollEvent.edgeTriggered, { onEvent: () => told++ }, 0);
  writeFileSync(at("file"), "new");
  loop.wait(1000);
  writeFileSync(at("file"), "newer");
  loop.wait(1000);
  expect(told).toBe(2);
  loop.remove(registration);
  loop.close();
  watch.close();
  expect(openFileCount()).toBe(before);
});
