import { expect, test } from "bun:test";
import { EpollEvent, type EventHandler, EventLoop } from "./event-loop.ts";
import { createEventFd, createPipe, EventSignal } from "./eventfd.ts";
import { writeBytes } from "./file-io.ts";
import type { OwnedFd } from "./owned-fd.ts";
import { Errno } from "./system-error.ts";
import { openFileCount } from "./testing/open-files.ts";
import { createSocketPair } from "./unix-socket.ts";

class Recorder implements EventHandler {
  readonly events: [number, number][] = [];
  action: (token: number) => void = () => {};
  onEvent(token: number, events: number): void {
    this.events.push([token, events]);
    this.action(token);
  }
}

test("level-triggered repeats until drained, edge-triggered tells once for each signal", () => {
  const before = openFileCount();
  {
    using loop = new EventLoop();
    using level = createEventFd();
    using edge = createEventFd();
    const signal = new EventSignal();
    const recorder = new Recorder();
    loop.add(level.fd, EpollEvent.readable, recorder, 1);
    loop.add(edge.fd, EpollEvent.readable | EpollEvent.edgeTriggered, recorder, 2);
    expect(loop.count).toBe(2);
    expect(loop.wait(0)).toBe(0);
    signal.notify(level.fd);
    signal.notify(edge.fd);
    expect(loop.wait(-1)).toBe(2);
    expect(loop.wait(0)).toBe(1);
    expect(recorder.events.at(-1)).toEqual([1, EpollEvent.readable]);
    signal.notify(edge.fd);
    expect(loop.wait(0)).toBe(2);
    expect(signal.drain(level.fd)).toBe(8);
    expect(signal.drain(level.fd)).toBe(0);
    expect(loop.wait(0)).toBe(0);
  }
  expect(openFileCount()).toBe(before);
});

test("an event fetched for a registration that a handler removes is not delivered, also when its number lives again", () => {
  using loop = new EventLoop();
  const fds = [createEventFd(1), createEventFd(1), createEventFd(1)];
  using other = createEventFd(0);
  const recorder = new Recorder();
  const registrations = fds.map((fd, i) => loop.add(fd.fd, EpollEvent.readable, recorder, i));
  recorder.action = (token) => {
    recorder.action = () => {};
    for (let i = 0; i < 3; i++) if (i !== token) loop.remove(registrations[i]);
    // Takes a number just freed: nothing is pending for it.
    expect(loop.add(other.fd, EpollEvent.readable, recorder, 100)).toBeOneOf(registrations);
  };
  expect(loop.wait(0)).toBe(1);
  expect(recorder.events).toHaveLength(1);
  expect(loop.count).toBe(2);
  recorder.events.length = 0;
  loop.wait(0);
  expect(recorder.events).toHaveLength(1);
  expect(recorder.events[0][0]).toBeLessThan(3);
  for (const fd of fds) fd.close();
});

test("what a handler throws passes through and the rest of the batch comes with the next wait", () => {
  using loop = new EventLoop();
  const fds = [createEventFd(1), createEventFd(1), createEventFd(1)];
  const recorder = new Recorder();
  for (let i = 0; i < 3; i++) loop.add(fds[i].fd, EpollEvent.readable | EpollEvent.edgeTriggered, recorder, i);
  recorder.action = () => {
    recorder.action = () => {};
    throw new Error("handler");
  };
  expect(() => loop.wait(0)).toThrow("handler");
  expect(loop.wait(1000)).toBe(2);
  expect(recorder.events.map(([token]) => token).sort()).toEqual([0, 1, 2]);
  expect(loop.wait(0)).toBe(0);
  for (const fd of fds) fd.close();
});

test("more events than a batch come in several waits", () => {
  using loop = new EventLoop(256);
  const fds: OwnedFd[] = [];
  const recorder = new Recorder();
  for (let i = 0; i < 300; i++) {
    fds.push(createEventFd(1));
    loop.add(fds[i].fd, EpollEvent.readable | EpollEvent.edgeTriggered, recorder, i);
  }
  expect(loop.wait(0)).toBe(256);
  expect(loop.wait(0)).toBe(44);
  expect(loop.wait(0)).toBe(0);
  expect(new Set(recorder.events.map(([token]) => token)).size).toBe(300);
  for (const fd of fds) fd.close();
});

test("modify tells the present state again; error and hang-up come without being asked for", () => {
  using loop = new EventLoop();
  const [left, right] = createSocketPair();
  const recorder = new Recorder();
  const registration = loop.add(left.fd, EpollEvent.edgeTriggered | EpollEvent.writable, recorder, 7);
  expect(loop.wait(0)).toBe(1);
  expect(loop.wait(0)).toBe(0);
  expect(loop.modify(registration, EpollEvent.edgeTriggered | EpollEvent.writable | EpollEvent.peerClosed)).toBe(0);
  expect(loop.wait(0)).toBe(1);
  right.close();
  expect(loop.wait(0)).toBe(1);
  const [, events] = recorder.events[2];
  expect(events & EpollEvent.hangUp).toBe(EpollEvent.hangUp);
  expect(events & EpollEvent.peerClosed).toBe(EpollEvent.peerClosed);
  loop.remove(registration);
  left.close();
});

test("what cannot be registered is an error number, what is not registered a RangeError", () => {
  using loop = new EventLoop();
  using event = createEventFd();
  const recorder = new Recorder();
  expect(loop.add(-1, EpollEvent.readable, recorder, 0)).toBe(-Errno.EBADF);
  const registration = loop.add(event.fd, EpollEvent.readable, recorder, 0);
  expect(registration).toBe(0);
  expect(loop.add(event.fd, EpollEvent.readable, recorder, 0)).toBe(-Errno.EEXIST);
  expect(loop.count).toBe(1);
  loop.remove(registration);
  expect(() => loop.remove(registration)).toThrow(RangeError);
  expect(() => loop.modify(5, 0)).toThrow(RangeError);
  expect(loop.count).toBe(0);
});

test("a wait inside a handler is refused", () => {
  using loop = new EventLoop();
  using event = createEventFd(1);
  const recorder = new Recorder();
  const registration = loop.add(event.fd, EpollEvent.readable, recorder, 0);
  recorder.action = () => void loop.wait(0);
  expect(() => loop.wait(0)).toThrow("handler");
  loop.remove(registration);
});

test("a full pipe or eventfd counts as signalled, a closed one does not, and a pipe is drained whole", () => {
  const signal = new EventSignal();
  const [read, write] = createPipe();
  const filler = new Uint8Array(4096);
  while (writeBytes(write.fd, filler, 0, 4096) === 4096);
  expect(signal.notify(write.fd)).toBe(0);
  while (signal.drain(read.fd) > 0);
  for (let i = 0; i < 100; i++) expect(signal.notify(write.fd)).toBe(0);
  expect(signal.drain(read.fd)).toBe(800);
  expect(signal.drain(read.fd)).toBe(0);
  read.close();
  expect(signal.notify(write.fd)).toBe(-Errno.EPIPE);
  write.close();
  expect(signal.notify(write.fd)).toBe(-Errno.EBADF);
  using counter = createEventFd(0xffff_ffff);
  expect(signal.drain(counter.fd)).toBe(8);
});
