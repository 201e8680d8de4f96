/**
 * Neighbor discovery for a guest whose whole network is behind us (RFC 4861): a router that advertises itself and
 * answers for every address but the guest's own. The guest writes the solicitations; each costs one pass over its
 * options and at most one reply of {@link NDP_REPLY_BYTES_MAX} bytes.
 */
import { Ethernet } from "@passt-ts/wire/ethernet";
import { icmpCode, icmpType } from "@passt-ts/wire/icmp";
import { Icmpv6Type } from "@passt-ts/wire/icmpv6";
import { isIpv6Address, isUnspecifiedIpv6, readIpv6Address, writeIpv6Address } from "@passt-ts/wire/ip-address";
import { IpProtocol } from "@passt-ts/wire/ipv4";
import { readMac } from "@passt-ts/wire/mac";
import {
  checkNdpOptions,
  findNdpOption,
  NDP_HOP_LIMIT,
  NDP_LIFETIME_INFINITE,
  NdpOptionType,
  NeighborAdvertisement,
  NeighborFlag,
  NeighborSolicitation,
  PrefixFlag,
  RouterAdvertisement,
  RouterFlag,
  RouterSolicitation,
  writeNdpDnsServers,
  writeNdpLinkLayer,
  writeNdpMtu,
  writeNdpPrefix,
  writeNdpSearchList,
} from "@passt-ts/wire/ndp";
import type { Packet } from "@passt-ts/wire/packet";
import { ICMPV6_MESSAGE_OFFSET, writeIcmpv6Frame } from "./reply-frame.ts";
import { fitSearchList } from "./search-list.ts";

/** The longest reply frame: a packet of 1280 bytes, the least MTU of IPv6. */
export const NDP_REPLY_BYTES_MAX: number = Ethernet.headerBytes + 1280;

/** Unsolicited advertisements go out at random distances between these (RFC 4861 section 6.2.1: 200 s and 600 s). */
const ADVERTISEMENT_INTERVAL_MIN_MS = 200_000;
const ADVERTISEMENT_INTERVAL_MAX_MS = 600_000;

const ROUTER_LIFETIME_SECONDS = 65_535;
const CURRENT_HOP_LIMIT = 255;
const PREFIX_LENGTH = 64;
const DNS_SERVERS_MAX = 16;

/** Search list bytes that fit behind everything else, 16 servers included. */
const SEARCH_BYTES_MAX = 904;

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
} as const;

/** What the router advertisements say. An address is four words; what is absent is not advertised. */
export interface RouterConfig {
  /** An address whose first 64 bits are the prefix, the others do not count. */
  readonly prefix?: Uint32Array | null;
  /** 0 is none. */
  readonly mtu?: number;
  /** At most 16. */
  readonly dnsServers?: readonly Uint32Array[];
  /** Advertised only beside DNS servers, and only as many as fit. */
  readonly searchDomains?: readonly string[];
  /** Whether the guest is told to ask DHCPv6 for its address. */
  readonly managed?: boolean;
}

/** What an {@link NdpResponder} goes by. */
export interface NdpConfig {
  /** The MAC address that every reply names. */
  readonly ourMac: Uint8Array;
  /** The source of every reply. */
  readonly ourLinkLocal: Uint32Array;
  /** Further addresses, four words each, that nobody but us may take: duplicate address detection gets an answer. */
  readonly ourAddresses?: readonly Uint32Array[];
  /** The guest's own addresses, four words each; their current value counts at every request. */
  readonly guestAddresses: readonly Uint32Array[];
  /** Null: no router here, solicitations stay unanswered. */
  readonly router: RouterConfig | null;
}

/** Answers neighbor and router solicitations, and says when an unsolicited router advertisement is due. */
export class NdpResponder {
  /** Counts by {@link NdpCounter}. */
  readonly counters: Float64Array = new Float64Array(8);
  /** When {@link NdpResponder.due} says yes at the latest; Infinity until {@link NdpResponder.schedule}. */
  deadlineMs: number = Number.POSITIVE_INFINITY;
  #config!: NdpConfig;
  #searchList: Uint8Array = new Uint8Array(0);
  readonly #guestMac = new Uint8Array(6);
  readonly #source = new Uint32Array(4);
  readonly #target = new Uint32Array(4);
  readonly #allNodes = Uint32Array.of(0xff02_0000, 0, 0, 1);

  /** @throws RangeError, DomainNameError as {@link NdpResponder.configure}. */
  constructor(config: NdpConfig) {
    this.configure(config);
  }

  /**
   * Goes by `config` from the next request on.
   *
   * @throws RangeError for too many servers; DomainNameError for a bad search domain. The old one then stays in force.
   */
  configure(config: NdpConfig): void {
    const { dnsServers = [], searchDomains = [] } = config.router ?? {};
    if (dnsServers.length > DNS_SERVERS_MAX) throw new RangeError(`at most ${DNS_SERVERS_MAX} DNS servers`);
    this.#searchList =
      dnsServers.length > 0 ? fitSearchList(searchDomains, false, SEARCH_BYTES_MAX) : new Uint8Array(0);
    this.#config = config;
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
      hasForbiddenOption(packet, request, options, end)
    ) {
      return this.#count(NdpCounter.malformed);
    }
    readMac(request, packet.sourceMacAt, this.#guestMac);
    readIpv6Address(request, packet.sourceAt, this.#source, 0);
    if (isNeighbor) return this.#answerNeighbor(packet, request, at, reply, replyAt);
    this.counters[NdpCounter.routerSolicitations]++;
    if (this.#config.router === null) return 0;
    const isUnspecified = isUnspecifiedIpv6(request, packet.sourceAt);
    const destination = isUnspecified ? this.#allNodes : this.#source;
    return this.#writeAdvertisement(this.#config.router, reply, replyAt, this.#guestMac, destination);
  }

  /**
   * Writes an unsolicited router advertisement to all nodes at `replyAt` of `reply`, which has room for
   * {@link NDP_REPLY_BYTES_MAX}; returns its length, 0 when there is no router here.
   *
   * @param guestMac where the frame goes.
   */
  advertise(reply: DataView, replyAt: number, guestMac: Uint8Array): number {
    const { router } = this.#config;
    return router === null ? 0 : this.#writeAdvertisement(router, reply, replyAt, guestMac, this.#allNodes);
  }

  /** Sets the time of the next unsolicited advertisement; `random` is uniform in [0, 1). */
  schedule(nowMs: number, random: number): void {
    const spread = ADVERTISEMENT_INTERVAL_MAX_MS - ADVERTISEMENT_INTERVAL_MIN_MS;
    this.deadlineMs = nowMs + ADVERTISEMENT_INTERVAL_MIN_MS + random * spread;
  }

  /** Whether an unsolicited advertisement is to be sent now; if so, sets the time of the next one. */
  due(nowMs: number, random: number): boolean {
    if (nowMs < this.deadlineMs) return false;
    this.schedule(nowMs, random);
    return true;
  }

  /** Sends no unsolicited advertisements any more. */
  stop(): void {
    this.deadlineMs = Number.POSITIVE_INFINITY;
  }

  /**
   * A solicitation from the unspecified address is duplicate address detection (RFC 4862 section 5.4.3): answered only
   * to defend an address of ours, whatever else the guest may take.
   */
  #answerNeighbor(packet: Packet, request: DataView, at: number, reply: DataView, replyAt: number): number {
    const targetAt = at + NeighborSolicitation.target;
    if (request.getUint8(targetAt) === 0xff) return this.#count(NdpCounter.malformed);
    this.counters[NdpCounter.neighborSolicitations]++;
    const isDetection = isUnspecifiedIpv6(request, packet.sourceAt);
    if (isDetection) {
      this.counters[NdpCounter.duplicateDetections]++;
      if (!this.#isOurs(request, targetAt)) return 0;
    } else if (contains(this.#config.guestAddresses, request, targetAt)) {
      return this.#count(NdpCounter.ownAddress);
    }
    const { ourMac, ourLinkLocal } = this.#config;
    const flags = NeighborFlag.router | NeighborFlag.override | (isDetection ? 0 : NeighborFlag.solicited);
    const messageAt = replyAt + ICMPV6_MESSAGE_OFFSET;
    readIpv6Address(request, targetAt, this.#target, 0);
    reply.setUint32(messageAt, Icmpv6Type.neighborAdvertisement << 24);
    reply.setUint32(messageAt + NeighborAdvertisement.flags, flags << 24);
    writeIpv6Address(reply, messageAt + NeighborAdvertisement.target, this.#target, 0);
    const options = messageAt + NeighborAdvertisement.options;
    const end = writeNdpLinkLayer(reply, options, NdpOptionType.targetLinkLayer, ourMac);
    const destination = isDetection ? this.#allNodes : this.#source;
    this.counters[NdpCounter.neighborAdvertisements]++;
    return writeIcmpv6Frame(reply, replyAt, this.#guestMac, ourMac, ourLinkLocal, destination, end - messageAt);
  }

  #writeAdvertisement(
    router: RouterConfig,
    reply: DataView,
    replyAt: number,
    guestMac: Uint8Array,
    destination: Uint32Array,
  ): number {
    const { ourMac, ourLinkLocal } = this.#config;
    const { prefix, mtu, dnsServers } = router;
    const messageAt = replyAt + ICMPV6_MESSAGE_OFFSET;
    reply.setUint32(messageAt, Icmpv6Type.routerAdvertisement << 24);
    reply.setUint8(messageAt + RouterAdvertisement.hopLimit, CURRENT_HOP_LIMIT);
    reply.setUint8(messageAt + RouterAdvertisement.flags, router.managed ? RouterFlag.managed : 0);
    reply.setUint16(messageAt + RouterAdvertisement.lifetime, ROUTER_LIFETIME_SECONDS);
    reply.setUint32(messageAt + RouterAdvertisement.reachableTime, 0);
    reply.setUint32(messageAt + RouterAdvertisement.retransmitTimer, 0);
    let at = messageAt + RouterAdvertisement.options;
    const forever = NDP_LIFETIME_INFINITE;
    if (prefix) {
      const flags = PrefixFlag.onLink | PrefixFlag.autonomous;
      at = writeNdpPrefix(reply, at, PREFIX_LENGTH, flags, forever, forever, prefix, 0);
    }
    at = writeNdpLinkLayer(reply, at, NdpOptionType.sourceLinkLayer, ourMac);
    if (mtu) at = writeNdpMtu(reply, at, mtu);
    if (dnsServers !== undefined && dnsServers.length > 0) at = writeNdpDnsServers(reply, at, forever, dnsServers);
    if (this.#searchList.length > 0) at = writeNdpSearchList(reply, at, forever, this.#searchList);
    this.counters[NdpCounter.routerAdvertisements]++;
    return writeIcmpv6Frame(reply, replyAt, guestMac, ourMac, ourLinkLocal, destination, at - messageAt);
  }

  #isOurs(request: DataView, targetAt: number): boolean {
    const { ourLinkLocal, ourAddresses } = this.#config;
    if (isIpv6Address(request, targetAt, ourLinkLocal, 0)) return true;
    return ourAddresses !== undefined && contains(ourAddresses, request, targetAt);
  }

  #count(counter: number): 0 {
    this.counters[counter]++;
    return 0;
  }
}

/** A source link-layer address in a message from the unspecified address (RFC 4861 sections 6.1.1 and 7.1.1). */
function hasForbiddenOption(packet: Packet, request: DataView, options: number, end: number): boolean {
  if (!isUnspecifiedIpv6(request, packet.sourceAt)) return false;
  return findNdpOption(request, options, end, NdpOptionType.sourceLinkLayer) >= 0;
}

function contains(addresses: readonly Uint32Array[], view: DataView, at: number): boolean {
  for (let i = 0; i < addresses.length; i++) if (isIpv6Address(view, at, addresses[i], 0)) return true;
  return false;
}
