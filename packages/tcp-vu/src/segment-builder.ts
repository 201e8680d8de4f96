import type { GuestIdentity } from "@passt-ts/address-map/guest-identity";
import { sumIov } from "@passt-ts/checksum/checksum";
import { pseudoHeader4, pseudoHeader6 } from "@passt-ts/checksum/pseudo-header";
import { complement, sumBytes } from "@passt-ts/checksum/sum";
import type { FlowKey } from "@passt-ts/flow/flow-key";
import type { FlowTable } from "@passt-ts/flow/flow-table";
import { Iov } from "@passt-ts/iov/iov";
import { scatter } from "@passt-ts/iov/memcopy";
import type { RxSink } from "@passt-ts/net-backend/rx-sink";
import { Ethernet, EtherType, writeEthernet } from "@passt-ts/wire/ethernet";
import { IpProtocol, Ipv4, writeIpv4 } from "@passt-ts/wire/ipv4";
import { Ipv6, writeIpv6 } from "@passt-ts/wire/ipv6";
import { setTcpChecksum, Tcp, TcpFlag, writeTcp, writeTcpSynOptions } from "@passt-ts/wire/tcp";
import { VirtioNetFlag, VirtioNetGso } from "@passt-ts/wire/virtio-net-header";
import type { Connection } from "./connection.ts";
import { TcpCounter } from "./counters.ts";
import { ERROR_SCRATCH_BYTES } from "./error-writer.ts";
import { type Seq, seqDiff } from "./sequence.ts";

/** Bytes of scratch that the builder needs: the longest header it builds is 82 bytes. */
export const SEGMENT_SCRATCH_BYTES = 128;
/** Bytes of scratch that the engine needs: for headers of segments, then for an ICMP error. */
export const SCRATCH_BYTES: number = SEGMENT_SCRATCH_BYTES + ERROR_SCRATCH_BYTES;

const HOP_LIMIT = 255;

/** Ethernet, IP and TCP header of a segment with payload. */
export function headerBytesOf(ipVersion: number): number {
  return Ethernet.headerBytes + (ipVersion === 4 ? Ipv4.headerBytes : Ipv6.headerBytes) + Tcp.headerBytes;
}

/** The window field of a segment without SYN for what was announced last. */
export function windowField(connection: Connection): number {
  const bytes = seqDiff(connection.rcvEdge, connection.ackSent);
  return bytes <= 0 ? 0 : Math.min(0xffff, bytes >>> connection.ourScale);
}

export interface SegmentBuilderOptions {
  readonly sink: RxSink;
  /** {@link SEGMENT_SCRATCH_BYTES} bytes at `scratchOffset` of this window belong to the builder. */
  readonly scratchWindow: number;
  readonly scratchOffset: number;
  readonly guest: GuestIdentity;
  readonly table: FlowTable;
  readonly counters: Float64Array;
}

/**
 * Builds the headers of segments to the guest in scratch, scatters them into reserved frames and commits these.
 *
 * `selectFlow` or `selectKey` says for whom; then any number of segments follow. The IP header is written again only
 * when the length changes.
 */
export class SegmentBuilder {
  readonly #sink: RxSink;
  readonly #window: number;
  readonly #at: number;
  readonly #guest: GuestIdentity;
  readonly #table: FlowTable;
  readonly #counters: Float64Array;
  readonly #frame: Iov;
  /** Whom the segments go to and come from: words in the arrays of a table or a key. */
  #guestWords: Uint32Array;
  #peerWords: Uint32Array;
  #wordsAt = 0;
  #guestPort = 0;
  #peerPort = 0;
  #ipVersion = 4;
  #flowLabel = 0;
  /** Payload above this is more than one segment. */
  #segmentBytes = Infinity;
  #tcpAt = 0;
  #optionBytes = 0;
  #l4Length = -1;
  #pseudoSum = 0;

  constructor(options: SegmentBuilderOptions) {
    this.#sink = options.sink;
    this.#window = options.scratchWindow;
    this.#at = options.scratchOffset;
    this.#guest = options.guest;
    this.#table = options.table;
    this.#counters = options.counters;
    this.#frame = new Iov(options.sink.frames.pool);
    this.#guestWords = options.table.guestAddress;
    this.#peerWords = options.table.peerAddress;
  }

  /** The segments that follow belong to a connection in the table. */
  selectFlow(connection: Connection): void {
    const table = this.#table;
    const { flow } = connection;
    this.#guestWords = table.guestAddress;
    this.#peerWords = table.peerAddress;
    this.#wordsAt = 4 * flow;
    this.#guestPort = table.guestPort[flow];
    this.#peerPort = table.peerPort[flow];
    this.#flowLabel = Math.max(0, connection.socket);
    this.#segmentBytes = connection.mss;
    this.#begin(connection.ipVersion);
  }

  /** The segments that follow answer one that belongs to no connection. */
  selectKey(key: FlowKey, ipVersion: number): void {
    this.#guestWords = key.guest;
    this.#peerWords = key.peer;
    this.#wordsAt = 0;
    this.#guestPort = key.guestPort;
    this.#peerPort = key.peerPort;
    this.#flowLabel = 0;
    this.#segmentBytes = Infinity;
    this.#begin(ipVersion);
  }

  /**
   * Completes and commits frame `index`, in which the payload lies behind {@link headerBytesOf} bytes.
   *
   * @param window the window field as it stands.
   */
  commit(index: number, sequence: Seq, acknowledgment: Seq, flags: number, window: number, payloadBytes: number): void {
    const { frames } = this.#sink;
    const view = frames.pool.windows.views[this.#window];
    const tcpBytes = Tcp.headerBytes + this.#optionBytes;
    if (this.#l4Length !== tcpBytes + payloadBytes) this.#writeIp(view, tcpBytes + payloadBytes);
    const tcpAt = this.#tcpAt;
    const headerBytes = tcpAt - this.#at + tcpBytes;
    writeTcp(view, tcpAt, this.#peerPort, this.#guestPort, sequence, acknowledgment, flags, window, tcpBytes);
    frames.select(index, this.#frame);
    if (this.#sink.partialChecksum) {
      setTcpChecksum(view, tcpAt, this.#pseudoSum);
      frames.flags[index] = VirtioNetFlag.needsChecksum;
      frames.checksumStart[index] = tcpAt - this.#at;
      frames.checksumOffset[index] = Tcp.checksum;
      if (payloadBytes > this.#segmentBytes) this.#segmentLater(index, headerBytes);
    } else {
      const headerSum = sumBytes(view, tcpAt, tcpAt + tcpBytes, this.#pseudoSum);
      const sum = sumIov(this.#frame, frames.offset[index] + headerBytes, payloadBytes, headerSum);
      setTcpChecksum(view, tcpAt, complement(sum));
    }
    scatter(this.#frame, frames.offset[index], this.#window, this.#at, headerBytes);
    this.#sink.commit(index, headerBytes + payloadBytes);
    this.#counters[TcpCounter.segmentsOut]++;
  }

  /**
   * Sends a segment without payload or options; 0, or a number of Refused.
   *
   * @param canWait nobody waits for it: see `FrameBatch.canWait`.
   */
  sendEmpty(sequence: Seq, acknowledgment: Seq, flags: number, window: number, canWait = false): number {
    const index = this.#sink.reserve(this.#tcpAt - this.#at + Tcp.headerBytes);
    if (index < 0) {
      this.#counters[TcpCounter.segmentsDropped]++;
      return index;
    }
    if (canWait) this.#sink.frames.canWait[index] = 1;
    this.commit(index, sequence, acknowledgment, flags, window, 0);
    return 0;
  }

  /**
   * Sends a SYN or SYN,ACK with MSS and, when `windowScale` is not negative, the window scale option.
   *
   * @returns 0, or a number of Refused.
   */
  sendSyn(
    sequence: Seq,
    acknowledgment: Seq,
    flags: number,
    window: number,
    maximumSegmentSize: number,
    windowScale: number,
  ): number {
    const view = this.#sink.frames.pool.windows.views[this.#window];
    this.#optionBytes = writeTcpSynOptions(view, this.#tcpAt + Tcp.headerBytes, maximumSegmentSize, windowScale);
    const index = this.#sink.reserve(this.#tcpAt - this.#at + Tcp.headerBytes + this.#optionBytes);
    if (index >= 0) this.commit(index, sequence, acknowledgment, flags | TcpFlag.syn, window, 0);
    else this.#counters[TcpCounter.segmentsDropped]++;
    this.#optionBytes = 0;
    return Math.min(index, 0);
  }

  /** The guest's stack takes the frame as so many segments (virtio 1.3, 5.1.6.2). */
  #segmentLater(index: number, headerBytes: number): void {
    const { frames } = this.#sink;
    frames.gsoType[index] = this.#ipVersion === 4 ? VirtioNetGso.tcpv4 : VirtioNetGso.tcpv6;
    frames.gsoSize[index] = this.#segmentBytes;
    frames.headerLength[index] = headerBytes;
  }

  #begin(ipVersion: number): void {
    this.#ipVersion = ipVersion;
    this.#l4Length = -1;
    const view = this.#sink.frames.pool.windows.views[this.#window];
    const { mac, ourMac } = this.#guest;
    const ipAt = writeEthernet(view, this.#at, mac, ourMac, ipVersion === 4 ? EtherType.ipv4 : EtherType.ipv6);
    this.#tcpAt = ipAt + (ipVersion === 4 ? Ipv4.headerBytes : Ipv6.headerBytes);
  }

  #writeIp(view: DataView, l4Length: number): void {
    const ipAt = this.#at + Ethernet.headerBytes;
    const peer = this.#peerWords;
    const guest = this.#guestWords;
    const at = this.#wordsAt;
    this.#l4Length = l4Length;
    if (this.#ipVersion === 4) {
      writeIpv4(view, ipAt, l4Length, IpProtocol.tcp, HOP_LIMIT, peer, at, guest, at);
      this.#pseudoSum = pseudoHeader4(peer, at, guest, at, IpProtocol.tcp, l4Length);
    } else {
      writeIpv6(view, ipAt, l4Length, IpProtocol.tcp, HOP_LIMIT, this.#flowLabel, peer, at, guest, at);
      this.#pseudoSum = pseudoHeader6(peer, at, guest, at, IpProtocol.tcp, l4Length);
    }
  }
}
