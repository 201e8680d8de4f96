import { isIpv4Mapped } from "@passt-ts/address-map/address";
import type { GuestIdentity } from "@passt-ts/address-map/guest-identity";
import { checksumBytes } from "@passt-ts/checksum/checksum";
import { pseudoHeader4, pseudoHeader6 } from "@passt-ts/checksum/pseudo-header";
import { sumBytes } from "@passt-ts/checksum/sum";
import { Iov } from "@passt-ts/iov/iov";
import { scatter } from "@passt-ts/iov/memcopy";
import type { WindowTable } from "@passt-ts/iov/windows";
import type { RxSink } from "@passt-ts/net-backend/rx-sink";
import { Ethernet, EtherType, writeEthernet } from "@passt-ts/wire/ethernet";
import { IpProtocol, Ipv4, writeIpv4 } from "@passt-ts/wire/ipv4";
import { Ipv6, writeIpv6 } from "@passt-ts/wire/ipv6";
import { setUdpChecksum, Udp, writeUdp } from "@passt-ts/wire/udp";
import { VirtioNetFlag, VirtioNetGso } from "@passt-ts/wire/virtio-net-header";

/** TTL and hop limit of what we send to the guest. */
const HOP_LIMIT = 255;
/** The longest IPv4 packet, and the longest payload of an IPv6 packet. */
const IP_BYTES_MAX = 65535;

/** Bytes of the headers in front of a datagram's payload: Ethernet, IP, UDP. */
export function datagramHeaderBytes(v4: boolean): number {
  return Ethernet.headerBytes + (v4 ? Ipv4.headerBytes : Ipv6.headerBytes) + Udp.headerBytes;
}

/** Bytes of scratch that the headers of a datagram need. */
export const DATAGRAM_HEADER_BYTES_MAX: number = datagramHeaderBytes(false);

/** The payload is too long for a datagram of its family: nothing was reserved. */
export const DATAGRAM_TOO_LONG = -100;

export interface DatagramWriterOptions {
  windows: WindowTable;
  sink: RxSink;
  guest: GuestIdentity;
  /** {@link DATAGRAM_HEADER_BYTES_MAX} bytes that the writer owns. */
  scratchWindow: number;
  scratchOffset: number;
}

/** Turns payloads of known length in flat memory into UDP frames for the guest. */
export class DatagramWriter {
  readonly #windows: WindowTable;
  readonly #sink: RxSink;
  readonly #guest: GuestIdentity;
  readonly #scratchWindow: number;
  readonly #scratchAt: number;
  readonly #frame: Iov;

  constructor(options: DatagramWriterOptions) {
    this.#windows = options.windows;
    this.#sink = options.sink;
    this.#guest = options.guest;
    this.#scratchWindow = options.scratchWindow;
    this.#scratchAt = options.scratchOffset;
    this.#frame = new Iov(options.sink.frames.pool);
  }

  /** The most payload bytes of several datagrams of `segmentBytes` bytes that one frame may hold; 0: only one each. */
  joinedBytesMax(v4: boolean, segmentBytes: number): number {
    const sink = this.#sink;
    const frameBytes = (v4 ? sink.udpSegmentationBytesMax4 : sink.udpSegmentationBytesMax6) ?? 0;
    if (!sink.partialChecksum) return 0;
    const ipBytes = Math.min(frameBytes - Ethernet.headerBytes, IP_BYTES_MAX);
    const room = ipBytes - Udp.headerBytes - (v4 ? Ipv4.headerBytes : Ipv6.headerBytes);
    const segments = Math.floor(room / segmentBytes);
    return segments > 1 ? segments * segmentBytes : 0;
  }

  /**
   * Sends the guest one datagram: exactly `lengthBytes` bytes at `from` of window `window`.
   *
   * @param segmentBytes 0, or: the bytes are several datagrams of so many bytes, the last may be shorter, within
   *   {@link joinedBytesMax}; the guest's stack takes them apart (virtio 1.3, 5.1.6.2).
   * @param source words `sourceAt` to `sourceAt + 3` are the source; so for `destination`. One family.
   * @returns 0, a number of Refused, or {@link DATAGRAM_TOO_LONG}.
   */
  write(
    source: Uint32Array,
    sourceAt: number,
    sourcePort: number,
    destination: Uint32Array,
    destinationAt: number,
    destinationPort: number,
    window: number,
    from: number,
    lengthBytes: number,
    segmentBytes: number,
  ): number {
    const sink = this.#sink;
    const v4 = isIpv4Mapped(source, sourceAt);
    const udpLength = Udp.headerBytes + lengthBytes;
    if (udpLength + (v4 ? Ipv4.headerBytes : 0) > IP_BYTES_MAX) return DATAGRAM_TOO_LONG;
    const headerLength = datagramHeaderBytes(v4);
    const udpOffset = headerLength - Udp.headerBytes;
    const index = sink.reserve(headerLength + lengthBytes);
    if (index < 0) return index;

    const view = this.#windows.views[this.#scratchWindow];
    const at = this.#scratchAt;
    const { mac, ourMac } = this.#guest;
    const ipAt = writeEthernet(view, at, mac, ourMac, v4 ? EtherType.ipv4 : EtherType.ipv6);
    if (v4) writeIpv4(view, ipAt, udpLength, IpProtocol.udp, HOP_LIMIT, source, sourceAt, destination, destinationAt);
    else writeIpv6(view, ipAt, udpLength, IpProtocol.udp, HOP_LIMIT, 0, source, sourceAt, destination, destinationAt);
    const udpAt = at + udpOffset;
    writeUdp(view, udpAt, sourcePort, destinationPort, lengthBytes);
    const pseudo = v4
      ? pseudoHeader4(source, sourceAt, destination, destinationAt, IpProtocol.udp, udpLength)
      : pseudoHeader6(source, sourceAt, destination, destinationAt, IpProtocol.udp, udpLength);
    const { frames } = sink;
    if (sink.partialChecksum) {
      frames.flags[index] = VirtioNetFlag.needsChecksum;
      frames.checksumStart[index] = udpOffset;
      frames.checksumOffset[index] = Udp.checksum;
      view.setUint16(udpAt + Udp.checksum, pseudo);
      if (segmentBytes > 0) {
        frames.gsoType[index] = VirtioNetGso.udpL4;
        frames.gsoSize[index] = segmentBytes;
        frames.headerLength[index] = headerLength;
      }
    } else {
      // The slot is summed, not the frame: the guest can write there already, and what was received is what is sent.
      const header = sumBytes(view, udpAt, udpAt + Udp.headerBytes, pseudo);
      setUdpChecksum(view, udpAt, checksumBytes(this.#windows.views[window], from, from + lengthBytes, header));
    }

    const frame = frames.select(index, this.#frame);
    const frameAt = frames.offset[index];
    scatter(frame, frameAt, this.#scratchWindow, at, headerLength);
    scatter(frame, frameAt + headerLength, window, from, lengthBytes);
    sink.commit(index, headerLength + lengthBytes);
    return 0;
  }
}
