/**
 * A DHCPv6 server with one address to lease (RFC 8415). The guest writes the requests; each costs two passes over its
 * options and at most one reply of {@link DHCPV6_REPLY_BYTES_MAX} bytes, and leaves no state behind.
 */
import {
  checkDhcpv6Options,
  Dhcpv6,
  Dhcpv6MessageType,
  Dhcpv6Option,
  Dhcpv6OptionHeader,
  Dhcpv6Port,
  Dhcpv6Status,
  DUID_BYTES_MAX,
  dhcpv6OptionLength,
  findDhcpv6Option,
  writeDhcpv6Option,
  writeDhcpv6OptionHeader,
  writeDhcpv6Status,
} from "@passt-ts/wire/dhcpv6";
import { encodeDomainName } from "@passt-ts/wire/domain-name";
import { Ethernet } from "@passt-ts/wire/ethernet";
import { readIpv6Address } from "@passt-ts/wire/ip-address";
import { IpProtocol } from "@passt-ts/wire/ipv4";
import { readMac } from "@passt-ts/wire/mac";
import type { Packet } from "@passt-ts/wire/packet";
import { checkUdp, Udp, udpDestinationPort } from "@passt-ts/wire/udp";
import { confirmStatus, IaMode, IaWriter } from "./dhcpv6-ia.ts";
import { UDP6_PAYLOAD_OFFSET, writeUdp6Frame } from "./reply-frame.ts";
import { fitSearchList } from "./search-list.ts";

/** The longest reply frame: a packet of 1280 bytes, the least MTU of IPv6. */
export const DHCPV6_REPLY_BYTES_MAX: number = Ethernet.headerBytes + 1280;

const DNS_SERVERS_MAX = 8;
const SEARCH_BYTES_MAX = 255;
const NO_TEXT = new Uint8Array(0);

/** Indices in {@link Dhcpv6Server.counters}. */
export const Dhcpv6Counter = {
  requests: 0,
  advertisements: 1,
  replies: 2,
  releases: 3,
  declines: 4,
  otherServer: 5,
  malformed: 6,
  ignored: 7,
} as const;

/** What a DHCPv6 server hands out. An address is four words; what is absent is not offered. */
export interface Dhcpv6Config {
  readonly ourMac: Uint8Array;
  /** The source of every reply. */
  readonly ourLinkLocal: Uint32Array;
  /** The one address there is to lease. */
  readonly guestAddress: Uint32Array;
  /** The time in the server's DUID, seconds since the beginning of 2000 UTC; to be kept while the server lives. */
  readonly duidSeconds: number;
  /** At most 8. */
  readonly dnsServers?: readonly Uint32Array[];
  /** As many as fit. */
  readonly searchDomains?: readonly string[];
  readonly fqdn?: string;
}

/** Answers DHCPv6 requests of clients, always with the one address of its configuration. */
export class Dhcpv6Server {
  /** Counts by {@link Dhcpv6Counter}. */
  readonly counters: Float64Array = new Float64Array(8);
  #config!: Dhcpv6Config;
  #serverId = new Uint8Array(14);
  #dnsServers = new Uint8Array(0);
  #searchList: Uint8Array = new Uint8Array(0);
  #fqdn = new Uint8Array(0);
  readonly #ias = new IaWriter();
  readonly #guestMac = new Uint8Array(6);
  readonly #guestAddress = new Uint32Array(4);

  /** @throws RangeError, DomainNameError as {@link Dhcpv6Server.configure}. */
  constructor(config: Dhcpv6Config) {
    this.configure(config);
  }

  /**
   * Goes by `config` from the next request on; a client that renews another address gets it back with lifetimes 0.
   *
   * @throws RangeError for too many servers; DomainNameError for a bad name. The old one then stays in force.
   */
  configure(config: Dhcpv6Config): void {
    const { dnsServers = [], searchDomains = [], fqdn = "" } = config;
    if (dnsServers.length > DNS_SERVERS_MAX) throw new RangeError(`at most ${DNS_SERVERS_MAX} DNS servers`);
    const searchList = fitSearchList(searchDomains, false, SEARCH_BYTES_MAX);
    this.#fqdn = fqdn === "" ? new Uint8Array(0) : Uint8Array.from([0, ...encodeDomainName(fqdn)]);
    this.#searchList = searchList;
    this.#dnsServers = bytesOf(dnsServers);
    this.#serverId = duidOf(config.ourMac, config.duidSeconds);
    this.#config = config;
  }

  /**
   * Answers the UDP datagram to port 547 that `packet` found in `request`, which holds the whole frame.
   *
   * Writes the reply frame at `replyAt` of `reply`, which has room for {@link DHCPV6_REPLY_BYTES_MAX}, and returns its
   * length; 0 when there is no answer.
   */
  respond(packet: Packet, request: DataView, reply: DataView, replyAt: number): number {
    const at = packet.l4At + Udp.headerBytes;
    const length = payloadLength(packet, request);
    if (length < 0 || !isToAllServers(packet, request)) return this.#count(Dhcpv6Counter.ignored);
    const end = at + length;
    const options = at + Dhcpv6.options;
    if (end > packet.end || options > end || !checkDhcpv6Options(request, options, end)) {
      return this.#count(Dhcpv6Counter.malformed);
    }
    const type = request.getUint8(at + Dhcpv6.type);
    const clientId = findDhcpv6Option(request, options, end, Dhcpv6Option.clientIdentifier);
    const serverId = findDhcpv6Option(request, options, end, Dhcpv6Option.serverIdentifier);
    const refusal = this.#refusal(type, request, options, end, clientId, serverId);
    if (refusal >= 0) return this.#count(refusal);
    this.counters[Dhcpv6Counter.requests]++;
    const status = type === Dhcpv6MessageType.confirm ? this.#confirm(request, options, end) : Dhcpv6Status.success;
    if (status < 0) return 0;
    return this.#write(type, status, clientId, packet, request, at, end, reply, replyAt);
  }

  /** The counter of the reason to ignore a message, by the rules of RFC 8415 section 16; -1 when there is none. */
  #refusal(type: number, request: DataView, from: number, end: number, clientId: number, serverId: number): number {
    const isOurs = serverId >= 0 && this.#isServerId(request, serverId);
    switch (type) {
      case Dhcpv6MessageType.solicit:
      case Dhcpv6MessageType.confirm:
      case Dhcpv6MessageType.rebind:
        if (serverId >= 0) return Dhcpv6Counter.malformed;
        break;
      case Dhcpv6MessageType.request:
      case Dhcpv6MessageType.renew:
      case Dhcpv6MessageType.release:
      case Dhcpv6MessageType.decline:
        if (serverId < 0) return Dhcpv6Counter.malformed;
        if (!isOurs) return Dhcpv6Counter.otherServer;
        break;
      case Dhcpv6MessageType.informationRequest:
        if (serverId >= 0 && !isOurs) return Dhcpv6Counter.otherServer;
        if (hasIa(request, from, end)) return Dhcpv6Counter.malformed;
        break;
      default:
        return Dhcpv6Counter.ignored;
    }
    if (clientId < 0) return type === Dhcpv6MessageType.informationRequest ? -1 : Dhcpv6Counter.malformed;
    const duidBytes = dhcpv6OptionLength(request, clientId);
    return duidBytes >= 1 && duidBytes <= DUID_BYTES_MAX ? -1 : Dhcpv6Counter.malformed;
  }

  #confirm(request: DataView, from: number, end: number): number {
    return confirmStatus(request, from, end, this.#config.guestAddress);
  }

  #write(
    type: number,
    status: number,
    clientId: number,
    packet: Packet,
    request: DataView,
    requestAt: number,
    requestEnd: number,
    reply: DataView,
    replyAt: number,
  ): number {
    const messageAt = replyAt + UDP6_PAYLOAD_OFFSET;
    const from = requestAt + Dhcpv6.options;
    const isRapid =
      type === Dhcpv6MessageType.solicit && findDhcpv6Option(request, from, requestEnd, Dhcpv6Option.rapidCommit) >= 0;
    const isAdvertisement = type === Dhcpv6MessageType.solicit && !isRapid;
    const replyType = isAdvertisement ? Dhcpv6MessageType.advertise : Dhcpv6MessageType.reply;
    const transaction = request.getUint32(requestAt) & 0xff_ffff;
    reply.setUint32(messageAt, (replyType << 24) | transaction);
    let at = writeDhcpv6Option(reply, messageAt + Dhcpv6.options, Dhcpv6Option.serverIdentifier, this.#serverId);
    const mode = iaModeOf(type);
    if (mode !== IaMode.none) {
      at = this.#ias.write(mode, request, from, requestEnd, reply, at, this.#config.guestAddress);
    }
    if (clientId >= 0) at = copyOption(request, clientId, reply, at);
    if (hasStatus(type)) at = writeDhcpv6Status(reply, at, status, NO_TEXT);
    if (isRapid) at = writeDhcpv6OptionHeader(reply, at, Dhcpv6Option.rapidCommit, 0);
    if (!hasStatus(type)) at = this.#writeSettings(reply, at, replyAt + DHCPV6_REPLY_BYTES_MAX);
    this.#countReply(type, isAdvertisement);
    readMac(request, packet.sourceMacAt, this.#guestMac);
    readIpv6Address(request, packet.sourceAt, this.#guestAddress, 0);
    return writeUdp6Frame(
      reply,
      replyAt,
      this.#guestMac,
      this.#config.ourMac,
      this.#config.ourLinkLocal,
      this.#guestAddress,
      Dhcpv6Port.server,
      Dhcpv6Port.client,
      at - messageAt,
      transaction,
    );
  }

  /** Writes what is the same for every client, as far as it fits before `end`. */
  #writeSettings(reply: DataView, at: number, end: number): number {
    at = writeIfFits(reply, at, Dhcpv6Option.dnsServers, this.#dnsServers, end);
    at = writeIfFits(reply, at, Dhcpv6Option.domainSearch, this.#searchList, end);
    return writeIfFits(reply, at, Dhcpv6Option.clientFqdn, this.#fqdn, end);
  }

  #isServerId(request: DataView, option: number): boolean {
    const id = this.#serverId;
    if (dhcpv6OptionLength(request, option) !== id.length) return false;
    const at = option + Dhcpv6OptionHeader.headerBytes;
    for (let i = 0; i < id.length; i++) if (request.getUint8(at + i) !== id[i]) return false;
    return true;
  }

  #countReply(type: number, isAdvertisement: boolean): void {
    this.counters[isAdvertisement ? Dhcpv6Counter.advertisements : Dhcpv6Counter.replies]++;
    if (type === Dhcpv6MessageType.release) this.counters[Dhcpv6Counter.releases]++;
    if (type === Dhcpv6MessageType.decline) this.counters[Dhcpv6Counter.declines]++;
  }

  #count(counter: number): 0 {
    this.counters[counter]++;
    return 0;
  }
}

/** Messages that are answered with a status instead of leases and settings (RFC 8415 sections 18.3.3, 18.3.7, 18.3.8). */
function hasStatus(type: number): boolean {
  return type === Dhcpv6MessageType.confirm || type === Dhcpv6MessageType.release || type === Dhcpv6MessageType.decline;
}

function iaModeOf(type: number): number {
  switch (type) {
    case Dhcpv6MessageType.solicit:
      return IaMode.offer;
    case Dhcpv6MessageType.request:
      return IaMode.assign;
    case Dhcpv6MessageType.renew:
    case Dhcpv6MessageType.rebind:
      return IaMode.extend;
    default:
      return IaMode.none;
  }
}

/** The payload length of a datagram to the server's port, or -1 when `packet` is something else. */
function payloadLength(packet: Packet, request: DataView): number {
  if (packet.ipVersion !== 6 || packet.protocol !== IpProtocol.udp || packet.isFragment) return -1;
  const length = checkUdp(request, packet.l4At, packet.end, packet.l4Length);
  return length >= 0 && udpDestinationPort(request, packet.l4At) === Dhcpv6Port.server ? length : -1;
}

/** Whether the destination is ff02::1:2: clients send all their messages there (RFC 8415 section 14). */
function isToAllServers(packet: Packet, request: DataView): boolean {
  const at = packet.destinationAt;
  return (
    request.getUint32(at) === 0xff02_0000 &&
    (request.getUint32(at + 4) | request.getUint32(at + 8)) === 0 &&
    request.getUint32(at + 12) === 0x0001_0002
  );
}

function hasIa(request: DataView, from: number, end: number): boolean {
  return (
    findDhcpv6Option(request, from, end, Dhcpv6Option.iaNonTemporary) >= 0 ||
    findDhcpv6Option(request, from, end, Dhcpv6Option.iaTemporary) >= 0 ||
    findDhcpv6Option(request, from, end, Dhcpv6Option.iaPrefixDelegation) >= 0
  );
}

function copyOption(from: DataView, fromAt: number, to: DataView, toAt: number): number {
  const bytes = Dhcpv6OptionHeader.headerBytes + dhcpv6OptionLength(from, fromAt);
  for (let i = 0; i < bytes; i++) to.setUint8(toAt + i, from.getUint8(fromAt + i));
  return toAt + bytes;
}

function writeIfFits(view: DataView, at: number, code: number, data: Uint8Array, end: number): number {
  if (data.length === 0 || at + Dhcpv6OptionHeader.headerBytes + data.length > end) return at;
  return writeDhcpv6Option(view, at, code, data);
}

/** A DUID-LLT (RFC 8415 section 11.2): type 1, hardware type Ethernet, time, MAC address. */
function duidOf(mac: Uint8Array, seconds: number): Uint8Array<ArrayBuffer> {
  const duid = new Uint8Array(14);
  const view = new DataView(duid.buffer);
  view.setUint32(0, 0x0001_0001);
  view.setUint32(4, seconds);
  duid.set(mac, 8);
  return duid;
}

function bytesOf(addresses: readonly Uint32Array[]): Uint8Array<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(16 * addresses.length));
  for (const [index, words] of addresses.entries()) {
    for (let i = 0; i < 4; i++) view.setUint32(16 * index + 4 * i, words[i]);
  }
  return new Uint8Array(view.buffer);
}
