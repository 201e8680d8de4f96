/**
 * A DHCPv6 server with one address to lease (RFC 8415). The guest writes the requests; each costs two passes over its
 * options and at most one reply of {@link DHCPV6_REPLY_BYTES_MAX} bytes, and leaves no state behind.
 */
import {
  Dhcpv6,
  Dhcpv6MessageType,
  Dhcpv6Option,
  Dhcpv6OptionHeader,
  Dhcpv6Port,
  Dhcpv6Status,
  dhcpv6OptionLength,
  writeDhcpv6Option,
  writeDhcpv6OptionHeader,
  writeDhcpv6Status,
} from "@passt-ts/wire/dhcpv6";
import { Ethernet } from "@passt-ts/wire/ethernet";
import { readIpv6Address } from "@passt-ts/wire/ip-address";
import { readMac } from "@passt-ts/wire/mac";
import type { Packet } from "@passt-ts/wire/packet";
import { type Dhcpv6Config, type Dhcpv6Settings, encodeDhcpv6Settings } from "./dhcpv6-config.ts";
import { DHCPV6_COUNTERS, Dhcpv6Counter } from "./dhcpv6-counter.ts";
import { confirmStatus, IaMode, IaWriter } from "./dhcpv6-ia.ts";
import { Dhcpv6Request } from "./dhcpv6-request.ts";
import { UDP6_PAYLOAD_OFFSET, writeUdp6Frame } from "./reply-frame.ts";

/** The longest reply frame: a packet of 1280 bytes, the least MTU of IPv6. */
export const DHCPV6_REPLY_BYTES_MAX: number = Ethernet.headerBytes + 1280;

const NO_TEXT = new Uint8Array(0);

/** Answers DHCPv6 requests of clients, always with the one address of its configuration. */
export class Dhcpv6Server {
  /** Counts by Dhcpv6Counter. */
  readonly counters: Float64Array = new Float64Array(DHCPV6_COUNTERS);
  #config!: Dhcpv6Config;
  #settings!: Dhcpv6Settings;
  readonly #request = new Dhcpv6Request();
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
   * @throws RangeError for too many servers or an impossible time; DomainNameError for a bad name. The old one then
   * stays in force.
   */
  configure(config: Dhcpv6Config): void {
    this.#settings = encodeDhcpv6Settings(config);
    this.#ias.leaseSeconds = this.#settings.leaseSeconds;
    this.#config = config;
  }

  /**
   * Answers the UDP datagram to port 547 that `packet` found in `request`, which holds the whole frame.
   *
   * Writes the reply frame at `replyAt` of `reply`, which has room for {@link DHCPV6_REPLY_BYTES_MAX}, and returns its
   * length; 0 when there is no answer.
   */
  respond(packet: Packet, request: DataView, reply: DataView, replyAt: number): number {
    const message = this.#request;
    const refusal = message.parse(packet, request, this.#config.ourLinkLocal, this.#settings.serverId);
    if (refusal >= 0) {
      this.counters[refusal]++;
      return 0;
    }
    let end = 0;
    if (!message.isToGroup) {
      this.counters[Dhcpv6Counter.unicast]++;
      end = this.#writeUseMulticast(request, reply, replyAt);
    } else {
      this.counters[Dhcpv6Counter.requests]++;
      end = this.#writeMessage(request, reply, replyAt);
    }
    return end === 0 ? 0 : this.#writeFrame(packet, request, reply, replyAt, end);
  }

  /** Writes the answer to the request at hand; returns the offset behind it, 0 when there is none. */
  #writeMessage(request: DataView, reply: DataView, replyAt: number): number {
    const { type, optionsAt, end, clientId } = this.#request;
    const { guestAddress } = this.#config;
    const isConfirm = type === Dhcpv6MessageType.confirm;
    const status = isConfirm ? confirmStatus(request, optionsAt, end, guestAddress) : Dhcpv6Status.success;
    if (status < 0) return 0;
    const isSolicit = type === Dhcpv6MessageType.solicit;
    const isRapid = isSolicit && this.#request.find(request, Dhcpv6Option.rapidCommit) >= 0;
    const replyType = isSolicit && !isRapid ? Dhcpv6MessageType.advertise : Dhcpv6MessageType.reply;
    let at = this.#writeHeader(replyType, request, reply, replyAt);
    const mode = iaModeOf(type);
    if (mode !== IaMode.none) at = this.#ias.write(mode, request, optionsAt, end, reply, at, guestAddress);
    if (clientId >= 0) at = copyOption(request, clientId, reply, at);
    if (hasStatus(type)) at = writeDhcpv6Status(reply, at, status, NO_TEXT);
    if (isRapid) at = writeDhcpv6OptionHeader(reply, at, Dhcpv6Option.rapidCommit, 0);
    if (!hasStatus(type)) at = this.#writeSettings(reply, at, replyAt + DHCPV6_REPLY_BYTES_MAX);
    this.#countReply(type, replyType, mode !== IaMode.none && this.#ias.hasGiven);
    return at;
  }

  /**
   * Messages for one server may come to it alone only when it offered that, which we do not: the client is told (RFC
   * 8415 section 18.4). Others are dropped. Returns as {@link Dhcpv6Server.#writeMessage}.
   */
  #writeUseMulticast(request: DataView, reply: DataView, replyAt: number): number {
    const { type, clientId } = this.#request;
    const isForOneServer =
      type === Dhcpv6MessageType.request ||
      type === Dhcpv6MessageType.renew ||
      type === Dhcpv6MessageType.release ||
      type === Dhcpv6MessageType.decline;
    if (!isForOneServer) return 0;
    const at = this.#writeHeader(Dhcpv6MessageType.reply, request, reply, replyAt);
    return writeDhcpv6Status(reply, copyOption(request, clientId, reply, at), Dhcpv6Status.useMulticast, NO_TEXT);
  }

  /** Writes type, transaction and our identifier; returns where the other options go. */
  #writeHeader(type: number, request: DataView, reply: DataView, replyAt: number): number {
    const messageAt = replyAt + UDP6_PAYLOAD_OFFSET;
    reply.setUint32(messageAt, (type << 24) | (request.getUint32(this.#request.at) & 0xff_ffff));
    const optionsAt = messageAt + Dhcpv6.options;
    return writeDhcpv6Option(reply, optionsAt, Dhcpv6Option.serverIdentifier, this.#settings.serverId);
  }

  /** Writes what is the same for every client, as far as it fits before `end`. */
  #writeSettings(reply: DataView, at: number, end: number): number {
    const { dnsServers, searchList, refreshTime, fqdn } = this.#settings;
    at = writeIfFits(reply, at, Dhcpv6Option.dnsServers, dnsServers, end);
    at = writeIfFits(reply, at, Dhcpv6Option.domainSearch, searchList, end);
    if (this.#request.type === Dhcpv6MessageType.informationRequest) {
      at = writeIfFits(reply, at, Dhcpv6Option.informationRefreshTime, refreshTime, end);
    }
    return writeIfFits(reply, at, Dhcpv6Option.clientFqdn, fqdn, end);
  }

  /** Writes the headers in front of the message that ends at `end`; returns the frame's length. */
  #writeFrame(packet: Packet, request: DataView, reply: DataView, replyAt: number, end: number): number {
    const messageAt = replyAt + UDP6_PAYLOAD_OFFSET;
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
      end - messageAt,
      reply.getUint32(messageAt) & 0xff_ffff,
    );
  }

  #countReply(type: number, replyType: number, givesAddress: boolean): void {
    const isAdvertisement = replyType === Dhcpv6MessageType.advertise;
    this.counters[isAdvertisement ? Dhcpv6Counter.advertisements : Dhcpv6Counter.replies]++;
    if (givesAddress && !isAdvertisement) this.counters[Dhcpv6Counter.leases]++;
    if (type === Dhcpv6MessageType.release) this.counters[Dhcpv6Counter.releases]++;
    if (type === Dhcpv6MessageType.decline) this.counters[Dhcpv6Counter.declines]++;
  }
}

/** Messages that are answered with a status, not with settings (RFC 8415 sections 18.3.3, 18.3.7, 18.3.8). */
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
    case Dhcpv6MessageType.release:
    case Dhcpv6MessageType.decline:
      return IaMode.end;
    default:
      return IaMode.none;
  }
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
