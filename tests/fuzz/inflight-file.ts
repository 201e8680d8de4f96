// An in-flight buffer as a front-end keeps it while back-ends come and go, and as it never should be.

import { type MappedMemory, mapFile } from "@passt-ts/linux/mapped-memory";
import { OwnedFd } from "@passt-ts/linux/owned-fd";
import type { TestFrontEnd } from "@passt-ts/vhost-user-device/testing/front-end";
import type { InflightArea } from "@passt-ts/vhost-user-proto/payload";
import { edgeNumber } from "./mutate.ts";
import type { Random } from "./random.ts";

const RINGS = 2;
/** The words in which the header of a ring's region lies, and its first entries. */
const FIRST_WORDS = 40;

export class InflightFile implements Disposable {
  readonly area: InflightArea;
  readonly file: OwnedFd;
  readonly #mapping: MappedMemory;
  readonly #words: Uint32Array;

  private constructor(area: InflightArea, file: OwnedFd) {
    const lengthBytes = Number(area.sizeBytes);
    this.area = area;
    this.file = file;
    this.#mapping = mapFile({ fd: file.fd, offset: 0, lengthBytes });
    const bytes = this.#mapping.bytes(0, lengthBytes);
    this.#words = new Uint32Array(bytes.buffer, 0, lengthBytes >>> 2);
  }

  /** Has the device make one for both rings. */
  static of(guest: TestFrontEnd): InflightFile {
    const { area, fd } = guest.session.getInflight(RINGS, guest.rx.size);
    return new InflightFile(area, new OwnedFd(fd));
  }

  /** Changes words of it: as another back-end, or no back-end ever, leaves them. */
  scribble(random: Random): void {
    const words = this.#words;
    const perRing = Math.floor(words.length / RINGS);
    for (let left = random.few(30); left > 0; left--) {
      const at = perRing * random.below(RINGS) + random.below(random.chance(0.6) ? FIRST_WORDS : perRing);
      if (at >= words.length) continue;
      const value = random.chance(0.5) ? words[random.below(words.length)] : edgeNumber(random);
      // Half a word as well: most of what it holds is of 16 bits.
      words[at] = random.chance(0.5) ? value : ((words[at] & 0xffff_0000) | (value & 0xffff)) >>> 0;
    }
  }

  [Symbol.dispose](): void {
    this.#mapping.close();
    this.file.close();
  }
}
