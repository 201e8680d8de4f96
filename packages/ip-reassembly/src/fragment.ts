import { Ethernet } from "@passt-ts/wire/ethernet";
import { readIpv4Address, readIpv6Address } from "@passt-ts/wire/ip-address";
import { Ipv6, Ipv6Extension, Ipv6FragmentHeader } from "@passt-ts/wire/ipv6";
import type { Packet } from "@passt-ts/wire/packet";

/** The longest IPv4 payload, and the longest IPv6 payload. */
const DATA_BYTES_MAX4 = 65535 - 20;
const DATA_BYTES_MAX6 = 65535;

/** What one fragment says of its datagram and of its own place in it; one object that its owner reuses. */
export class Fragment {
  ipVersion: 4 | 6 = 4;
  /** Source, then destination. */
  readonly addresses: Uint32Array = new Uint32Array(8);
  identification = 0;
  /** Of the datagram, by the first fragment (RFC 8200 section 4.5); with IPv4 the same in all of them. */
  protocol = 0;
  /** Place of the bytes it carries: counted from the first byte of the frame, and in the datagram. */
  dataOffset = 0;
  first = 0;
  /** Behind the last byte, in the datagram. */
  end = 0;
  moreFollow = false;

  /** Reads the fragment that `packet` is, whose headers stand in `view`; false when it is impossible. */
  read(packet: Packet, view: DataView): boolean {
    this.identification = packet.identification;
    this.moreFollow = packet.moreFragments;
    this.first = packet.fragmentOffset;
    return packet.ipVersion === 4 ? this.#read4(packet, view) : this.#read6(packet, view);
  }

  #read4(packet: Packet, view: DataView): boolean {
    this.ipVersion = 4;
    readIpv4Address(view, packet.sourceAt, this.addresses, 0);
    readIpv4Address(view, packet.destinationAt, this.addresses, 4);
    this.protocol = packet.protocol;
    this.dataOffset = packet.l4Offset;
    return this.#setEnd(packet.l4Length, DATA_BYTES_MAX4);
  }

  /** The fragment header lies behind those extension headers that every fragment has; they were checked. */
  #read6(packet: Packet, view: DataView): boolean {
    const { ipAt } = packet;
    this.ipVersion = 6;
    readIpv6Address(view, packet.sourceAt, this.addresses, 0);
    readIpv6Address(view, packet.destinationAt, this.addresses, 4);
    let next = view.getUint8(ipAt + Ipv6.nextHeader);
    let at = ipAt + Ipv6.headerBytes;
    while (next !== Ipv6Extension.fragment) {
      next = view.getUint8(at);
      at += (view.getUint8(at + 1) + 1) * 8;
    }
    this.protocol = view.getUint8(at + Ipv6FragmentHeader.nextHeader);
    at += Ipv6FragmentHeader.headerBytes;
    this.dataOffset = Ethernet.headerBytes + (at - ipAt);
    const payloadEnd = ipAt + Ipv6.headerBytes + view.getUint16(ipAt + Ipv6.payloadLength);
    return this.#setEnd(payloadEnd - at, DATA_BYTES_MAX6);
  }

  #setEnd(bytes: number, dataBytesMax: number): boolean {
    this.end = this.first + bytes;
    if (this.moreFollow && bytes % 8 !== 0) return false;
    return bytes > 0 && this.end <= dataBytesMax;
  }
}
