// The guest's end of one TCP connection over a RingDriver: as fast as it can be, with zeros as payload, whose sum is known.

import { ipv4Words } from "@passt-ts/address-map/address";
import { pseudoHeader4 } from "@passt-ts/checksum/pseudo-header";
import { complement, sumBytes } from "@passt-ts/checksum/sum";
import { hasFeature, VirtioFeature } from "@passt-ts/vhost-user-proto/features";
import { Ethernet, EtherType, writeEthernet } from "@passt-ts/wire/ethernet";
import { IpProtocol, Ipv4, writeIpv4 } from "@passt-ts/wire/ipv4";
import {
  setTcpChecksum,
  Tcp,
  TcpFlag,
  TcpOptions,
  tcpAcknowledgment,
  tcpDestinationPort,
  tcpFlags,
  tcpSequence,
  tcpWindow,
  writeTcp,
  writeTcpSynOptions,
} from "@passt-ts/wire/tcp";
import { VirtioNetFlag, VirtioNetGso, writeVirtioNetHeader } from "@passt-ts/wire/virtio-net-header";
import { netHeaderBytes, type RingDriver } from "./ring-driver.ts";

const ourMac = Uint8Array.of(0x9a, 0x55, 0x9a, 0x55, 0x9a, 0x55);
const guestMac = Uint8Array.of(0x52, 0x54, 0, 0, 0, 9);
const ipAt = Ethernet.headerBytes;
const tcpAt = ipAt + Ipv4.headerBytes;
const headerBytes = tcpAt + Tcp.headerBytes;
/** The longest frame of a guest (virtio 1.3, 5.1.6.2), in payload bytes. */
const segmentationBytesMax = 65_535 - Ipv4.headerBytes - Tcp.headerBytes;
/** We offer 4 MiB, and so does the other side at most. */
const windowScale = 7;
const windowField = 0x8000;
const congestionWindowMax = 8 << 20;
/** Unacknowledged for so long it is sent again: sooner than a guest would without its probes (RFC 8985 section 7). */
const retransmitMs = 20;

/** Addresses of both ends. */
export interface GuestTcpOptions {
  /** "a.b.c.d" as a number. */
  readonly guest: number;
  readonly gateway: number;
  readonly port: number;
  readonly guestPort: number;
  /** What we say that we take, headers not included. */
  readonly segmentBytes: number;
  /** Payload of a segment of ours; the other side may take less. */
  readonly sendBytes: number;
}

export class GuestTcp {
  readonly #driver: RingDriver;
  readonly #guest: Uint32Array;
  readonly #gateway: Uint32Array;
  readonly #options: GuestTcpOptions;
  readonly #partialChecksum: boolean;
  readonly #segmentation: boolean;
  readonly #tcpOptions = new TcpOptions();
  #segmentBytes: number;
  #sequence = 1000;
  #unacknowledged = 1000;
  #expected = 0;
  #acknowledgedUpTo = 0;
  #peerWindow = 0;
  #peerWindowMax = 0;
  #peerScale = 0;
  /** What may be under way, and up to where that doubles with each round (RFC 5681), in bytes. */
  #congestionWindow = 0;
  #threshold = congestionWindowMax;
  #duplicates = 0;
  #progressMs = 0;
  isOpen = false;
  /** Payload bytes that arrived in order, and that were acknowledged. */
  receivedBytes = 0;
  acknowledgedBytes = 0;
  retransmissions = 0;
  /** Acknowledge each segment for itself, as a guest without offloads may. */
  acknowledgesEach = false;

  constructor(driver: RingDriver, options: GuestTcpOptions) {
    this.#driver = driver;
    this.#options = options;
    this.#guest = ipv4Words(options.guest);
    this.#gateway = ipv4Words(options.gateway);
    this.#partialChecksum = hasFeature(driver.features, VirtioFeature.CSUM);
    this.#segmentation = hasFeature(driver.features, VirtioFeature.HOST_TSO4);
    this.#segmentBytes = options.sendBytes;
  }

  /** Sends the SYN; {@link GuestTcp.isOpen} when {@link GuestTcp.receive} has seen the answer. */
  connect(): void {
    while (this.#driver.room === 0) this.#driver.flush();
    this.#write(TcpFlag.syn, 0);
    this.#driver.flush();
  }

  /** Takes all frames that arrived, and acknowledges what they brought. Whether there were any. */
  receive(): boolean {
    let any = false;
    for (let at = this.#driver.receive(); at >= 0; at = this.#driver.receive()) {
      any = true;
      this.#input(at + netHeaderBytes);
      if (this.acknowledgesEach && this.#expected !== this.#acknowledgedUpTo && this.#driver.room > 0)
        this.acknowledge();
    }
    if (!any) return false;
    if (this.isOpen && this.#expected !== this.#acknowledgedUpTo && this.#driver.room > 0) this.acknowledge();
    this.#driver.refill();
    return true;
  }

  /** Sends as many segments as window and ring have room for. How many. */
  send(nowMs: number): number {
    const driver = this.#driver;
    if (this.#sequence === this.#unacknowledged) this.#progressMs = nowMs;
    else if (nowMs - this.#progressMs > retransmitMs) this.#goBack(nowMs);
    const bytesMax = this.#segmentation ? segmentationBytesMax : this.#segmentBytes;
    let count = 0;
    // One slot stays for an acknowledgment.
    while (driver.room > 1) {
      const flying = (this.#sequence - this.#unacknowledged) >>> 0;
      const payloadBytes = Math.min(bytesMax, Math.min(this.#peerWindow, this.#congestionWindow) - flying);
      // No crumbs, as a guest's stack sends none (RFC 9293 section 3.8.6.2.1).
      if (payloadBytes <= 0) break;
      if (payloadBytes < Math.min(this.#segmentBytes, this.#peerWindowMax / 2) && flying > 0) break;
      this.#write(TcpFlag.ack, payloadBytes);
      this.#sequence = (this.#sequence + payloadBytes) >>> 0;
      count++;
    }
    return count;
  }

  /** Sends a bare acknowledgment. */
  acknowledge(): void {
    this.#write(TcpFlag.ack, 0);
    this.#acknowledgedUpTo = this.#expected;
  }

  /** Says with each call another window, as a reader does that comes and goes. */
  updateWindow(turn: number): void {
    this.#write(TcpFlag.ack, 0, windowField - (turn & 255));
  }

  #goBack(nowMs: number): void {
    this.retransmissions++;
    const flying = (this.#sequence - this.#unacknowledged) >>> 0;
    this.#threshold = Math.max(flying / 2, 2 * this.#segmentBytes);
    this.#congestionWindow = this.#threshold;
    this.#sequence = this.#unacknowledged;
    this.#progressMs = nowMs;
    this.#duplicates = 0;
  }

  #input(at: number): void {
    const { view } = this.#driver;
    if (view.getUint16(at + 12) !== EtherType.ipv4 || view.getUint8(at + ipAt + Ipv4.protocol) !== IpProtocol.tcp)
      return;
    const tcp = at + tcpAt;
    if (tcpDestinationPort(view, tcp) !== this.#options.guestPort) return;
    const flags = tcpFlags(view, tcp);
    const tcpBytes = (view.getUint8(tcp + Tcp.dataOffset) >>> 4) * 4;
    const payloadBytes = view.getUint16(at + ipAt + Ipv4.totalLength) - Ipv4.headerBytes - tcpBytes;
    if ((flags & TcpFlag.rst) !== 0) throw new Error("the connection was reset");
    if ((flags & TcpFlag.syn) !== 0) {
      this.#opened(tcp, tcpBytes);
      return;
    }
    this.#acknowledged(tcp, payloadBytes);
    if (payloadBytes === 0) return;
    const ahead = (this.#expected - tcpSequence(view, tcp)) >>> 0;
    if (ahead >= payloadBytes) {
      // Old, or behind a gap: said once more what is expected.
      this.#acknowledgedUpTo = (this.#expected - 1) >>> 0;
      return;
    }
    this.#expected = (this.#expected + payloadBytes - ahead) >>> 0;
    this.receivedBytes += payloadBytes - ahead;
  }

  #opened(tcp: number, tcpBytes: number): void {
    const { view } = this.#driver;
    this.#tcpOptions.parse(view, tcp, tcpBytes);
    this.#peerScale = Math.max(this.#tcpOptions.windowScale, 0);
    if (this.#tcpOptions.maximumSegmentSize > 0) {
      this.#segmentBytes = Math.min(this.#segmentBytes, this.#tcpOptions.maximumSegmentSize);
    }
    this.#congestionWindow = 10 * this.#segmentBytes;
    this.#peerWindow = tcpWindow(view, tcp);
    this.#expected = (tcpSequence(view, tcp) + 1) >>> 0;
    if (!this.isOpen) this.#sequence = (this.#sequence + 1) >>> 0;
    this.#unacknowledged = this.#sequence;
    this.isOpen = true;
    this.acknowledge();
    this.#driver.flush();
  }

  #acknowledged(tcp: number, payloadBytes: number): void {
    const { view } = this.#driver;
    const acknowledgment = tcpAcknowledgment(view, tcp);
    const window = tcpWindow(view, tcp) * 2 ** this.#peerScale;
    const moved = (acknowledgment - this.#unacknowledged) >>> 0;
    if (moved > 0x8000_0000) return;
    if (moved > 0) {
      this.acknowledgedBytes += moved;
      const window = this.#congestionWindow;
      const growth = window < this.#threshold ? moved : (this.#segmentBytes * moved) / window;
      this.#congestionWindow = Math.min(window + growth, congestionWindowMax);
      this.#unacknowledged = acknowledgment;
      // What was sent again may have arrived the first time.
      if ((this.#sequence - acknowledgment) >>> 0 > 0x8000_0000) this.#sequence = acknowledgment;
      this.#duplicates = 0;
      this.#progressMs = performance.now();
    } else if (payloadBytes === 0 && window <= this.#peerWindow && this.#sequence !== acknowledgment) {
      if (++this.#duplicates === 3) this.#goBack(performance.now());
    }
    this.#peerWindow = window;
    this.#peerWindowMax = Math.max(this.#peerWindowMax, window);
  }

  /** Writes a frame whose payload, if any, is the zeros that lie in its slot already. */
  #write(flags: number, payloadBytes: number, window: number = windowField): void {
    const driver = this.#driver;
    const { view } = driver;
    const net = driver.nextAt;
    const at = net + netHeaderBytes;
    const isSyn = (flags & TcpFlag.syn) !== 0;
    const optionBytes = isSyn ? 8 : 0;
    const l4Bytes = Tcp.headerBytes + optionBytes + payloadBytes;
    writeEthernet(view, at, ourMac, guestMac, EtherType.ipv4);
    writeIpv4(view, at + ipAt, l4Bytes, IpProtocol.tcp, 64, this.#guest, 0, this.#gateway, 0);
    const { guestPort, port } = this.#options;
    const tcp = at + tcpAt;
    const field = isSyn ? 0xffff : window;
    writeTcp(view, tcp, guestPort, port, this.#sequence, this.#expected, flags, field, Tcp.headerBytes + optionBytes);
    if (isSyn) writeTcpSynOptions(view, tcp + Tcp.headerBytes, this.#options.segmentBytes, windowScale);
    const pseudo = pseudoHeader4(this.#guest, 0, this.#gateway, 0, IpProtocol.tcp, l4Bytes);
    const isSegmented = payloadBytes > this.#segmentBytes;
    if (this.#partialChecksum) {
      setTcpChecksum(view, tcp, pseudo);
      const gsoType = isSegmented ? VirtioNetGso.tcpv4 : VirtioNetGso.none;
      const gsoSize = isSegmented ? this.#segmentBytes : 0;
      const { needsChecksum } = VirtioNetFlag;
      writeVirtioNetHeader(
        view,
        net,
        netHeaderBytes,
        needsChecksum,
        gsoType,
        headerBytes,
        gsoSize,
        tcpAt,
        Tcp.checksum,
        0,
      );
    } else {
      setTcpChecksum(view, tcp, complement(sumBytes(view, tcp, tcp + Tcp.headerBytes + optionBytes, pseudo)));
    }
    driver.send(netHeaderBytes + tcpAt + l4Bytes);
  }
}
