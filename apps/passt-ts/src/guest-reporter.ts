import type { LinkConfiguration } from "@passt-ts/backend-sockets/link-configuration";
import { DhcpCounter } from "@passt-ts/guest-services/dhcp";
import { Dhcpv6Counter } from "@passt-ts/guest-services/dhcpv6-counter";
import { NdpCounter } from "@passt-ts/guest-services/ndp";
import { formatAddress, formatMac } from "./address-text.ts";
import { LineLimiter } from "./line-limiter.ts";
import { isShown, type Log, type LogLevel } from "./log.ts";

/** What is known of the guest; the current values count. */
export interface ObservedGuest {
  readonly mac: Uint8Array;
  readonly macObserved: boolean;
}

/** A service that counts what it did. */
interface Counting {
  readonly counters: Float64Array;
}

/** The services that the guest asks; null while there is none. */
export interface AskedServices {
  readonly dhcp: Counting | null;
  readonly dhcpv6: Counting | null;
  readonly ndp: Counting | null;
}

/** What a reporter goes by. */
export interface GuestReporterOptions {
  readonly guest: ObservedGuest;
  /** Lines of less importance than this are not wanted. */
  readonly level: LogLevel;
  readonly log: Log;
  /** What the guest is told now. */
  readonly link: LinkConfiguration;
}

/** Something that a service does for the guest, and how often it has done it. */
interface Answer {
  readonly service: keyof AskedServices;
  readonly level: LogLevel;
  readonly count: (counters: Float64Array) => number;
  /** @param mac the guest's. @param address the one that it is given. */
  readonly text: (mac: string, address: string) => string;
}

const counted =
  (index: number): Answer["count"] =>
  (counters) =>
    counters[index];

const dhcp = (index: number, text: Answer["text"]): Answer => {
  return { service: "dhcp", level: "info", count: counted(index), text };
};
const dhcpv6 = (count: Answer["count"], text: Answer["text"]): Answer => {
  return { service: "dhcpv6", level: "info", count, text };
};
const ndp = (index: number, text: Answer["text"]): Answer => {
  return { service: "ndp", level: "debug", count: counted(index), text };
};

/** In the order in which a guest comes by them. */
const ANSWERS: readonly Answer[] = [
  ndp(NdpCounter.routerSolicitations, (mac) => `NDP: router solicitation of ${mac}`),
  ndp(NdpCounter.routerAdvertisements, (mac) => `NDP: router advertisement to ${mac}`),
  dhcp(DhcpCounter.offers, (mac, address) => `DHCP: ${address} offered to ${mac}`),
  dhcp(DhcpCounter.refusals, (mac, address) => `DHCP: another address than ${address} refused to ${mac}`),
  dhcp(DhcpCounter.acknowledgments, (mac, address) => `DHCP: ${address} leased to ${mac}`),
  dhcp(DhcpCounter.bootpReplies, (mac, address) => `BOOTP: ${address} given to ${mac}`),
  dhcp(DhcpCounter.informs, (mac) => `DHCP: ${mac} answered without an address, as it asked for none`),
  dhcpv6(counted(Dhcpv6Counter.advertisements), (mac, address) => `DHCPv6: ${address} offered to ${mac}`),
  dhcpv6(counted(Dhcpv6Counter.leases), (mac, address) => `DHCPv6: ${address} leased to ${mac}`),
  dhcpv6(
    (counters) => counters[Dhcpv6Counter.replies] - counters[Dhcpv6Counter.leases],
    (mac) => `DHCPv6: ${mac} answered without an address`,
  ),
];

/**
 * Logs who the guest is and what it is answered, from what is counted anyway. A guest can ask as often as it likes: the
 * lines have a limit.
 */
export class GuestReporter {
  /** What the guest is told now. */
  link: LinkConfiguration;
  readonly #guest: ObservedGuest;
  readonly #log: Log;
  readonly #limiter: LineLimiter;
  readonly #answers: readonly Answer[];
  /** By answer. */
  readonly #counts: Float64Array;
  readonly #tellsMac: boolean;
  readonly #mac = new Uint8Array(6);
  #knowsMac = false;

  constructor({ guest, level, log, link }: GuestReporterOptions) {
    this.link = link;
    this.#guest = guest;
    this.#log = log;
    this.#limiter = new LineLimiter({ log, about: "the guest" });
    this.#answers = ANSWERS.filter((answer) => isShown(level, answer.level));
    this.#counts = new Float64Array(this.#answers.length);
    this.#tellsMac = isShown(level, "info");
  }

  /** When {@link GuestReporter.turn} is to be called at the latest, or Infinity. */
  get deadlineMs(): number {
    return this.#limiter.deadlineMs;
  }

  /** The guest has gone: the next one is a new one, even with the same MAC address. */
  guestGone(): void {
    this.#knowsMac = false;
  }

  /** Logs what is new since the last time. No garbage where nothing is. */
  turn(services: AskedServices, nowMs: number): void {
    this.#limiter.turn(nowMs);
    if (this.#tellsMac && this.#guest.macObserved && !this.#isSameMac()) this.#tellMac(nowMs);
    for (let i = 0; i < this.#answers.length; i++) {
      const answer = this.#answers[i];
      const service = services[answer.service];
      // One that is switched on again counts anew.
      const now = service === null ? 0 : answer.count(service.counters);
      const times = now - this.#counts[i];
      this.#counts[i] = now;
      if (times > 0) this.#tell(answer, times, nowMs);
    }
  }

  #isSameMac(): boolean {
    if (!this.#knowsMac) return false;
    for (let i = 0; i < this.#mac.length; i++) if (this.#mac[i] !== this.#guest.mac[i]) return false;
    return true;
  }

  #tellMac(nowMs: number): void {
    this.#mac.set(this.#guest.mac);
    const is = this.#knowsMac ? "is now" : "is";
    this.#knowsMac = true;
    if (this.#limiter.admits(nowMs)) this.#log("info", `the guest's MAC address ${is} ${formatMac(this.#mac)}`);
  }

  #tell({ service, level, text }: Answer, times: number, nowMs: number): void {
    if (!this.#limiter.admits(nowMs)) return;
    const { ipv4, ipv6 } = this.link;
    const address = (service === "dhcp" ? ipv4 : ipv6)?.guestAddress ?? null;
    const told = text(formatMac(this.#guest.mac), address === null ? "no address" : formatAddress(address));
    this.#log(level, times === 1 ? told : `${told} (${times} times)`);
  }
}
