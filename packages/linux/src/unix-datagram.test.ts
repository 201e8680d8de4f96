import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Errno } from "./system-error.ts";
import { openFileCount } from "./testing/open-files.ts";
import { bindUnixDatagram, connectUnixDatagram, receiveUnixDatagram, sendUnixDatagram } from "./unix-datagram.ts";
import { listenUnix } from "./unix-socket.ts";

const directory = mkdtempSync(join(tmpdir(), "unix-datagram-"));
afterAll(() => rmSync(directory, { recursive: true }));

test("datagrams arrive one by one and whole; none pending is EAGAIN", () => {
  const before = openFileCount();
  {
    const path = join(directory, "receiver");
    using receiver = bindUnixDatagram(path);
    using sender = connectUnixDatagram(path);
    expect(sendUnixDatagram(sender.fd, Uint8Array.of(1, 2, 3))).toBe(3);
    expect(sendUnixDatagram(sender.fd, Uint8Array.of(4))).toBe(1);
    const bytes = new Uint8Array(2).fill(0xa5);
    expect(receiveUnixDatagram(receiver.fd, bytes)).toBe(2);
    expect([...bytes]).toEqual([1, 2]);
    expect(receiveUnixDatagram(receiver.fd, bytes)).toBe(1);
    expect(receiveUnixDatagram(receiver.fd, bytes)).toBe(-Errno.EAGAIN);
    expect(receiveUnixDatagram(receiver.fd, new Uint8Array(0))).toBe(-Errno.EINVAL);
    receiver.close();
    expect(sendUnixDatagram(sender.fd, bytes)).toBe(-Errno.ECONNREFUSED);
  }
  expect(openFileCount()).toBe(before);
});

test("nobody there, or a socket of another kind, is refused and leaves nothing open", () => {
  const before = openFileCount();
  expect(() => connectUnixDatagram(join(directory, "nobody"))).toThrow("ENOENT");
  const stream = join(directory, "stream");
  using listener = listenUnix({ path: stream });
  expect(() => connectUnixDatagram(stream)).toThrow("EPROTOTYPE");
  expect(() => bindUnixDatagram(stream)).toThrow("EADDRINUSE");
  listener.close();
  expect(openFileCount()).toBe(before);
});
