/**
 * ARP for a guest whose whole network is behind us: every address but its own is ours. The guest writes the requests;
 * each costs at most one reply of 42 bytes.
 */
import { Arp, ArpOperation, checkArp, writeArp } from "@passt-ts/wire/arp";
import { Ethernet, EtherType, writeEthernet } from "@passt-ts/wire/ethernet";
import { readIpv4Address } from "@passt-ts/wire/ip-address";
import { readMac } from "@passt-ts/wire/mac";
import type { Packet } from "@passt-ts/wire/packet";
import { ClaimedAddresses } from "./claimed-addresses.ts";

/** Bytes of an ARP message with its Ethernet header, not padded: of a reply and of a request. */
export const ARP_REPLY_BYTES: number = Ethernet.headerBytes + Arp.messageBytes;

/** Indices in {@link ArpResponder.counters}. */
export const ArpCounter = {
  requests: 0,
  replies: 1,
  announcements: 2,
  ownAddress: 3,
  malformed: 4,
  ignored: 5,
  /** Probes for an address that the guest may take. */
  probes: 6,
  /** Requests for what no station can have: 0.0.0.0, loopback, multicast, broadcast. */
  notUnicast: 7,
  sentRequests: 8,
} as const;

/** What an {@link ArpResponder} goes by. An address is four words, IPv4-mapped. */
export interface ArpConfig {
  /** The MAC address that every reply names. */
  readonly ourMac: Uint8Array;
  /** Addresses that nobody but us may take: a probe for one of them gets an answer. The first asks for the guest. */
  readonly ourAddresses?: readonly Uint32Array[];
  /** The guest's own addresses; their current value counts at every request. */
  readonly guestAddresses: readonly Uint32Array[];
}

const BROADCAST_MAC: readonly number[] = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff];

/**
 * Answers ARP requests (RFC 826). Announcements get no answer, nor do requests for an address that the guest has shown
 * to be its own. A probe (RFC 5227 section 2.1.1: sent from 0.0.0.0) asks whether the guest may take an address, and it
 * may take all but ours.
 */
export class ArpResponder {
  /** Counts by {@link ArpCounter}. */
  readonly counters: Float64Array = new Float64Array(9);
  #config: ArpConfig;
  #ourAddresses: readonly Uint32Array[];
  readonly #claimed = new ClaimedAddresses();
  readonly #guestMac = new Uint8Array(6);
  readonly #broadcastMac = Uint8Array.from(BROADCAST_MAC);
  readonly #noMac = new Uint8Array(6);
  readonly #sender = new Uint32Array(4);
  readonly #target = new Uint32Array(4);

  constructor(config: ArpConfig) {
    this.#config = config;
    this.#ourAddresses = config.ourAddresses ?? [];
  }

  /** Goes by `config` from the next request on, and forgets which addresses the guest used. */
  configure(config: ArpConfig): void {
    this.#config = config;
    this.#ourAddresses = config.ourAddresses ?? [];
    this.#claimed.clear();
  }

  /** Forgets which addresses the guest used: there is a new one. */
  reset(): void {
    this.#claimed.clear();
  }

  /**
   * Answers the ARP message that `packet` found in `request`.
   *
   * Writes the reply frame at `replyAt` of `reply`, which has room for {@link ARP_REPLY_BYTES}, and returns its length;
   * 0 when there is no answer.
   */
  respond(packet: Packet, request: DataView, reply: DataView, replyAt: number): number {
    const at = packet.l4At;
    const operation = packet.etherType === EtherType.arp ? checkArp(request, at, packet.end) : -1;
    if (operation < 0) return this.#count(ArpCounter.malformed);
    readIpv4Address(request, at + Arp.senderAddress, this.#sender, 0);
    readIpv4Address(request, at + Arp.targetAddress, this.#target, 0);
    this.#learn();
    if (operation !== ArpOperation.request) return this.#count(ArpCounter.ignored);
    this.counters[ArpCounter.requests]++;
    const reason = this.#silence();
    if (reason >= 0) return this.#count(reason);
    const { ourMac } = this.#config;
    readMac(request, packet.sourceMacAt, this.#guestMac);
    const replyArpAt = writeEthernet(reply, replyAt, this.#guestMac, ourMac, EtherType.arp);
    readMac(request, at + Arp.senderMac, this.#guestMac);
    writeArp(reply, replyArpAt, ArpOperation.reply, ourMac, this.#target, 0, this.#guestMac, this.#sender, 0);
    this.counters[ArpCounter.replies]++;
    return ARP_REPLY_BYTES;
  }

  /**
   * Writes a broadcast request for the guest's `address` at `at` of `frame`, which has room for
   * {@link ARP_REPLY_BYTES}: the answer tells the guest's MAC address. Returns its length; 0 when we have no address to
   * ask from (a probe, which needs none, would make a guest that is just taking the address give it up) or `address` is
   * 0.0.0.0.
   */
  ask(address: Uint32Array, frame: DataView, at: number): number {
    const { ourMac } = this.#config;
    const asker = this.#ourAddresses[0];
    if (asker === undefined || asker[3] === 0 || address[3] === 0) return 0;
    const arpAt = writeEthernet(frame, at, this.#broadcastMac, ourMac, EtherType.arp);
    writeArp(frame, arpAt, ArpOperation.request, ourMac, asker, 0, this.#noMac, address, 0);
    this.counters[ArpCounter.sentRequests]++;
    return ARP_REPLY_BYTES;
  }

  /** Every message but a probe says which address its sender has. */
  #learn(): void {
    if (this.#sender[3] !== 0 && !contains(this.#ourAddresses, this.#sender[3])) this.#claimed.claim(this.#sender, 0);
  }

  /** The counter of the reason not to answer the request at hand, or -1. */
  #silence(): number {
    const sender = this.#sender[3];
    const target = this.#target[3];
    if (!isUnicast(target)) return ArpCounter.notUnicast;
    if (sender !== 0 && sender === target) return ArpCounter.announcements;
    if (contains(this.#config.guestAddresses, target) || this.#claimed.has(this.#target, 0))
      return ArpCounter.ownAddress;
    return sender === 0 && !contains(this.#ourAddresses, target) ? ArpCounter.probes : -1;
  }

  #count(counter: number): 0 {
    this.counters[counter]++;
    return 0;
  }
}

function isUnicast(address: number): boolean {
  const first = address >>> 24;
  return first !== 0 && first !== 127 && (first < 224 || (first >= 240 && address !== 0xffff_ffff));
}

function contains(addresses: readonly Uint32Array[], address: number): boolean {
  for (let i = 0; i < addresses.length; i++) if (addresses[i][3] === address) return true;
  return false;
}
