import { workerData } from "node:worker_threads";
import { EpollEvent, EventLoop } from "../event-loop.ts";
import { EventSignal } from "../eventfd.ts";
import { mapFile } from "../mapped-memory.ts";
import { closeFd } from "../owned-fd.ts";
import { Errno } from "../system-error.ts";

/** What the Worker is given; word 0 of the file is the request, word 1 the answer, word 2 counts wrong error numbers. */
export interface EchoWorkerData {
  readonly kick: number;
  readonly call: number;
  readonly file: number;
  readonly errnoChecks: number;
}

/** A data plane in small: it blocks in epoll on the Worker's own thread until request 0 comes. */
function serve({ kick, call, file, errnoChecks }: EchoWorkerData): void {
  using memory = mapFile({ fd: file, offset: 0, lengthBytes: 4096 });
  using loop = new EventLoop();
  const words = new Int32Array(memory.bytes(0, 4096).buffer);
  const signal = new EventSignal();
  let running = true;
  loop.add(
    kick,
    EpollEvent.readable | EpollEvent.edgeTriggered,
    {
      onEvent(token) {
        signal.drain(token);
        const request = Atomics.load(words, 0);
        for (let i = 0; i < errnoChecks; i++) if (closeFd(-1) !== -Errno.EBADF) Atomics.add(words, 2, 1);
        Atomics.store(words, 1, request + 1);
        signal.notify(call);
        running = request !== 0;
      },
    },
    kick,
  );
  while (running) loop.wait(Number.POSITIVE_INFINITY);
}

serve(workerData as EchoWorkerData);
