/**
 * A DHCPv4 server with one address to lease (RFC 2131). The guest writes the requests; each costs one pass over its
 * options and at most one reply of {@link DHCP_REPLY_BYTES_MAX} bytes, and leaves no state behind.
 */
import {
  checkDhcpRequest,
  DHCP_BROADCAST_FLAG,
  DHCP_PACKET_BYTES_DEFAULT,
  Dhcp,
  DhcpMessageType,
  DhcpOption,
  DhcpOptions,
  DhcpPort,
  endDhcpOptions,
  writeDhcpReply,
} from "@passt-ts/wire/dhcp";
import { IPV4_MAPPED_WORD } from "@passt-ts/wire/ip-address";
import { IpProtocol, Ipv4 } from "@passt-ts/wire/ipv4";
import { readMac } from "@passt-ts/wire/mac";
import type { Packet } from "@passt-ts/wire/packet";
import { checkUdp, Udp, udpDestinationPort } from "@passt-ts/wire/udp";
import { type DhcpConfig, encodeDhcpOptions } from "./dhcp-config.ts";
import { BOOTP_REPLY, DhcpOptionWriter, INFORM_REPLY, NO_ANSWER } from "./dhcp-option-writer.ts";
import { UDP4_PAYLOAD_OFFSET, writeUdp4Frame } from "./reply-frame.ts";

/** The longest reply frame: a packet of 1500 bytes. */
export const DHCP_REPLY_BYTES_MAX = 1514;

/** Indices in {@link DhcpServer.counters}. */
export const DhcpCounter = {
  requests: 0,
  offers: 1,
  acknowledgments: 2,
  refusals: 3,
  bootpReplies: 4,
  informs: 5,
  releases: 6,
  declines: 7,
  otherServer: 8,
  malformed: 9,
  ignored: 10,
} as const;

const BROADCAST = 0xffff_ffff;
const PACKET_BYTES_MAX = DHCP_REPLY_BYTES_MAX - 14;

/** Messages that are none of ours when they name another server. */
const CHOOSES_SERVER: readonly number[] = [DhcpMessageType.request, DhcpMessageType.decline, DhcpMessageType.release];

/** Answers DHCPv4 and BOOTP requests, always with the one address of its configuration. */
export class DhcpServer {
  /** Counts by {@link DhcpCounter}. */
  readonly counters: Float64Array = new Float64Array(11);
  #config!: DhcpConfig;
  readonly #writer = new DhcpOptionWriter();
  readonly #options = new DhcpOptions();
  readonly #guestMac = new Uint8Array(6);
  readonly #destination = new Uint32Array([0, 0, IPV4_MAPPED_WORD, 0]);
  /** Whom the reply at hand is from. */
  readonly #server = new Uint32Array([0, 0, IPV4_MAPPED_WORD, 0]);

  /** @throws RangeError, DomainNameError when `config` cannot be put into options. */
  constructor(config: DhcpConfig) {
    this.configure(config);
  }

  /**
   * Goes by `config` from the next request on; a client that renews another address is refused then and asks anew.
   *
   * @throws RangeError, DomainNameError when `config` cannot be put into options; the old one then stays in force.
   */
  configure(config: DhcpConfig): void {
    const options = encodeDhcpOptions(config);
    this.#config = config;
    this.#writer.configure(options);
  }

  /**
   * Answers the UDP datagram to port 67 that `packet` found in `request`, which holds the whole frame.
   *
   * Writes the reply frame at `replyAt` of `reply`, which has room for {@link DHCP_REPLY_BYTES_MAX}, and returns its
   * length; 0 when there is no answer.
   */
  respond(packet: Packet, request: DataView, reply: DataView, replyAt: number): number {
    const { counters } = this;
    const at = packet.l4At + Udp.headerBytes;
    const length = payloadLength(packet, request);
    const end = at + length;
    if (length < 0) {
      counters[DhcpCounter.ignored]++;
      return 0;
    }
    if (end > packet.end || !checkDhcpRequest(request, at, end) || !this.#options.parse(request, at, end)) {
      counters[DhcpCounter.malformed]++;
      return 0;
    }
    counters[DhcpCounter.requests]++;
    const answer = this.#decide(request, at);
    return answer === NO_ANSWER ? 0 : this.#write(answer, packet, request, at, reply, replyAt);
  }

  /** What to answer: a DhcpMessageType, {@link BOOTP_REPLY}, {@link INFORM_REPLY} or {@link NO_ANSWER}. */
  #decide(request: DataView, at: number): number {
    const { counters } = this;
    if (!this.#options.has(DhcpOption.messageType)) {
      counters[DhcpCounter.bootpReplies]++;
      return BOOTP_REPLY;
    }
    const type = this.#options.byte(request, DhcpOption.messageType);
    if (CHOOSES_SERVER.includes(type) && this.#isForOther(request)) {
      counters[DhcpCounter.otherServer]++;
      return NO_ANSWER;
    }
    switch (type) {
      case DhcpMessageType.discover:
        if (!this.#options.has(DhcpOption.rapidCommit)) {
          counters[DhcpCounter.offers]++;
          return DhcpMessageType.offer;
        }
        counters[DhcpCounter.acknowledgments]++;
        return DhcpMessageType.ack;
      case DhcpMessageType.request:
        return this.#decideRequest(request, at);
      case DhcpMessageType.inform:
        counters[DhcpCounter.informs]++;
        return INFORM_REPLY;
      case DhcpMessageType.release:
        counters[DhcpCounter.releases]++;
        return NO_ANSWER;
      case DhcpMessageType.decline:
        counters[DhcpCounter.declines]++;
        return NO_ANSWER;
      default:
        counters[DhcpCounter.ignored]++;
        return NO_ANSWER;
    }
  }

  /** Whether the client chose another server. */
  #isForOther(request: DataView): boolean {
    const server = this.#options.address(request, DhcpOption.serverIdentifier);
    return server >= 0 && server !== this.#config.serverAddress[3];
  }

  /**
   * A request for another address, whether it selects, reboots, renews or rebinds, is refused, so that the client
   * starts again (RFC 2131 section 4.3.2).
   */
  #decideRequest(request: DataView, at: number): number {
    const { counters } = this;
    const address = this.#config.guestAddress[3];
    const requested = this.#options.address(request, DhcpOption.requestedAddress);
    const used = request.getUint32(at + Dhcp.clientAddress);
    if ((requested >= 0 && requested !== address) || (used !== 0 && used !== address)) {
      counters[DhcpCounter.refusals]++;
      return DhcpMessageType.nak;
    }
    counters[DhcpCounter.acknowledgments]++;
    return DhcpMessageType.ack;
  }

  /**
   * Whom a reply is from: a client that renews asks the server that it had its lease from, by address, and heeds the
   * refusal of no other; the gateway, and so our identifier, may be another one by now.
   *
   * @param used the address that the client has, or 0.
   */
  #serverOf(answer: number, packet: Packet, request: DataView, used: number): number {
    const asked = request.getUint32(packet.ipAt + Ipv4.destination);
    const isRenewal = answer === DhcpMessageType.nak && used !== 0 && asked !== BROADCAST;
    return isRenewal ? asked : this.#config.serverAddress[3];
  }

  #write(
    answer: number,
    packet: Packet,
    request: DataView,
    requestAt: number,
    reply: DataView,
    replyAt: number,
  ): number {
    const messageAt = replyAt + UDP4_PAYLOAD_OFFSET;
    const used = request.getUint32(requestAt + Dhcp.clientAddress);
    let at = writeDhcpReply(reply, messageAt, request, requestAt);
    let destination = BROADCAST;
    if (answer === INFORM_REPLY) {
      reply.setUint32(messageAt + Dhcp.clientAddress, used);
      destination = used || request.getUint32(packet.ipAt + Ipv4.source) || BROADCAST;
    } else if (answer !== DhcpMessageType.nak) {
      const address = this.#config.guestAddress[3];
      if (answer !== DhcpMessageType.offer) reply.setUint32(messageAt + Dhcp.clientAddress, used);
      reply.setUint32(messageAt + Dhcp.yourAddress, address);
      const wantsBroadcast = (request.getUint16(requestAt + Dhcp.flags) & DHCP_BROADCAST_FLAG) !== 0;
      destination = used || (wantsBroadcast ? BROADCAST : address);
    }
    this.#server[3] = this.#serverOf(answer, packet, request, used);
    this.#writer.setServerIdentifier(this.#server[3]);
    const isRapid = answer === DhcpMessageType.ack && this.#isRapidDiscover(request);
    const end = messageAt + this.#messageBytesMax(request);
    at = this.#writer.write(answer, isRapid, this.#options, request, reply, at, end);
    at = endDhcpOptions(reply, at, messageAt);
    this.#destination[3] = destination;
    readMac(request, packet.sourceMacAt, this.#guestMac);
    return writeUdp4Frame(
      reply,
      replyAt,
      this.#guestMac,
      this.#config.ourMac,
      this.#server,
      this.#destination,
      DhcpPort.server,
      DhcpPort.client,
      at - messageAt,
    );
  }

  #isRapidDiscover(request: DataView): boolean {
    return this.#options.byte(request, DhcpOption.messageType) === DhcpMessageType.discover;
  }

  /** The longest message that the client takes, without IP and UDP headers. */
  #messageBytesMax(request: DataView): number {
    const announced = this.#options.word(request, DhcpOption.maximumMessageSize);
    const packetBytes = Math.min(Math.max(announced, DHCP_PACKET_BYTES_DEFAULT), PACKET_BYTES_MAX);
    return packetBytes - Ipv4.headerBytes - Udp.headerBytes;
  }
}

/** The payload length of a datagram to the server's port, or -1 when `packet` is something else. */
function payloadLength(packet: Packet, request: DataView): number {
  if (packet.ipVersion !== 4 || packet.protocol !== IpProtocol.udp || packet.isFragment) return -1;
  const length = checkUdp(request, packet.l4At, packet.end, packet.l4Length);
  return length >= 0 && udpDestinationPort(request, packet.l4At) === DhcpPort.server ? length : -1;
}
