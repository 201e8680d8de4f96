// What this process holds: what a device leaves behind shows here.

import { readdirSync, readFileSync } from "node:fs";
import { Finding } from "./fuzzer.ts";

interface Held {
  readonly fds: number;
  /** Mappings of memory files. */
  readonly maps: number;
}

function heldFds(): number {
  return readdirSync("/proc/self/fd").length;
}

function held(): Held {
  return { fds: heldFds(), maps: readFileSync("/proc/self/maps", "utf8").split("memfd:").length - 1 };
}

/** Holds that nothing becomes more from round to round. */
export class HeldWatch {
  #before: Held | null = null;
  #windows = -1;

  /** @param windows of the table that the device has its guest's memory in. @throws Finding */
  checkQuickly(windows: number): void {
    if (this.#windows < 0) this.#windows = windows;
    if (windows !== this.#windows) throw new Finding(`${windows} windows, ${this.#windows} before`);
    const fds = heldFds();
    if (this.#before !== null && fds !== this.#before.fds) throw new Finding(`${fds} fds, ${this.#before.fds} before`);
  }

  /** Mappings as well, which take long to read. The first call says what is right. @throws Finding */
  check(): void {
    const now = held();
    this.#before ??= now;
    if (now.maps !== this.#before.maps) throw new Finding(`${now.maps} maps, ${this.#before.maps} before`);
  }
}
