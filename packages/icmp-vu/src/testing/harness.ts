import { ipv4Words } from "@passt-ts/address-map/address";
import { AddressMap } from "@passt-ts/address-map/address-map";
import { GuestIdentity } from "@passt-ts/address-map/guest-identity";
import { Iov, IovPool } from "@passt-ts/iov/iov";
import { WindowTable } from "@passt-ts/iov/windows";
import { RecordingSink, type RecordingSinkOptions } from "@passt-ts/net-backend/testing/recording-sink";
import { Ethernet, EtherType, writeEthernet } from "@passt-ts/wire/ethernet";
import { writeIcmpEcho } from "@passt-ts/wire/icmp";
import { IpProtocol, writeIpv4 } from "@passt-ts/wire/ipv4";
import { writeIpv6 } from "@passt-ts/wire/ipv6";
import { Packet } from "@passt-ts/wire/packet";
import { EchoEngine } from "../echo-engine.ts";
import { ECHO_SCRATCH_BYTES, type EchoEngineOptions, slotBytesFor } from "../echo-options.ts";
import { FakeEchoSockets } from "./fake-echo-sockets.ts";

export const GUEST4: Uint32Array = ipv4Words(0x0a000002);
export const GATEWAY4: Uint32Array = ipv4Words(0x0a000001);
export const SERVER4: Uint32Array = ipv4Words(0xc0000207);
export const GUEST6: Uint32Array = Uint32Array.of(0x20010db8, 0, 0, 2);
export const GATEWAY6: Uint32Array = Uint32Array.of(0xfe800000, 0, 0, 1);
export const SERVER6: Uint32Array = Uint32Array.of(0x20010db8, 1, 0, 7);
export const GUEST_MAC: Uint8Array = Uint8Array.of(2, 0, 0, 0, 0, 2);
export const OUR_MAC: Uint8Array = Uint8Array.of(2, 0, 0, 0, 0, 1);

export interface GuestPing {
  readonly source?: Uint32Array;
  readonly destination?: Uint32Array;
  readonly identifier?: number;
  readonly sequence?: number;
  readonly data?: Uint8Array;
  readonly hopLimit?: number;
  readonly slackBytes?: number;
  readonly splits?: readonly number[];
  /** ICMP type and code, when it is to be no echo request. */
  readonly type?: number;
  readonly code?: number;
}

/** Bytes in front of each guest frame in its buffers, as a virtio-net header would be. */
const FRAME_OFFSET = 12;

/** An {@link EchoEngine} between fake sockets and a recording sink, with a guest to ping from. */
export class EchoHarness {
  readonly windows: WindowTable = new WindowTable();
  readonly sockets: FakeEchoSockets;
  readonly sink: RecordingSink;
  readonly engine: EchoEngine;
  readonly slotMemory: Uint8Array;
  readonly warnings: string[] = [];
  nowMs = 1000;
  /** Called with each Ethernet frame before the engine gets it: fields that a {@link GuestPing} does not say. */
  changeFrame: (frame: Uint8Array) => void = () => {};
  /** The newest frame, as the engine got it. */
  sentFrame: Uint8Array = new Uint8Array(0);
  readonly #packet: Packet = new Packet();

  constructor(options: { sink?: RecordingSinkOptions; engine?: Partial<EchoEngineOptions> } = {}) {
    this.sink = new RecordingSink({ ...options.sink, windows: this.windows });
    this.sockets = new FakeEchoSockets(this.windows);
    const guest = new GuestIdentity({ ourMac: OUR_MAC, ipv4: GUEST4, ipv6Global: GUEST6 });
    guest.mac.set(GUEST_MAC);
    const slotCount = options.engine?.slotCount ?? 4;
    // Stale bytes everywhere: none of them may show.
    this.slotMemory = new Uint8Array(slotBytesFor(slotCount)).fill(0xa5);
    this.engine = new EchoEngine({
      windows: this.windows,
      sink: this.sink,
      port: this.sockets,
      addressMap: new AddressMap({
        gateway4: GATEWAY4,
        gateway6: GATEWAY6,
        ourLinkLocal: GATEWAY6,
        hostLoopback4: GATEWAY4,
        hostLoopback6: GATEWAY6,
        guestHostAddress4: null,
        guestHostAddress6: null,
        mapGuestAddress4: null,
        mapGuestAddress6: null,
        guest,
      }),
      guest,
      scratchWindow: this.windows.add(new Uint8Array(ECHO_SCRATCH_BYTES + 32).fill(0xa5)),
      scratchOffset: 17,
      slotWindow: this.windows.add(this.slotMemory),
      slotOffset: 0,
      slotCount,
      secret: Uint32Array.of(1, 2, 3, 4),
      flowCapacity: 8,
      nowMs: this.nowMs,
      warn: (message) => void this.warnings.push(message),
      ...options.engine,
    });
  }

  /** Gives the engine one ICMP packet of the guest; what input returned. */
  ping(ping: GuestPing = {}): boolean {
    const data = ping.data ?? Uint8Array.of(1, 2, 3);
    const source = ping.source ?? GUEST4;
    const destination = ping.destination ?? SERVER4;
    const v4 = source[2] === 0xffff;
    const frameLength = Ethernet.headerBytes + (v4 ? 20 : 40) + 8 + data.length;
    const buffer = new Uint8Array(FRAME_OFFSET + frameLength + (ping.slackBytes ?? 0)).fill(0xee);
    const window = this.windows.add(buffer);
    const view = this.windows.views[window];
    const ipAt = writeEthernet(view, FRAME_OFFSET, OUR_MAC, GUEST_MAC, v4 ? EtherType.ipv4 : EtherType.ipv6);
    const hops = ping.hopLimit ?? 64;
    const l4Length = 8 + data.length;
    const icmpAt = v4
      ? writeIpv4(view, ipAt, l4Length, IpProtocol.icmp, hops, source, 0, destination, 0)
      : writeIpv6(view, ipAt, l4Length, IpProtocol.icmpv6, hops, 0, source, 0, destination, 0);
    writeIcmpEcho(view, icmpAt, ping.type ?? (v4 ? 8 : 128), ping.identifier ?? 77, ping.sequence ?? 1);
    view.setUint8(icmpAt + 1, ping.code ?? 0);
    buffer.set(data, icmpAt + 8);
    const pseudo = v4 ? 0 : sumOf(buffer, ipAt + 8, icmpAt, 58 + l4Length);
    view.setUint16(icmpAt + 2, ~sumOf(buffer, icmpAt, icmpAt + l4Length, pseudo) & 0xffff);
    this.changeFrame(buffer.subarray(FRAME_OFFSET, FRAME_OFFSET + frameLength));
    this.sentFrame = buffer.slice(FRAME_OFFSET, FRAME_OFFSET + frameLength);
    const splits = [0, ...(ping.splits ?? []).map((at) => FRAME_OFFSET + at), buffer.length];
    const pool = new IovPool(this.windows, splits.length);
    for (let i = 0; i + 1 < splits.length; i++) pool.append(window, splits[i], splits[i + 1] - splits[i]);
    const gathered = new DataView(buffer.slice(FRAME_OFFSET, FRAME_OFFSET + 256).buffer);
    const gatheredEnd = Math.min(frameLength, gathered.byteLength);
    if (this.#packet.parse(gathered, 0, gatheredEnd, frameLength) !== 0) throw new Error("the test's frame is bad");
    return this.engine.input(this.#packet, gathered, new Iov(pool, 0, pool.count), FRAME_OFFSET, this.nowMs);
  }

  turn(): boolean {
    return this.engine.turn(this.nowMs);
  }

  /** Answers request `index` and says so to the engine. */
  answer(index: number, address?: Uint32Array): void {
    this.sockets.answer(index, address);
    const { socket } = this.sockets.sent[index];
    const opened = this.sockets.opened.find((candidate) => candidate.socket === socket);
    if (opened === undefined) throw new Error(`no socket ${socket}`);
    this.engine.socketReady(opened.flow, 1, this.nowMs);
  }
}

/** The RFC 1071 sum, in the slow and obvious way; 0xffff when the checksum in the bytes is right. */
export function sumOf(bytes: Uint8Array, from: number, to: number, initial = 0): number {
  let sum = initial;
  for (let i = from; i < to; i++) sum += (i - from) % 2 === 0 ? bytes[i] * 256 : bytes[i];
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return sum;
}

/** Whether the checksums of the IP header and of the ICMP message of a frame are right. */
export function checksumsRight(frame: Uint8Array): boolean {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  if (view.getUint16(12) === EtherType.ipv4) {
    return sumOf(frame, 14, 34) === 0xffff && sumOf(frame, 34, 14 + view.getUint16(16)) === 0xffff;
  }
  const length = view.getUint16(18);
  return sumOf(frame, 54, 54 + length, sumOf(frame, 22, 54, 58 + length)) === 0xffff;
}

/** The source and destination addresses of a frame, as words. */
export function addressesOf(frame: Uint8Array): number[][] {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  if (view.getUint16(12) === EtherType.ipv4) return [26, 30].map((at) => [0, 0, 0xffff, view.getUint32(at)]);
  return [22, 38].map((at) => [0, 4, 8, 12].map((word) => view.getUint32(at + word)));
}
