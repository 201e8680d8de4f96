/**
 * Neighbor discovery for a guest whose whole network is behind us (RFC 4861): a router that advertises itself and
 * answers for every address but the guest's own. The guest writes the solicitations; each costs one pass over its
 * options and at most one reply of {@link NDP_REPLY_BYTES_MAX} bytes.
 */
import { Ethernet } from "@passt-ts/wire/ethernet";
import { icmpCode, icmpType } from "@passt-ts/wire/icmp";
import { Icmpv6Type } from "@passt-ts/wire/icmpv6";
import {
  isIpv6Address,
  isMulticastIpv6,
  isUnspecifiedIpv6,
  readIpv6Address,
  writeIpv6Address,
} from "@passt-ts/wire/ip-address";
import { IpProtocol } from "@passt-ts/wire/ipv4";
import { multicastMacOf, readMac } from "@passt-ts/wire/mac";
import {
  checkNdpOptions,
  findNdpOption,
  isSolicitedNode,
  NDP_HOP_LIMIT,
  NdpOptionType,
  NeighborAdvertisement,
  NeighborFlag,
  NeighborSolicitation,
  RouterSolicitation,
  solicitedNodeOf,
  writeNdpLinkLayer,
} from "@passt-ts/wire/ndp";
import type { Packet } from "@passt-ts/wire/packet";
import { ClaimedAddresses } from "./claimed-addresses.ts";
import { ICMPV6_MESSAGE_OFFSET, writeIcmpv6Frame } from "./reply-frame.ts";
import { ADVERTISEMENT_PACKET_BYTES_MAX, type RouterConfig } from "./router-advertisement.ts";
import { RouterAdvertiser } from "./router-advertiser.ts";

/** The longest frame that is written: a packet of 1280 bytes, the least MTU of IPv6. */
export const NDP_REPLY_BYTES_MAX: number = Ethernet.headerBytes + ADVERTISEMENT_PACKET_BYTES_MAX;

/** Indices in {@link NdpResponder.counters}. */
export const NdpCounter = {
  neighborSolicitations: 0,
  neighborAdvertisements: 1,
  routerSolicitations: 2,
  routerAdvertisements: 3,
  duplicateDetections: 4,
  ownAddress: 5,
  malformed: 6,
  ignored: 7,
  sentSolicitations: 8,
} as const;

/** What an {@link NdpResponder} goes by. An address is four words. */
export interface NdpConfig {
  /** The MAC address that every reply names. */
  readonly ourMac: Uint8Array;
  /** The source of every reply. */
  readonly ourLinkLocal: Uint32Array;
  /** Further addresses that nobody but us may take: duplicate address detection gets an answer. */
  readonly ourAddresses?: readonly Uint32Array[];
  /** The guest's own addresses; their current value counts at every request. */
  readonly guestAddresses: readonly Uint32Array[];
  /** Null: no router here, solicitations stay unanswered. */
  readonly router: RouterConfig | null;
}

/** Answers neighbor and router solicitations, and says when an unsolicited router advertisement is due. */
export class NdpResponder {
  /** Counts by {@link NdpCounter}. */
  readonly counters: Float64Array = new Float64Array(9);
  #config: NdpConfig;
  #ourAddresses: readonly Uint32Array[];
  readonly #advertiser: RouterAdvertiser;
  readonly #claimed = new ClaimedAddresses();
  readonly #guestMac = new Uint8Array(6);
  readonly #source = new Uint32Array(4);
  readonly #target = new Uint32Array(4);
  readonly #allNodes = Uint32Array.of(0xff02_0000, 0, 0, 1);
  readonly #solicitedNode = new Uint32Array(4);
  readonly #groupMac = new Uint8Array(6);

  /** @throws RangeError, DomainNameError as {@link NdpResponder.configure}. */
  constructor(config: NdpConfig) {
    this.#advertiser = new RouterAdvertiser(config);
    this.#config = config;
    this.#ourAddresses = config.ourAddresses ?? [];
  }

  /** When {@link NdpResponder.due} says yes at the latest; Infinity until {@link NdpResponder.schedule}. */
  get deadlineMs(): number {
    return this.#advertiser.deadlineMs;
  }

  /**
   * Goes by `config` from the next request on. A guest that is there hears at once, and twice again, what is new and
   * what holds no longer (RFC 4861 section 6.2.4).
   *
   * @throws RangeError for too many servers; DomainNameError for a bad search domain. The old one then stays in force.
   */
  configure(config: NdpConfig, nowMs: number): void {
    this.#advertiser.configure(config, nowMs);
    this.#config = config;
    this.#ourAddresses = config.ourAddresses ?? [];
    this.#claimed.clear();
  }

  /**
   * Answers the ICMPv6 message that `packet` found in `request`, which holds all of it.
   *
   * Writes the reply frame at `replyAt` of `reply`, which has room for {@link NDP_REPLY_BYTES_MAX}, and returns its
   * length; 0 when there is no answer, as for every message that is no solicitation.
   */
  respond(packet: Packet, request: DataView, reply: DataView, replyAt: number): number {
    const at = packet.l4At;
    const end = at + packet.l4Length;
    if (packet.ipVersion !== 6 || packet.protocol !== IpProtocol.icmpv6 || packet.isFragment || end - at < 1) return 0;
    if (packet.end <= at) return this.#count(NdpCounter.malformed);
    const type = icmpType(request, at);
    const isNeighbor = type === Icmpv6Type.neighborSolicitation;
    if (!isNeighbor && type !== Icmpv6Type.routerSolicitation) return this.#count(NdpCounter.ignored);
    const options = at + (isNeighbor ? NeighborSolicitation.options : RouterSolicitation.options);
    if (
      packet.hopLimit !== NDP_HOP_LIMIT ||
      end > packet.end ||
      options > end ||
      icmpCode(request, at) !== 0 ||
      !checkNdpOptions(request, options, end) ||
      !hasGoodSource(packet, request, isNeighbor, options, end)
    ) {
      return this.#count(NdpCounter.malformed);
    }
    readMac(request, packet.sourceMacAt, this.#guestMac);
    readIpv6Address(request, packet.sourceAt, this.#source, 0);
    if (isNeighbor) return this.#answerNeighbor(packet, request, at, reply, replyAt);
    this.counters[NdpCounter.routerSolicitations]++;
    const destination = isUnspecifiedIpv6(request, packet.sourceAt) ? this.#allNodes : this.#source;
    return this.#countAdvertisement(this.#advertiser.write(reply, replyAt, this.#guestMac, destination));
  }

  /**
   * Writes the unsolicited router advertisement for which {@link NdpResponder.due} said yes last, to all nodes, at
   * `replyAt` of `reply`, which has room for {@link NDP_REPLY_BYTES_MAX}; returns its length, 0 when there is no router
   * here.
   *
   * @param guestMac where the frame goes.
   */
  advertise(reply: DataView, replyAt: number, guestMac: Uint8Array): number {
    return this.#countAdvertisement(this.#advertiser.writeDue(reply, replyAt, guestMac, this.#allNodes));
  }

  /** A guest is there: sets the time of the next unsolicited advertisement; `random` is uniform in [0, 1). */
  schedule(nowMs: number, random: number): void {
    this.#advertiser.start(nowMs, random);
  }

  /**
   * Whether an unsolicited advertisement is to be sent now. If so, the next call of {@link NdpResponder.advertise}
   * writes it, and this is to be called again: a round may have several.
   */
  due(nowMs: number, random: number): boolean {
    return this.#advertiser.due(nowMs, random);
  }

  /** Sends no unsolicited advertisements any more, and forgets which addresses the guest used: it is gone. */
  stop(): void {
    this.#advertiser.stop();
    this.#claimed.clear();
  }

  /**
   * Writes a neighbor solicitation for the guest's `address` at `at` of `frame`, which has room for
   * {@link NDP_REPLY_BYTES_MAX}: the answer tells the guest's MAC address. Returns its length; 0 when `address` is `::`.
   */
  ask(address: Uint32Array, frame: DataView, at: number): number {
    if ((address[0] | address[1] | address[2] | address[3]) === 0) return 0;
    const { ourMac, ourLinkLocal } = this.#config;
    const messageAt = at + ICMPV6_MESSAGE_OFFSET;
    frame.setUint32(messageAt, Icmpv6Type.neighborSolicitation << 24);
    frame.setUint32(messageAt + 4, 0);
    writeIpv6Address(frame, messageAt + NeighborSolicitation.target, address, 0);
    const options = messageAt + NeighborSolicitation.options;
    const end = writeNdpLinkLayer(frame, options, NdpOptionType.sourceLinkLayer, ourMac);
    solicitedNodeOf(address, this.#solicitedNode);
    multicastMacOf(this.#solicitedNode, this.#groupMac);
    this.counters[NdpCounter.sentSolicitations]++;
    return writeIcmpv6Frame(frame, at, this.#groupMac, ourMac, ourLinkLocal, this.#solicitedNode, end - messageAt);
  }

  /**
   * A solicitation from the unspecified address is duplicate address detection (RFC 4862 section 5.4.3): answered only
   * to defend an address of ours. Any other the guest may take, and then it is the guest's own.
   */
  #answerNeighbor(packet: Packet, request: DataView, at: number, reply: DataView, replyAt: number): number {
    const targetAt = at + NeighborSolicitation.target;
    if (isMulticastIpv6(request, targetAt)) return this.#count(NdpCounter.malformed);
    this.counters[NdpCounter.neighborSolicitations]++;
    readIpv6Address(request, targetAt, this.#target, 0);
    const isDetection = isUnspecifiedIpv6(request, packet.sourceAt);
    if (isDetection) {
      this.counters[NdpCounter.duplicateDetections]++;
      if (!this.#isOurs(request, targetAt)) {
        this.#claimed.claim(this.#target, 0);
        return 0;
      }
    } else if (this.#isGuests(request, targetAt)) {
      return this.#count(NdpCounter.ownAddress);
    }
    const { ourMac, ourLinkLocal } = this.#config;
    const flags = NeighborFlag.router | NeighborFlag.override | (isDetection ? 0 : NeighborFlag.solicited);
    const messageAt = replyAt + ICMPV6_MESSAGE_OFFSET;
    reply.setUint32(messageAt, Icmpv6Type.neighborAdvertisement << 24);
    reply.setUint32(messageAt + NeighborAdvertisement.flags, flags << 24);
    writeIpv6Address(reply, messageAt + NeighborAdvertisement.target, this.#target, 0);
    const options = messageAt + NeighborAdvertisement.options;
    const end = writeNdpLinkLayer(reply, options, NdpOptionType.targetLinkLayer, ourMac);
    const destination = isDetection ? this.#allNodes : this.#source;
    this.counters[NdpCounter.neighborAdvertisements]++;
    return writeIcmpv6Frame(reply, replyAt, this.#guestMac, ourMac, ourLinkLocal, destination, end - messageAt);
  }

  #countAdvertisement(lengthBytes: number): number {
    if (lengthBytes > 0) this.counters[NdpCounter.routerAdvertisements]++;
    return lengthBytes;
  }

  /** Whether the address at `targetAt`, which is in `#target` too, is one that the guest has. */
  #isGuests(request: DataView, targetAt: number): boolean {
    return contains(this.#config.guestAddresses, request, targetAt) || this.#claimed.has(this.#target, 0);
  }

  #isOurs(request: DataView, targetAt: number): boolean {
    const { ourLinkLocal } = this.#config;
    return isIpv6Address(request, targetAt, ourLinkLocal, 0) || contains(this.#ourAddresses, request, targetAt);
  }

  #count(counter: number): 0 {
    this.counters[counter]++;
    return 0;
  }
}

/**
 * Whether a solicitation may come from where it does (RFC 4861 sections 6.1.1 and 7.1.1): from one node, or from the
 * unspecified address without a link-layer address and, for a neighbor, to the group of the solicited node.
 */
function hasGoodSource(packet: Packet, request: DataView, isNeighbor: boolean, options: number, end: number): boolean {
  if (isMulticastIpv6(request, packet.sourceAt)) return false;
  if (!isUnspecifiedIpv6(request, packet.sourceAt)) return true;
  if (isNeighbor && !isSolicitedNode(request, packet.destinationAt)) return false;
  return findNdpOption(request, options, end, NdpOptionType.sourceLinkLayer) < 0;
}

function contains(addresses: readonly Uint32Array[], view: DataView, at: number): boolean {
  for (let i = 0; i < addresses.length; i++) if (isIpv6Address(view, at, addresses[i], 0)) return true;
  return false;
}
