import {
  checkDhcpv6Options,
  Dhcpv6,
  Dhcpv6MessageType,
  Dhcpv6Option,
  Dhcpv6OptionHeader,
  Dhcpv6Port,
  DUID_BYTES_MAX,
  dhcpv6OptionLength,
  findDhcpv6Option,
} from "@passt-ts/wire/dhcpv6";
import { isIpv6Address, isMulticastIpv6, isUnspecifiedIpv6 } from "@passt-ts/wire/ip-address";
import { IpProtocol } from "@passt-ts/wire/ipv4";
import type { Packet } from "@passt-ts/wire/packet";
import { checkUdp, Udp, udpDestinationPort } from "@passt-ts/wire/udp";
import { Dhcpv6Counter } from "./dhcpv6-counter.ts";

/** A message of a client: one object that its owner reuses. Offsets are places in the view that was parsed. */
export class Dhcpv6Request {
  /** A value of Dhcpv6MessageType. */
  type = 0;
  /** Where the message begins. */
  at = 0;
  /** Its options, which were checked. */
  optionsAt = 0;
  end = 0;
  /** The option with the client's identifier, or -1. */
  clientId = -1;
  /** Whether it went to all servers, as it should (RFC 8415 section 14), and not to us alone. */
  isToGroup = false;

  /**
   * Reads the UDP datagram to port 547 that `packet` found in `view`.
   *
   * @param ourLinkLocal four words, beside the group the only destination that counts.
   * @param serverId the data of our server identifier.
   * @returns -1, or the Dhcpv6Counter of the reason to ignore the message, by the rules of RFC 8415 section 16.
   */
  parse(packet: Packet, view: DataView, ourLinkLocal: Uint32Array, serverId: Uint8Array): number {
    const lengthBytes = payloadLength(packet, view);
    if (lengthBytes < 0) return Dhcpv6Counter.ignored;
    this.isToGroup = isAllServers(view, packet.destinationAt);
    if (!this.isToGroup && !isIpv6Address(view, packet.destinationAt, ourLinkLocal, 0)) return Dhcpv6Counter.ignored;
    this.at = packet.l4At + Udp.headerBytes;
    this.optionsAt = this.at + Dhcpv6.options;
    this.end = this.at + lengthBytes;
    if (
      this.end > packet.end ||
      this.optionsAt > this.end ||
      !checkDhcpv6Options(view, this.optionsAt, this.end) ||
      isMulticastIpv6(view, packet.sourceAt) ||
      isUnspecifiedIpv6(view, packet.sourceAt)
    ) {
      return Dhcpv6Counter.malformed;
    }
    this.type = view.getUint8(this.at + Dhcpv6.type);
    this.clientId = this.find(view, Dhcpv6Option.clientIdentifier);
    const refusal = this.#serverRefusal(view, serverId);
    return refusal >= 0 ? refusal : this.#clientRefusal(view);
  }

  /** The offset of the first option `code`, or -1. */
  find(view: DataView, code: number): number {
    return findDhcpv6Option(view, this.optionsAt, this.end, code);
  }

  /** Whether there must be a server identifier, or must not, is the message's to say. */
  #serverRefusal(view: DataView, serverId: Uint8Array): number {
    const option = this.find(view, Dhcpv6Option.serverIdentifier);
    const isOurs = option >= 0 && holds(view, option, serverId);
    switch (this.type) {
      case Dhcpv6MessageType.solicit:
      case Dhcpv6MessageType.confirm:
      case Dhcpv6MessageType.rebind:
        return option >= 0 ? Dhcpv6Counter.malformed : -1;
      case Dhcpv6MessageType.request:
      case Dhcpv6MessageType.renew:
      case Dhcpv6MessageType.release:
      case Dhcpv6MessageType.decline:
        if (option < 0) return Dhcpv6Counter.malformed;
        return isOurs ? -1 : Dhcpv6Counter.otherServer;
      case Dhcpv6MessageType.informationRequest:
        if (option >= 0 && !isOurs) return Dhcpv6Counter.otherServer;
        return this.#hasIa(view) ? Dhcpv6Counter.malformed : -1;
      default:
        return Dhcpv6Counter.ignored;
    }
  }

  #clientRefusal(view: DataView): number {
    if (this.clientId < 0) return this.type === Dhcpv6MessageType.informationRequest ? -1 : Dhcpv6Counter.malformed;
    const duidBytes = dhcpv6OptionLength(view, this.clientId);
    return duidBytes >= 1 && duidBytes <= DUID_BYTES_MAX ? -1 : Dhcpv6Counter.malformed;
  }

  #hasIa(view: DataView): boolean {
    return (
      this.find(view, Dhcpv6Option.iaNonTemporary) >= 0 ||
      this.find(view, Dhcpv6Option.iaTemporary) >= 0 ||
      this.find(view, Dhcpv6Option.iaPrefixDelegation) >= 0
    );
  }
}

/** The payload length of a datagram to the server's port, or -1 when `packet` is something else. */
function payloadLength(packet: Packet, view: DataView): number {
  if (packet.ipVersion !== 6 || packet.protocol !== IpProtocol.udp || packet.isFragment) return -1;
  const length = checkUdp(view, packet.l4At, packet.end, packet.l4Length);
  return length >= 0 && udpDestinationPort(view, packet.l4At) === Dhcpv6Port.server ? length : -1;
}

/** Whether the address at `at` is ff02::1:2. */
function isAllServers(view: DataView, at: number): boolean {
  return (
    view.getUint32(at) === 0xff02_0000 &&
    (view.getUint32(at + 4) | view.getUint32(at + 8)) === 0 &&
    view.getUint32(at + 12) === 0x0001_0002
  );
}

/** Whether the data of `option` is `bytes`. */
function holds(view: DataView, option: number, bytes: Uint8Array): boolean {
  if (dhcpv6OptionLength(view, option) !== bytes.length) return false;
  const at = option + Dhcpv6OptionHeader.headerBytes;
  for (let i = 0; i < bytes.length; i++) if (view.getUint8(at + i) !== bytes[i]) return false;
  return true;
}
