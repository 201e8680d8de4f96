import { ipv4Words } from "@passt-ts/address-map/address";
import { AddressMap } from "@passt-ts/address-map/address-map";
import { GuestIdentity } from "@passt-ts/address-map/guest-identity";
import { Iov, IovPool } from "@passt-ts/iov/iov";
import { WindowTable } from "@passt-ts/iov/windows";
import { RecordingSink, type RecordingSinkOptions } from "@passt-ts/net-backend/testing/recording-sink";
import { Ethernet, EtherType, writeEthernet } from "@passt-ts/wire/ethernet";
import { IpProtocol, writeIpv4 } from "@passt-ts/wire/ipv4";
import { writeIpv6 } from "@passt-ts/wire/ipv6";
import { Packet } from "@passt-ts/wire/packet";
import { writeUdp } from "@passt-ts/wire/udp";
import { UdpEngine } from "../udp-engine.ts";
import { slotBytesFor, UDP_SCRATCH_BYTES, type UdpEngineOptions } from "../udp-options.ts";
import { FakeUdpSockets } from "./fake-udp-sockets.ts";

export const GUEST4: Uint32Array = ipv4Words(0x0a000002);
export const GATEWAY4: Uint32Array = ipv4Words(0x0a000001);
export const SERVER4: Uint32Array = ipv4Words(0xc0000207);
export const GUEST6: Uint32Array = Uint32Array.of(0x20010db8, 0, 0, 2);
export const GUEST_LINK_LOCAL: Uint32Array = Uint32Array.of(0xfe800000, 0, 0, 2);
export const GATEWAY6: Uint32Array = Uint32Array.of(0xfe800000, 0, 0, 1);
export const SERVER6: Uint32Array = Uint32Array.of(0x20010db8, 1, 0, 7);
export const GUEST_MAC: Uint8Array = Uint8Array.of(2, 0, 0, 0, 0, 2);
export const OUR_MAC: Uint8Array = Uint8Array.of(2, 0, 0, 0, 0, 1);

export interface GuestDatagram {
  readonly source?: Uint32Array;
  readonly sourcePort?: number;
  readonly destination?: Uint32Array;
  readonly destinationPort?: number;
  readonly payload?: Uint8Array;
  readonly hopLimit?: number;
  /** Bytes in the buffers behind the frame. */
  readonly slackBytes?: number;
  /** Payload of each of the datagrams that the frame stands for; default 0: it is one. */
  readonly gsoSize?: number;
  /** Where the frame's buffers are split, as offsets in the frame. */
  readonly splits?: readonly number[];
  /** UDP length field, when it is to lie. */
  readonly udpLength?: number;
}

export interface HarnessOptions {
  readonly sink?: RecordingSinkOptions;
  readonly engine?: Partial<UdpEngineOptions>;
}

/** Bytes in front of each guest frame in its buffers, as a virtio-net header would be. */
const FRAME_OFFSET = 12;

/** A {@link UdpEngine} between fake sockets and a recording sink, with a guest to send from. */
export class UdpHarness {
  readonly windows: WindowTable;
  readonly sockets: FakeUdpSockets;
  readonly sink: RecordingSink;
  readonly guest: GuestIdentity;
  readonly engine: UdpEngine;
  readonly slotMemory: Uint8Array;
  nowMs = 1000;
  /** Called with each Ethernet frame before the engine gets it: fields that a {@link GuestDatagram} does not say. */
  changeFrame: (frame: Uint8Array) => void = () => {};
  readonly #packet: Packet = new Packet();

  constructor(options: HarnessOptions = {}) {
    this.windows = new WindowTable();
    this.sink = new RecordingSink({ ...options.sink, windows: this.windows });
    this.sockets = new FakeUdpSockets(this.windows);
    this.guest = new GuestIdentity({ ourMac: OUR_MAC, ipv4: GUEST4, ipv6Global: GUEST6 });
    this.guest.mac.set(GUEST_MAC);
    this.guest.ipv6LinkLocal.set(GUEST_LINK_LOCAL);
    const slotCount = options.engine?.slotCount ?? 4;
    // Stale bytes everywhere: none of them may show.
    this.slotMemory = new Uint8Array(slotBytesFor(slotCount)).fill(0xa5);
    this.engine = new UdpEngine({
      windows: this.windows,
      sink: this.sink,
      port: this.sockets,
      addressMap: new AddressMap({
        gateway4: GATEWAY4,
        gateway6: GATEWAY6,
        ourLinkLocal: GATEWAY6,
        hostLoopback4: GATEWAY4,
        hostLoopback6: GATEWAY6,
        guest: this.guest,
      }),
      guest: this.guest,
      scratchWindow: this.windows.add(new Uint8Array(UDP_SCRATCH_BYTES + 32).fill(0xa5)),
      scratchOffset: 17,
      slotWindow: this.windows.add(this.slotMemory),
      slotOffset: 0,
      slotCount,
      secret: Uint32Array.of(1, 2, 3, 4),
      flowCapacity: 8,
      listenerCapacity: 2,
      nowMs: this.nowMs,
      ...options.engine,
    });
  }

  /** Gives the engine one datagram of the guest, without ending the batch. Returns the buffers, for a test to spoil. */
  input(datagram: GuestDatagram = {}): Uint8Array {
    const payload = datagram.payload ?? Uint8Array.of(1, 2, 3);
    const source = datagram.source ?? GUEST4;
    const destination = datagram.destination ?? SERVER4;
    const v4 = source[2] === 0xffff;
    const headers = Ethernet.headerBytes + (v4 ? 20 : 40) + 8;
    const frameLength = headers + payload.length;
    const buffer = new Uint8Array(FRAME_OFFSET + frameLength + (datagram.slackBytes ?? 0)).fill(0xee);
    const window = this.windows.add(buffer);
    const view = this.windows.views[window];
    const ipAt = writeEthernet(view, FRAME_OFFSET, OUR_MAC, GUEST_MAC, v4 ? EtherType.ipv4 : EtherType.ipv6);
    const hops = datagram.hopLimit ?? 64;
    const l4Length = 8 + payload.length;
    const udpAt = v4
      ? writeIpv4(view, ipAt, l4Length, IpProtocol.udp, hops, source, 0, destination, 0)
      : writeIpv6(view, ipAt, l4Length, IpProtocol.udp, hops, 0, source, 0, destination, 0);
    writeUdp(view, udpAt, datagram.sourcePort ?? 40000, datagram.destinationPort ?? 53, payload.length);
    if (datagram.udpLength !== undefined) view.setUint16(udpAt + 4, datagram.udpLength);
    buffer.set(payload, udpAt + 8);
    this.changeFrame(buffer.subarray(FRAME_OFFSET, FRAME_OFFSET + frameLength));
    const splits = [0, ...(datagram.splits ?? []).map((at) => FRAME_OFFSET + at), buffer.length];
    const pool = new IovPool(this.windows, splits.length);
    for (let i = 0; i + 1 < splits.length; i++) pool.append(window, splits[i], splits[i + 1] - splits[i]);
    // What an owner does: parse the gathered headers, at most 256 bytes of them.
    const gathered = new DataView(buffer.slice(FRAME_OFFSET, FRAME_OFFSET + 256).buffer);
    const gatheredEnd = Math.min(frameLength, gathered.byteLength);
    if (this.#packet.parse(gathered, 0, gatheredEnd, frameLength) !== 0) throw new Error("the test's frame is bad");
    this.engine.input(this.#packet, gathered, new Iov(pool, 0, pool.count), FRAME_OFFSET, this.nowMs, datagram.gsoSize);
    return buffer;
  }

  /** Sends one datagram of the guest as a batch of its own. */
  send(datagram: GuestDatagram = {}): void {
    this.input(datagram);
    this.engine.endBatch(this.nowMs);
  }

  turn(): boolean {
    return this.engine.turn(this.nowMs);
  }

  /** The socket of the newest flow that was opened. */
  get newestSocket(): number {
    return this.sockets.opened[this.sockets.opened.length - 1].socket;
  }

  get newestFlow(): number {
    return this.sockets.opened[this.sockets.opened.length - 1].flow;
  }

  /** Puts a datagram into the newest flow's socket and says so. */
  reply(bytes: Uint8Array): void {
    this.sockets.arrive(this.newestSocket, { bytes });
    this.engine.socketReady(this.newestFlow, 1, this.nowMs);
  }
}

/** The RFC 1071 sum, in the slow and obvious way; 0xffff when the checksum in the bytes is right. */
export function sumOf(bytes: Uint8Array, from: number, to: number, initial = 0): number {
  let sum = initial;
  for (let i = from; i < to; i++) sum += (i - from) % 2 === 0 ? bytes[i] * 256 : bytes[i];
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return sum;
}

/** A frame to the guest, read field by field. */
export class GuestFrame {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly v4: boolean;
  readonly l4At: number;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.v4 = this.view.getUint16(12) === EtherType.ipv4;
    this.l4At = this.v4 ? 34 : 54;
  }

  get protocol(): number {
    return this.bytes[this.v4 ? 23 : 20];
  }

  /** Bytes behind the IP header by the IP header. */
  get l4Length(): number {
    return this.v4 ? this.view.getUint16(16) - 20 : this.view.getUint16(18);
  }

  get source(): number[] {
    return this.#address(this.v4 ? 26 : 22);
  }

  get destination(): number[] {
    return this.#address(this.v4 ? 30 : 38);
  }

  get payload(): Uint8Array {
    return this.bytes.subarray(this.l4At + 8);
  }

  /** Whether the checksums of the IP header and of what it carries are right. */
  get checksumsRight(): boolean {
    const ipRight = !this.v4 || sumOf(this.bytes, 14, 34) === 0xffff;
    let pseudo = 0;
    if (this.protocol !== IpProtocol.icmp) {
      pseudo = sumOf(this.bytes, this.v4 ? 26 : 22, this.l4At, this.protocol + this.l4Length);
    }
    return ipRight && sumOf(this.bytes, this.l4At, this.l4At + this.l4Length, pseudo) === 0xffff;
  }

  #address(at: number): number[] {
    if (this.v4) return [0, 0, 0xffff, this.view.getUint32(at)];
    return [0, 4, 8, 12].map((offset) => this.view.getUint32(at + offset));
  }
}
