import { createSocketPair } from "@passt-ts/linux/unix-socket";
import type { FeatureWishes } from "@passt-ts/vhost-user-proto/front-end-session";
import type { InflightArea } from "@passt-ts/vhost-user-proto/payload";
import { DeviceRig, type DeviceRigOptions } from "./device-rig.ts";
import { TestFrontEnd, type TestFrontEndOptions } from "./front-end.ts";

/**
 * A guest that lives on while the devices that serve it are killed: each is left as it stands, in the middle of
 * whatever it does, and never runs again.
 */
export class Takeover implements Disposable {
  readonly guest: TestFrontEnd;
  rig: DeviceRig;
  readonly #options: DeviceRigOptions;
  readonly #dead: DeviceRig[] = [];

  constructor(options: DeviceRigOptions = {}, guest: Omit<TestFrontEndOptions, "pump"> = {}) {
    this.#options = options;
    this.rig = new DeviceRig(options);
    this.guest = new TestFrontEnd({ ...guest, pump: () => this.rig.pump() });
    this.connect();
  }

  /** Connects the front-end to the device that lives. */
  connect(): void {
    const [ours, theirs] = createSocketPair();
    this.rig.device.adopt(ours);
    this.guest.connect(theirs);
  }

  /** Kills the device; another one takes over, and the front-end connects to it. */
  replaceDevice(): void {
    this.#dead.push(this.rig);
    this.guest.disconnect();
    this.rig = new DeviceRig(this.#options);
    this.connect();
  }

  /**
   * Sets all up again for a driver that goes on, as a front-end does that reconnects.
   *
   * @param base what the front-end believes of each ring.
   */
  resume(wanted: FeatureWishes, base: readonly [rx: number, tx: number], inflight?: [InflightArea, number]): void {
    const { guest } = this;
    guest.negotiate(wanted);
    guest.shareMemory();
    if (inflight !== undefined) guest.session.setInflight(...inflight);
    guest.resumeRing(guest.rx, base[0]);
    guest.resumeRing(guest.tx, base[1]);
    guest.settle();
  }

  [Symbol.dispose](): void {
    this.guest[Symbol.dispose]();
    for (const rig of [this.rig, ...this.#dead]) rig[Symbol.dispose]();
  }
}
