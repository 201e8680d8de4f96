import type { Packet } from "@passt-ts/wire/packet";
import {
  checkTcp,
  TcpFlag,
  tcpAcknowledgment,
  tcpDestinationPort,
  tcpFlags,
  tcpSequence,
  tcpSourcePort,
  tcpWindow,
} from "@passt-ts/wire/tcp";
import { type Seq, seq } from "./sequence.ts";

/** What one TCP header from the guest says: one object that its owner reuses. */
export class Segment {
  sequence: Seq = seq(0);
  acknowledgment: Seq = seq(0);
  /** A bit set of TcpFlag. */
  flags = 0;
  /** The window field, unscaled. */
  window = 0;
  sourcePort = 0;
  destinationPort = 0;
  /** Where the IP header lies in the view, and its TTL or hop limit. */
  ipAt = 0;
  hopLimit = 0;
  /** Where the header lies in the view, and its length with options. */
  at = 0;
  headerBytes = 0;
  /** Payload bytes by the IP length fields, and where they begin, counted from the first byte of the frame. */
  payloadBytes = 0;
  payloadOffset = 0;

  /** Reads the header that `packet` found; false when it is impossible, a fragment, or names port 0. */
  parse(packet: Packet, view: DataView): boolean {
    if (packet.isFragment) return false;
    const at = packet.l4At;
    const headerBytes = checkTcp(view, at, packet.end, packet.l4Length);
    if (headerBytes < 0) return false;
    this.sequence = seq(tcpSequence(view, at));
    this.acknowledgment = seq(tcpAcknowledgment(view, at));
    this.flags = tcpFlags(view, at);
    this.window = tcpWindow(view, at);
    this.sourcePort = tcpSourcePort(view, at);
    this.destinationPort = tcpDestinationPort(view, at);
    this.ipAt = packet.ipAt;
    this.hopLimit = packet.hopLimit;
    this.at = at;
    this.headerBytes = headerBytes;
    this.payloadBytes = packet.l4Length - headerBytes;
    this.payloadOffset = packet.l4Offset + headerBytes;
    return this.sourcePort !== 0 && this.destinationPort !== 0;
  }

  /** Whether all of the flags `mask` are set. */
  has(mask: number): boolean {
    return (this.flags & mask) === mask;
  }

  /** What the segment takes of the sequence space: payload, SYN and FIN. */
  get sequenceBytes(): number {
    return this.payloadBytes + ((this.flags & TcpFlag.syn) >>> 1) + (this.flags & TcpFlag.fin);
  }
}
