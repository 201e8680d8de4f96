/**
 * ARP for a guest whose whole network is behind us: every address but its own is ours. The guest writes the requests;
 * each costs at most one reply of 42 bytes.
 */
import { Arp, ArpOperation, checkArp, writeArp } from "@passt-ts/wire/arp";
import { Ethernet, EtherType, writeEthernet } from "@passt-ts/wire/ethernet";
import { readIpv4Address } from "@passt-ts/wire/ip-address";
import { readMac } from "@passt-ts/wire/mac";
import type { Packet } from "@passt-ts/wire/packet";

/** Bytes of an ARP reply with its Ethernet header, not padded. */
export const ARP_REPLY_BYTES: number = Ethernet.headerBytes + Arp.messageBytes;

/** Indices in {@link ArpResponder.counters}. */
export const ArpCounter = {
  requests: 0,
  replies: 1,
  announcements: 2,
  ownAddress: 3,
  malformed: 4,
  ignored: 5,
} as const;

/** What an {@link ArpResponder} goes by. */
export interface ArpConfig {
  /** The MAC address that every reply names. */
  readonly ourMac: Uint8Array;
  /** The guest's own addresses, four words each, IPv4-mapped; their current value counts at every request. */
  readonly guestAddresses: readonly Uint32Array[];
}

/** Answers ARP requests (RFC 826); announcements and probes for the guest's address (RFC 5227) get no answer. */
export class ArpResponder {
  /** Counts by {@link ArpCounter}. */
  readonly counters: Float64Array = new Float64Array(6);
  #config: ArpConfig;
  readonly #guestMac = new Uint8Array(6);
  readonly #sender = new Uint32Array(4);
  readonly #target = new Uint32Array(4);

  constructor(config: ArpConfig) {
    this.#config = config;
  }

  /** Goes by `config` from the next request on. */
  configure(config: ArpConfig): void {
    this.#config = config;
  }

  /**
   * Answers the ARP message that `packet` found in `request`.
   *
   * Writes the reply frame at `replyAt` of `reply`, which has room for {@link ARP_REPLY_BYTES}, and returns its length;
   * 0 when there is no answer.
   */
  respond(packet: Packet, request: DataView, reply: DataView, replyAt: number): number {
    const { counters } = this;
    const at = packet.l4At;
    const operation = packet.etherType === EtherType.arp ? checkArp(request, at, packet.end) : -1;
    if (operation < 0) {
      counters[ArpCounter.malformed]++;
      return 0;
    }
    if (operation !== ArpOperation.request) {
      counters[ArpCounter.ignored]++;
      return 0;
    }
    counters[ArpCounter.requests]++;
    readIpv4Address(request, at + Arp.senderAddress, this.#sender, 0);
    readIpv4Address(request, at + Arp.targetAddress, this.#target, 0);
    if (this.#sender[3] !== 0 && this.#sender[3] === this.#target[3]) {
      counters[ArpCounter.announcements]++;
      return 0;
    }
    if (this.#isGuest(this.#target[3])) {
      counters[ArpCounter.ownAddress]++;
      return 0;
    }
    const { ourMac } = this.#config;
    readMac(request, packet.sourceMacAt, this.#guestMac);
    const replyArpAt = writeEthernet(reply, replyAt, this.#guestMac, ourMac, EtherType.arp);
    readMac(request, at + Arp.senderMac, this.#guestMac);
    writeArp(reply, replyArpAt, ArpOperation.reply, ourMac, this.#target, 0, this.#guestMac, this.#sender, 0);
    counters[ArpCounter.replies]++;
    return ARP_REPLY_BYTES;
  }

  #isGuest(address: number): boolean {
    const { guestAddresses } = this.#config;
    for (let i = 0; i < guestAddresses.length; i++) if (guestAddresses[i][3] === address) return true;
    return false;
  }
}
