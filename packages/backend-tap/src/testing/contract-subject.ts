import type { WindowTable } from "@passt-ts/iov/windows";
import { EventLoop } from "@passt-ts/linux/event-loop";
import { NativeBuffer } from "@passt-ts/linux/native-buffer";
import type { BackendUnderTest } from "@passt-ts/net-backend/testing/backend-contract";
import { TapBackend } from "../tap-backend.ts";
import type { TapPort } from "../tap-port.ts";
import { testFrame } from "./tap-rig.ts";

/** The host's side of the tap that is under test. */
export interface HostSide {
  /** False when the tap takes no more now. */
  arrive(frame: Uint8Array): boolean;
  take(): Uint8Array | null;
}

/** A TapBackend for the contract suite; each turn hears the loop first. It ends its loop when it is closed. */
export function contractSubject(windows: WindowTable, port: TapPort, host: HostSide): BackendUnderTest {
  const loop = new EventLoop();
  const backend = new TapBackend({ loop, windows, port, report: () => {} });
  const late: Uint8Array[] = [];
  const turn = backend.turn.bind(backend);
  const close = backend.close.bind(backend);
  backend.turn = (nowMs) => {
    while (late.length > 0 && host.arrive(late[0])) late.shift();
    loop.wait(0);
    return turn(nowMs);
  };
  backend.close = () => {
    close();
    if (backend.turn === turn) return;
    backend.turn = turn;
    loop.close();
  };
  return {
    backend,
    memory: (lengthBytes) => new NativeBuffer(lengthBytes),
    frame: testFrame,
    arrive: (frame) => {
      if (late.length > 0 || !host.arrive(frame)) late.push(frame);
    },
    carried: () => {
      const frames: Uint8Array[] = [];
      for (let frame = host.take(); frame !== null; frame = host.take()) frames.push(frame);
      return frames;
    },
  };
}
