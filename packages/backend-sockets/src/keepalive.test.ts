import { expect, test } from "bun:test";
import { SO_KEEPALIVE, SOL_SOCKET } from "@passt-ts/linux/socket-constants";
import { SocketOptions } from "@passt-ts/linux/socket-options";
import { openFiles } from "@passt-ts/linux/testing/open-files";
import { TcpCounter } from "@passt-ts/tcp-vu/counters";
import { F } from "@passt-ts/tcp-vu/testing/frames";
import { BackendRig } from "./testing/backend-rig.ts";
import { GuestStream } from "./testing/guest-stream.ts";
import { HostListener } from "./testing/host-sockets.ts";

test("a silent guest gets a keepalive after 30 s, answers it, and the connection goes on", () => {
  using listener = new HostListener();
  using rig = new BackendRig();
  const stream = GuestStream.connect(rig, { peerPort: listener.port });
  using host = rig.waitFor(() => listener.accept(), "the connection");
  stream.poll();
  const seen = stream.seen.length;
  rig.pass(31_001);
  rig.pump();
  stream.poll();
  expect(stream.seen.slice(seen)).toMatchObject([{ flags: F.ack, sequence: (stream.expected - 1) >>> 0, payload: [] }]);
  expect(rig.engines.tcp.counters[TcpCounter.keepalives]).toBe(1);
  host.write([1, 2, 3]);
  rig.until(() => stream.poll().received.length === 3, "payload");
  expect(stream.resets).toBe(0);
});

test("the host's kernel watches over its side of each connection too (SO_KEEPALIVE)", () => {
  using listener = new HostListener();
  using rig = new BackendRig();
  const options = new SocketOptions();
  const watched = (): number =>
    [...openFiles()].filter(
      ([fd, name]) => name.startsWith("socket:") && options.get(fd, SOL_SOCKET, SO_KEEPALIVE) === 1,
    ).length;
  const before = watched();
  GuestStream.connect(rig, { peerPort: listener.port });
  expect(watched() - before).toBe(1);
});
