import { FakeTap } from "./fake-tap.ts";
import { TapRig, type TapRigOptions } from "./tap-rig.ts";

/** A TapBackend on a fake tap. */
export class FakeRig extends TapRig {
  readonly tap: FakeTap;

  constructor(options: TapRigOptions = {}) {
    const tap = new FakeTap();
    super(tap, options);
    this.tap = tap;
  }

  override [Symbol.dispose](): void {
    super[Symbol.dispose]();
    this.tap[Symbol.dispose]();
  }
}
