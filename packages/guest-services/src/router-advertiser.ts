import { AdvertisementSchedule } from "./advertisement-schedule.ts";
import { ICMPV6_MESSAGE_OFFSET, writeIcmpv6Frame } from "./reply-frame.ts";
import {
  encodeAdvertisement,
  encodeFarewell,
  NOTHING_WITHDRAWN,
  type RouterConfig,
  type Withdrawn,
  withdrawnBy,
} from "./router-advertisement.ts";

/** The most former addresses of ours that are still taken back. */
const FAREWELLS_MAX = 4;

const NO_MESSAGE = new Uint8Array(0);

/** Who advertises what; null is no router. An address is four words. */
export interface AdvertiserConfig {
  readonly ourMac: Uint8Array;
  readonly ourLinkLocal: Uint32Array;
  readonly router: RouterConfig | null;
}

/** An advertisement that ends what a former address of ours promised. */
interface Farewell {
  readonly source: Uint32Array;
  readonly message: Uint8Array;
}

/**
 * Writes router advertisements and says when they are due. One that advertises something else than before takes back
 * what holds no longer, a few times at once and then in every advertisement: what was advertised was meant for good.
 */
export class RouterAdvertiser {
  #config: AdvertiserConfig;
  #message: Uint8Array;
  #withdrawn: Withdrawn = NOTHING_WITHDRAWN;
  #farewells: readonly Farewell[] = [];
  /** Which frame of the round at hand comes next: the farewells first, then our own. */
  #next = 0;
  /** The farewell that is due; null: our own advertisement. */
  #due: Farewell | null = null;
  readonly #schedule = new AdvertisementSchedule();

  /** @throws RangeError, DomainNameError as {@link RouterAdvertiser.configure}. */
  constructor(config: AdvertiserConfig) {
    this.#message = encode(config, NOTHING_WITHDRAWN);
    this.#config = config;
  }

  /** When {@link RouterAdvertiser.due} says yes at the latest; Infinity until {@link RouterAdvertiser.start}. */
  get deadlineMs(): number {
    return this.#schedule.deadlineMs;
  }

  /**
   * Goes by `config` from now on; news are due at once (RFC 4861 section 6.2.4).
   *
   * @throws RangeError for too many servers; DomainNameError for a bad search domain. The old one then stays in force.
   */
  configure(config: AdvertiserConfig, nowMs: number): void {
    const last = this.#config;
    const withdrawn = withdrawnBy(last.router, config.router, this.#withdrawn);
    const message = encode(config, withdrawn);
    const hasMoved = !isSame(config.ourLinkLocal, last.ourLinkLocal);
    const isBack = ({ source }: Farewell) => config.router !== null && isSame(source, config.ourLinkLocal);
    const farewells = this.#farewells.filter((farewell) => !isBack(farewell));
    if (last.router !== null && (hasMoved || config.router === null)) {
      const farewell = encodeFarewell(last.router, withdrawn, last.ourMac);
      farewells.push({ source: last.ourLinkLocal.slice(), message: farewell });
    }
    const isNews = hasMoved || !isSame(message, this.#message);
    this.#farewells = farewells.slice(-FAREWELLS_MAX);
    this.#withdrawn = withdrawn;
    this.#message = message;
    this.#config = config;
    this.#next = 0;
    if (isNews && this.#schedule.isRunning) this.#schedule.startNews(nowMs);
  }

  /** A guest is there: the first advertisement that it did not ask for comes after the usual time. */
  start(nowMs: number, random: number): void {
    this.#schedule.start(nowMs, random);
    this.#farewells = [];
    this.#next = 0;
    this.#due = null;
  }

  /** Whether a frame is due; {@link RouterAdvertiser.writeDue} writes it then, and there may be another one. */
  due(nowMs: number, random: number): boolean {
    if (!this.#schedule.due(nowMs)) return false;
    if (this.#next < this.#farewells.length) {
      this.#due = this.#farewells[this.#next++];
      return true;
    }
    this.#due = null;
    this.#next = 0;
    if (this.#schedule.newsRounds === 1) this.#farewells = [];
    this.#schedule.roundDone(nowMs, random);
    return this.#message.length > 0;
  }

  stop(): void {
    this.#schedule.stop();
  }

  /**
   * Writes our advertisement as a frame at `at` of `view`; returns its length, 0 when there is no router.
   *
   * @param destination four words.
   */
  write(view: DataView, at: number, guestMac: Uint8Array, destination: Uint32Array): number {
    if (this.#message.length === 0) return 0;
    return this.#writeFrame(this.#message, this.#config.ourLinkLocal, view, at, guestMac, destination);
  }

  /** As {@link RouterAdvertiser.write} for the frame for which {@link RouterAdvertiser.due} said yes last. */
  writeDue(view: DataView, at: number, guestMac: Uint8Array, destination: Uint32Array): number {
    const farewell = this.#due;
    if (farewell === null) return this.write(view, at, guestMac, destination);
    return this.#writeFrame(farewell.message, farewell.source, view, at, guestMac, destination);
  }

  #writeFrame(
    message: Uint8Array,
    source: Uint32Array,
    view: DataView,
    at: number,
    guestMac: Uint8Array,
    destination: Uint32Array,
  ): number {
    const messageAt = at + ICMPV6_MESSAGE_OFFSET;
    for (let i = 0; i < message.length; i++) view.setUint8(messageAt + i, message[i]);
    return writeIcmpv6Frame(view, at, guestMac, this.#config.ourMac, source, destination, message.length);
  }
}

function encode(config: AdvertiserConfig, withdrawn: Withdrawn): Uint8Array {
  return config.router === null ? NO_MESSAGE : encodeAdvertisement(config.router, withdrawn, config.ourMac);
}

function isSame(a: Uint8Array | Uint32Array, b: Uint8Array | Uint32Array): boolean {
  return a.length === b.length && a.every((value, index) => value === b[index]);
}
