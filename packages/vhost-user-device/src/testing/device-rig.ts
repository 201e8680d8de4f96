import { WindowTable } from "@passt-ts/iov/windows";
import { EventLoop } from "@passt-ts/linux/event-loop";
import { copyBytesNatively } from "@passt-ts/linux/native-copy";
import { createSocketPair } from "@passt-ts/linux/unix-socket";
import { VhostUserDevice, type VhostUserDeviceOptions } from "../device.ts";
import { TestFrontEnd, type TestFrontEndOptions } from "./front-end.ts";
import { RecordingBackend } from "./recording-backend.ts";

/** What a {@link DeviceRig} is made of; everything has a default. */
export interface DeviceRigOptions extends Pick<VhostUserDeviceOptions, "config" | "features" | "windowBytesMax"> {
  readonly capabilities?: number;
  readonly echo?: boolean;
}

/** A device with a recording back-end and its loop, for tests that run everything in one thread. */
export class DeviceRig implements Disposable {
  readonly loop: EventLoop = new EventLoop();
  readonly windows: WindowTable = new WindowTable(copyBytesNatively);
  readonly backend: RecordingBackend;
  readonly device: VhostUserDevice;
  readonly logged: string[] = [];
  disconnects = 0;
  nowMs = 1000;

  constructor(options: DeviceRigOptions = {}) {
    const { capabilities, echo, ...rest } = options;
    this.backend = new RecordingBackend(this.windows, { capabilities: capabilities ?? 0, echo: echo ?? false });
    this.device = new VhostUserDevice({
      ...rest,
      loop: this.loop,
      windows: this.windows,
      backend: this.backend,
      log: (level, text) => this.logged.push(`${level}: ${text}`),
      onDisconnect: () => this.disconnects++,
    });
  }

  /** Delivers events and does all the work there is. */
  readonly pump = (): void => {
    for (let round = 0; round < 1000; round++) {
      this.loop.wait(0);
      if (!this.device.turn(this.nowMs++)) return;
    }
    throw new Error("the device never gets done");
  };

  /** A front-end connected to the device by a socket pair. */
  frontEnd(options: Omit<TestFrontEndOptions, "pump"> = {}): TestFrontEnd {
    const [ours, theirs] = createSocketPair();
    this.device.adopt(ours);
    return new TestFrontEnd({ ...options, pump: this.pump }).connect(theirs);
  }

  /** The lines logged that contain `text`. */
  lines(text: string): string[] {
    return this.logged.filter((line) => line.includes(text));
  }

  [Symbol.dispose](): void {
    this.device.close();
    this.backend.close();
    this.loop.close();
  }
}

/** A frame of `length` bytes: addresses, a local experimental EtherType, and bytes that name their place. */
export function testFrame(length: number, seed = 0): Uint8Array {
  const frame = new Uint8Array(length);
  for (let i = 0; i < length; i++) frame[i] = (i * 7 + seed) & 0xff;
  frame.set([0x52, 0x54, 0, 0, 0, 1, 0x52, 0x54, 0, 0, 0, 2, 0x88, 0xb5].slice(0, length));
  return frame;
}
