import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createEventFd } from "./eventfd.ts";
import { closeFd, OwnedFd } from "./owned-fd.ts";
import { Errno, SystemError } from "./system-error.ts";
import { openFileCount, openFiles } from "./testing/open-files.ts";
import { MESSAGE_FDS_MAX, UnixMessages } from "./unix-message.ts";
import {
  acceptUnix,
  connectUnix,
  createSocketPair,
  isConnectedUnix,
  listenUnix,
  peerCredentials,
} from "./unix-socket.ts";

const directory = mkdtempSync(join(tmpdir(), "unix-socket-"));
afterAll(() => rmSync(directory, { recursive: true }));

test("a path is listened at, connected to and accepted from", () => {
  const before = openFileCount();
  {
    const path = join(directory, "listen");
    using listener = listenUnix({ path, backlog: 1, mode: 0o600 });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(acceptUnix(listener.fd)).toBe(-Errno.EAGAIN);
    using client = connectUnix(path);
    using server = new OwnedFd(acceptUnix(listener.fd));
    expect(peerCredentials(server.fd)).toEqual({
      pid: process.pid,
      uid: process.getuid?.() ?? -1,
      gid: process.getgid?.() ?? -1,
    });
    const messages = new UnixMessages();
    expect(messages.send(client.fd, new Uint8Array([1, 2, 3]), 2)).toBe(2);
    const bytes = new Uint8Array(8).fill(0xa5);
    expect(messages.receive(server.fd, bytes, 1, 7, new Int32Array(0))).toBe(2);
    expect([...bytes]).toEqual([0xa5, 1, 2, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5]);
    expect(messages.receive(server.fd, bytes, 0, 8, new Int32Array(0))).toBe(-Errno.EAGAIN);
    client.close();
    expect(messages.receive(server.fd, bytes, 0, 8, new Int32Array(0))).toBe(0);
    expect(messages.send(server.fd, bytes, 8)).toBe(-Errno.EPIPE);
  }
  expect(openFileCount()).toBe(before);
});

test("a live path is refused, a stale one is taken over, a file that is no socket stays", () => {
  const before = openFileCount();
  const path = join(directory, "twice");
  const first = listenUnix({ path });
  let refusal: unknown;
  try {
    listenUnix({ path });
  } catch (error) {
    refusal = error;
  }
  expect(refusal).toBeInstanceOf(SystemError);
  expect((refusal as SystemError).code).toBe("EADDRINUSE");
  expect((refusal as SystemError).message).toContain(path);
  first.close();
  expect(existsSync(path)).toBe(true);
  listenUnix({ path }).close();

  const file = join(directory, "plain");
  writeFileSync(file, "keep");
  expect(() => listenUnix({ path: file })).toThrow("EADDRINUSE");
  expect(statSync(file).size).toBe(4);
  expect(() => listenUnix({ path: join(directory, "none", "x") })).toThrow("ENOENT");
  expect(() => listenUnix({ path: "x".repeat(108) })).toThrow("ENAMETOOLONG");
  expect(() => connectUnix(join(directory, "nobody"))).toThrow("ENOENT");
  expect(openFileCount()).toBe(before);
});

test("descriptors travel with a message, close-on-exec, and those that do not fit are closed", () => {
  const before = openFileCount();
  {
    const [left, right] = createSocketPair();
    const messages = new UnixMessages();
    using event = createEventFd(3);
    const sent = openFileCount();
    const bytes = new Uint8Array([9]);
    const fds = new Int32Array(2);
    expect(messages.send(left.fd, bytes, 1, [event.fd, event.fd])).toBe(1);
    expect(messages.receive(right.fd, bytes, 0, 1, fds)).toBe(1);
    expect(messages.fdCount).toBe(2);
    expect(messages.fdsRefused).toBe(false);
    expect(openFiles().get(fds[1])).toContain("eventfd");
    expect(closeFd(fds[0])).toBe(0);
    expect(closeFd(fds[1])).toBe(0);

    expect(messages.send(left.fd, bytes, 1, [event.fd, event.fd, event.fd])).toBe(1);
    expect(messages.receive(right.fd, bytes, 0, 1, fds)).toBe(1);
    expect(messages.fdCount).toBe(2);
    expect(messages.fdsRefused).toBe(true);
    expect(openFileCount()).toBe(sent + 2);
    for (const fd of fds) closeFd(fd);

    const many = new Array<number>(MESSAGE_FDS_MAX).fill(event.fd);
    expect(messages.send(left.fd, bytes, 1, many)).toBe(1);
    expect(messages.receive(right.fd, bytes, 0, 1, new Int32Array(0))).toBe(1);
    expect(messages.fdsRefused).toBe(true);
    expect(openFileCount()).toBe(sent);
    expect(messages.send(left.fd, bytes, 1, [...many, event.fd])).toBe(-Errno.EINVAL);
    expect(messages.send(left.fd, bytes, 1, [1_000_000])).toBe(-Errno.EBADF);
    left.close();
    right.close();
  }
  expect(openFileCount()).toBe(before);
});

test("a receive never reads on into the bytes that came with the next message's descriptors", () => {
  const [left, right] = createSocketPair();
  const messages = new UnixMessages();
  using event = createEventFd();
  const fds = new Int32Array(4);
  messages.send(left.fd, new Uint8Array(12), 12, [event.fd]);
  messages.send(left.fd, new Uint8Array(20), 20, [event.fd, event.fd]);
  const bytes = new Uint8Array(64);
  expect(messages.receive(right.fd, bytes, 0, 64, fds)).toBe(12);
  expect(messages.fdCount).toBe(1);
  closeFd(fds[0]);
  expect(messages.receive(right.fd, bytes, 0, 64, fds)).toBe(20);
  expect(messages.fdCount).toBe(2);
  closeFd(fds[0]);
  closeFd(fds[1]);
  left.close();
  right.close();
});

test("an owned descriptor is closed once, or taken once", () => {
  const event = createEventFd();
  const { fd } = event;
  const taken = event.take();
  expect(taken).toBe(fd);
  event.close();
  expect(openFiles().has(fd)).toBe(true);
  expect(() => event.take()).toThrow();
  const owner = new OwnedFd(taken);
  owner.close();
  owner.close();
  expect(owner.fd).toBe(-1);
  expect(closeFd(fd)).toBe(-Errno.EBADF);
  expect(() => new OwnedFd(-1)).toThrow(RangeError);
});

test("a socket is connected when it has another end, also one that was closed; a listening one is not", () => {
  using listener = listenUnix({ path: join(directory, "connected") });
  const [ours, theirs] = createSocketPair();
  expect([isConnectedUnix(ours.fd), isConnectedUnix(listener.fd)]).toEqual([true, false]);
  theirs.close();
  expect(isConnectedUnix(ours.fd)).toBe(true);
  ours.close();
  expect(isConnectedUnix(ours.fd)).toBe(false);
});
