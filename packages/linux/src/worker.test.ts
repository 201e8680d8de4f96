import { expect, test } from "bun:test";
import { Worker } from "node:worker_threads";
import { EpollEvent, EventLoop } from "./event-loop.ts";
import { createEventFd, EventSignal } from "./eventfd.ts";
import { acceptSocket, openSocket } from "./inet-socket.ts";
import { mapFile } from "./mapped-memory.ts";
import { createMemoryFile } from "./memory-file.ts";
import { closeFd } from "./owned-fd.ts";
import { SocketAddress } from "./socket-address.ts";
import { AF_INET, SOCK_DGRAM } from "./socket-constants.ts";
import { Errno } from "./system-error.ts";
import type { EchoWorkerData } from "./testing/echo-worker.ts";

test("a Worker has its own loop and its own errno, and is reached by eventfd and shared memory", async () => {
  using kick = createEventFd();
  using call = createEventFd();
  using file = createMemoryFile("worker", 4096);
  using memory = mapFile({ fd: file.fd, offset: 0, lengthBytes: 4096 });
  using loop = new EventLoop();
  const words = new Int32Array(memory.bytes(0, 4096).buffer);
  const signal = new EventSignal();
  const workerData: EchoWorkerData = { kick: kick.fd, call: call.fd, file: file.fd, errnoChecks: 5000 };
  const worker = new Worker(new URL("./testing/echo-worker.ts", import.meta.url), { workerData });
  const exited = new Promise<number>((resolve, reject) => {
    worker.once("exit", resolve);
    worker.once("error", reject);
  });
  loop.add(call.fd, EpollEvent.readable, { onEvent: (token) => void signal.drain(token) }, call.fd);
  const datagrams = openSocket(AF_INET, SOCK_DGRAM);
  const address = new SocketAddress();
  let wrong = 0;
  for (let round = 1; round <= 5; round++) {
    Atomics.store(words, 0, round === 5 ? 0 : round);
    expect(signal.notify(kick.fd)).toBe(0);
    // Another error number on this thread, while the Worker makes EBADF.
    for (let i = 0; i < 5000; i++) if (acceptSocket(datagrams, address) !== -Errno.EOPNOTSUPP) wrong++;
    expect(loop.wait(10_000)).toBe(1);
    expect(Atomics.load(words, 1)).toBe(round === 5 ? 1 : round + 1);
  }
  expect(await exited).toBe(0);
  expect(wrong).toBe(0);
  expect(words[2]).toBe(0);
  closeFd(datagrams);
});
