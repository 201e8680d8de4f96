import { afterEach, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { createEventFd } from "@passt-ts/linux/eventfd";
import { UnixMessages } from "@passt-ts/linux/unix-message";
import { connectUnix, createSocketPair, listenUnix } from "@passt-ts/linux/unix-socket";
import {
  configRequest,
  memoryTableRequest,
  plainRequest,
  u64Request,
  vringAddressRequest,
  vringFdRequest,
  vringStateRequest,
} from "@passt-ts/vhost-user-proto/front-end";
import { encodeReply, encodeRequest } from "@passt-ts/vhost-user-proto/header";
import { decodeU64, encodeU64 } from "@passt-ts/vhost-user-proto/payload";
import { FRONT_END_REQUESTS, PAYLOAD_SIZES } from "@passt-ts/vhost-user-proto/requests";
import { DeviceCounter } from "./device-counter.ts";
import { ControlSocket } from "./testing/control-socket.ts";
import { DeviceRig, testFrame } from "./testing/device-rig.ts";
import { TestFrontEnd } from "./testing/front-end.ts";

const openFds = (): number => readdirSync("/proc/self/fd").length;
/** What the descriptors lead to, each as often as it is open; the one that lists them is closed by then. */
function openFiles(): string[] {
  const targets: string[] = [];
  for (const fd of readdirSync("/proc/self/fd")) {
    try {
      targets.push(readlinkSync(`/proc/self/fd/${fd}`));
    } catch {}
  }
  return targets.sort();
}
const guestMaps = (): number => readFileSync("/proc/self/maps", "utf8").split("guest-ram").length - 1;

const path = `${tmpdir()}/passt-ts-device-${process.pid}.sock`;
afterEach(() => rmSync(path, { force: true }));

describe("clients", () => {
  test("a second one is closed at once, and its process id logged", () => {
    using rig = new DeviceRig({ echo: true });
    rig.device.listen(path);
    using guest = new TestFrontEnd({ pump: rig.pump }).connect(path).boot();
    const second = new ControlSocket(connectUnix(path), rig.pump);
    second.expectClosed();
    second.close();
    expect(rig.lines("second client")).toEqual([
      `warning: second client closed (pid ${process.pid}): a front-end is connected`,
    ]);
    expect(rig.device.counters[DeviceCounter.clientsRefused]).toBe(1);
    guest.offerBuffers(1);
    guest.send(testFrame(60));
    expect(guest.receiveMany(1)).toHaveLength(1);
  });

  test("one that comes while the end of the last is unread is served", () => {
    using rig = new DeviceRig();
    rig.device.listen(path);
    const first = connectUnix(path);
    rig.pump();
    const second = connectUnix(path);
    first.close();
    using guest = new TestFrontEnd({ pump: rig.pump }).connect(second);
    guest.negotiate();
    expect(rig.device.counters[DeviceCounter.clientsRefused]).toBe(0);
    expect(rig.device.counters[DeviceCounter.connections]).toBe(2);
  });

  test("several in a row, some going in the middle of a message: nothing stays behind", () => {
    using rig = new DeviceRig({ echo: true });
    rig.device.listen(path);
    const counts: unknown[] = [];
    for (let i = 0; i < 4; i++) {
      const guest = new TestFrontEnd({ pump: rig.pump }).connect(path).boot();
      guest.offerBuffers(2);
      guest.send(testFrame(100 + i));
      expect(guest.receiveMany(1)[0]?.bytes).toEqual(testFrame(100 + i));
      using fd = createEventFd();
      guest.control.send(plainRequest("SET_BACKEND_REQ_FD"), [fd.fd]);
      guest.settle();
      expect(rig.device.state).toMatchObject({ connected: true, fds: 7, regions: 1 });
      // Half a header with a descriptor, which is to be closed too.
      if (i % 2 === 1) guest.control.send(u64Request("SET_FEATURES", 1n).subarray(0, 5), [fd.fd]);
      guest[Symbol.dispose]();
      rig.pump();
      expect(rig.device.state).toMatchObject({ connected: false, fds: 0, regions: 0, rings: [] });
      fd.close();
      counts.push([openFds(), guestMaps(), rig.windows.count, rig.loop.count]);
    }
    expect(counts).toEqual(counts.map(() => counts[0]));
    expect(guestMaps()).toBe(0);
    expect([rig.disconnects, rig.backend.resets]).toEqual([4, 4]);
    expect(rig.lines("in the middle of a message")).toHaveLength(2);
  });

  test("a stream-mode client is refused with one clear line", () => {
    using rig = new DeviceRig();
    rig.device.listen(path);
    const client = new ControlSocket(connectUnix(path), rig.pump);
    const frame = new Uint8Array(4 + 60);
    new DataView(frame.buffer).setUint32(0, 60, false);
    frame.set(testFrame(60), 4);
    client.send(frame);
    client.expectClosed();
    client.close();
    const refusals = rig.logged.filter((line) => line.includes("stream-mode"));
    expect(refusals).toEqual([expect.stringMatching(/^warning: /)]);
    expect(rig.logged).toHaveLength(2);
  });
});

describe("a client that cannot be accepted", () => {
  test("is said once, tried again after a while, and never makes the loop spin", () => {
    using rig = new DeviceRig();
    // A connected socket that has bytes to read: an event comes, and accept fails each time.
    const [notListening, peer] = createSocketPair();
    using other = new ControlSocket(peer, rig.pump);
    rig.device.listenOn(notListening);
    other.send(plainRequest("GET_FEATURES"));
    for (let round = 0; round < 50; round++) {
      rig.pump();
      expect(rig.device.deadlineMs).toBeGreaterThan(rig.nowMs);
      rig.nowMs = rig.device.deadlineMs;
    }
    expect(rig.loop.wait(0)).toBe(0);
    expect(rig.logged).toEqual(["warning: cannot accept a client: Invalid argument"]);
    // Another listener works at once.
    rig.device.listen(path);
    using guest = new TestFrontEnd({ pump: rig.pump }).connect(path);
    guest.negotiate();
  });

  test("more than are accepted in one round are all turned away, and none stays open", () => {
    using rig = new DeviceRig();
    rig.device.listenOn(listenUnix({ path, backlog: 64 }));
    using guest = new TestFrontEnd({ pump: rig.pump }).connect(path);
    guest.negotiate();
    const before = openFds();
    const clients = Array.from({ length: 40 }, () => new ControlSocket(connectUnix(path), rig.pump));
    for (const client of clients) client.expectClosed();
    for (const client of clients) client.close();
    expect(rig.device.counters[DeviceCounter.clientsRefused]).toBe(40);
    expect(openFds()).toBe(before);
    expect(rig.device.deadlineMs).toBe(Infinity);
    guest.settle();
  });

  test("without free descriptors clients wait, and messages whose descriptors were lost are refused", async () => {
    const script = `${import.meta.dir}/testing/out-of-descriptors.ts`;
    const limited = ["sh", "-c", 'ulimit -n 64 && exec "$@"', "sh", process.execPath, script, path];
    const run = Bun.spawn(limited, { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
    const said = (await new Response(run.stdout).text()) + (await new Response(run.stderr).text());
    expect([await run.exited, said]).toEqual([0, ""]);
  });

  test("an inherited socket while a front-end is connected is closed, and the owner told", () => {
    using rig = new DeviceRig();
    using guest = rig.frontEnd();
    const [ours, theirs] = createSocketPair();
    expect(() => rig.device.adopt(ours)).toThrow("connected already");
    using second = new ControlSocket(theirs, rig.pump);
    second.expectClosed();
    guest.settle();
  });
});

describe("the stream", () => {
  const kick = (need = true): Uint8Array => vringFdRequest("SET_VRING_KICK", { index: 0, hasFd: true }, need);

  test("a message cut at any byte is carried out once it is whole, with its descriptors", () => {
    using rig = new DeviceRig();
    using guest = rig.frontEnd().boot();
    const { file, table } = guest.ram;
    const messages: [Uint8Array, number[]][] = [
      [memoryTableRequest(table, true, 2), [file.fd]],
      [kick(), [guest.rx.kickFd]],
      [plainRequest("SET_OWNER", true), []],
      [configRequest("GET_CONFIG", { offset: 0, flags: 0, contents: new Uint8Array(12) }, true), []],
    ];
    const before = openFiles();
    for (const [message, fds] of messages) {
      for (let cut = 1; cut < message.length; cut++) {
        guest.control.send(message.subarray(0, cut), fds);
        rig.pump();
        expect(guest.control.poll()).toBeNull();
        guest.control.send(message.subarray(cut));
        rig.pump();
        expect(guest.control.poll()).toMatchObject({ kind: "message", row: { request: message[0] } });
      }
      expect(openFiles()).toEqual(before);
    }
    expect(rig.lines("refused")).toEqual([]);
  });

  test("a whole start byte by byte, and many messages in one piece, come to the same", () => {
    for (const pieceBytes of [1, 1 << 20]) {
      using rig = new DeviceRig({ echo: true });
      using guest = rig.frontEnd();
      const send = (bytes: Uint8Array, fds: readonly number[] = []): void => {
        for (let at = 0; at < bytes.length; at += pieceBytes) {
          guest.control.send(bytes.subarray(at, at + pieceBytes), at === 0 ? fds : []);
          if (pieceBytes === 1) rig.pump();
        }
      };
      guest.rx.negotiated(1n << 32n);
      guest.tx.negotiated(1n << 32n);
      guest.session.features = 1n << 32n;
      send(u64Request("SET_FEATURES", 1n << 32n));
      send(memoryTableRequest(guest.ram.table), [guest.ram.file.fd]);
      for (const ring of [guest.rx, guest.tx]) {
        const { index } = ring;
        send(vringStateRequest("SET_VRING_NUM", { index, value: 256 }));
        send(vringStateRequest("SET_VRING_BASE", { index, value: 0 }));
        send(vringAddressRequest(ring.address));
        send(vringFdRequest("SET_VRING_CALL", { index, hasFd: true }), [ring.callFd]);
        send(vringFdRequest("SET_VRING_KICK", { index, hasFd: true }), [ring.kickFd]);
      }
      guest.offerBuffers(4);
      guest.send(testFrame(99));
      expect(guest.receiveMany(1)[0]?.bytes).toEqual(testFrame(99));
    }
  });

  test("the end at any byte of a message closes everything, and the next front-end is served", () => {
    using rig = new DeviceRig({ echo: true });
    const first = rig.frontEnd();
    const message = memoryTableRequest(first.ram.table, true);
    first[Symbol.dispose]();
    rig.pump();
    const counts = (): number[] => [openFds(), guestMaps(), rig.windows.count, rig.loop.count];
    const before = counts();
    for (let cut = 0; cut < message.length; cut++) {
      rig.logged.length = 0;
      const guest = rig.frontEnd().boot();
      guest.offerBuffers(2);
      guest.tx.send(testFrame(60), []);
      guest.tx.kick();
      if (cut > 0) guest.control.send(message.subarray(0, cut), [guest.ram.file.fd]);
      guest[Symbol.dispose]();
      rig.pump();
      expect(rig.device.state).toMatchObject({ connected: false, fds: 0, regions: 0 });
      expect(counts()).toEqual(before);
      expect(rig.lines("in the middle of a message")).toHaveLength(cut === 0 ? 0 : 1);
    }
  });

  test("the end with replies unread (a reset connection) is an end like any other", () => {
    using rig = new DeviceRig();
    const guest = rig.frontEnd().boot();
    for (let i = 0; i < 10; i++) guest.control.send(plainRequest("GET_FEATURES"));
    rig.pump();
    guest[Symbol.dispose]();
    rig.pump();
    expect(rig.device.state.connected).toBe(false);
    expect(rig.lines("front-end disconnected")).toHaveLength(1);
  });
});

describe("file descriptors", () => {
  test("every request with too many or too few: refused or taken, and none is left open", () => {
    using rig = new DeviceRig();
    using guest = rig.frontEnd().boot();
    using event = createEventFd();
    // Those that are kept: the last one of each goes with the connection.
    let held = openFds();
    for (const row of FRONT_END_REQUESTS.values()) {
      if (row.name === "SET_BACKEND_REQ_FD" || row.name === "SET_LOG_FD") held++;
      for (const count of [1, 2, 8, 9, 32, 33, 64, 65, 253]) {
        const [bytes] = PAYLOAD_SIZES[row.payload];
        const payload = new Uint8Array(bytes);
        // Ring 200 does not exist, so that no descriptor is kept.
        if (bytes > 0) payload[0] = 200;
        const fds = new Array<number>(count).fill(event.fd);
        guest.control.send(encodeRequest(row.request, payload), fds);
        rig.pump();
        expect([row.name, count, openFds()]).toEqual([row.name, count, held]);
        while (guest.control.poll() !== null);
      }
    }
    // Six of two rings, and those two.
    expect(rig.device.state.fds).toBe(8);
    guest.control.send(plainRequest("SET_BACKEND_REQ_FD"), [event.fd]);
    rig.pump();
    expect(openFds()).toBe(held);
    guest[Symbol.dispose]();
    rig.pump();
    expect(rig.device.state.fds).toBe(0);
  });

  test("those that come with later bytes of a message count too", () => {
    using rig = new DeviceRig();
    using guest = rig.frontEnd().boot();
    using event = createEventFd();
    const before = openFds();
    const message = plainRequest("SET_OWNER", true);
    guest.control.send(message.subarray(0, 6), [event.fd]);
    rig.pump();
    guest.control.send(message.subarray(6, 9), [event.fd, event.fd]);
    rig.pump();
    guest.control.send(message.subarray(9));
    rig.pump();
    expect(guest.control.poll()).toMatchObject({ payload: encodeU64(1) });
    expect(rig.logged.at(-1)).toContain("SET_OWNER: 3 file descriptors, 0 expected");
    expect(openFds()).toBe(before);
  });
});

/** Sizes of messages, right and wrong, around each that the protocol knows. */
const SIZES = [0, 1, 7, 8, 9, 11, 12, 13, 15, 16, 17, 23, 24, 25, 39, 40, 41, 72, 263, 264, 265, 300];

describe("messages that are refused", () => {
  test("an unknown request with descriptors is answered non-zero when it asks for an answer", () => {
    using rig = new DeviceRig();
    using guest = rig.frontEnd();
    guest.negotiate();
    using event = createEventFd();
    const before = openFds();
    for (const request of [0, 99, 0xffffffff]) {
      guest.control.send(encodeRequest(request, new Uint8Array(10_000), false), [event.fd]);
      guest.control.send(encodeRequest(request, new Uint8Array(100), true), [event.fd]);
      rig.pump();
      const bytes = new Uint8Array(40);
      expect(new UnixMessages().receive(guest.control.socket.fd, bytes, 0, 40, new Int32Array(0))).toBe(20);
      expect([...bytes.subarray(0, 20)]).toEqual([...encodeReply(request, encodeU64(1))]);
    }
    expect(openFds()).toBe(before);
    expect(rig.lines("refused request 99: unknown request 99")).toHaveLength(2);
  });

  test("a request that waits for a reply of its own gets an empty one", () => {
    using rig = new DeviceRig();
    using guest = rig.frontEnd();
    const empty = [
      vringStateRequest("GET_VRING_BASE", { index: 9, value: 0 }),
      encodeRequest(45, new Uint8Array(8)),
      encodeRequest(24, new Uint8Array(11)),
    ];
    for (const request of empty) expect(() => guest.control.ask(request)).toThrow("was refused with an empty reply");
    // Without REPLY_ACK need_reply means nothing, and what is unknown has no reply at all.
    guest.control.send(encodeRequest(99, new Uint8Array(0), true));
    guest.control.send(u64Request("SET_FEATURES", 1n << 34n, true));
    guest.settle();
    expect(rig.lines("refused")).toHaveLength(5);
  });

  test("every request of the table, empty and full of ones, at any time: nothing ends the device", () => {
    for (const booted of [false, true]) {
      using rig = new DeviceRig();
      using guest = booted ? rig.frontEnd().boot() : rig.frontEnd();
      for (const row of FRONT_END_REQUESTS.values()) {
        for (const length of SIZES) {
          for (const byte of [0, 1, 0xff])
            guest.control.send(encodeRequest(row.request, new Uint8Array(length).fill(byte)));
        }
        rig.pump();
        for (let read = guest.control.poll(); read !== null; read = guest.control.poll())
          expect(read).not.toBe("closed");
      }
      expect(rig.device.state.connected).toBe(true);
      expect(rig.lines("refused")).toHaveLength(20);
      guest.disconnect();
      rig.pump();
      expect(rig.lines("more messages were refused")).toHaveLength(1);
    }
  });

  test("a flood of replies that nobody reads costs the connection, not the device", () => {
    using rig = new DeviceRig();
    using guest = rig.frontEnd();
    expect(() => {
      for (let i = 0; i < 100_000; i++) {
        guest.control.send(plainRequest("GET_FEATURES"));
        if (i % 100 === 0) rig.pump();
      }
    }).toThrow("sendmsg");
    rig.pump();
    expect(rig.lines("reply not sent")).toHaveLength(1);
    using next = rig.frontEnd();
    expect(decodeU64(next.control.ask(plainRequest("GET_QUEUE_NUM")))).toBe(2n);
  });
});
