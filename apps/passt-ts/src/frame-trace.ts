import { Iov } from "@passt-ts/iov/iov";
import { gather } from "@passt-ts/iov/memcopy";
import type { WindowTable } from "@passt-ts/iov/windows";
import type { FrameBatch } from "@passt-ts/net-backend/frame-batch";
import { EtherType } from "@passt-ts/wire/ethernet";
import { IpProtocol } from "@passt-ts/wire/ipv4";
import { Drop, Packet } from "@passt-ts/wire/packet";
import { type AddressWords, formatAddress } from "./address-text.ts";
import type { FrameObserver } from "./capture.ts";
import type { Log } from "./log.ts";

/** The most header bytes that a line tells about. */
const HEADER_BYTES = 256;

const PROTOCOLS: Readonly<Record<number, string>> = {
  [IpProtocol.icmp]: "ICMP",
  [IpProtocol.tcp]: "TCP",
  [IpProtocol.udp]: "UDP",
  [IpProtocol.icmpv6]: "ICMPv6",
};

/** Logs a line for every frame, in both directions. */
export class FrameTrace implements FrameObserver {
  readonly #log: Log;
  readonly #window: number;
  readonly #view: DataView;
  readonly #packet: Packet = new Packet();
  #frame: Iov | null = null;

  constructor(windows: WindowTable, log: Log) {
    this.#log = log;
    this.#window = windows.add(new Uint8Array(HEADER_BYTES));
    this.#view = windows.views[this.#window];
  }

  record(frames: FrameBatch, index: number, lengthBytes: number, toGuest: boolean): void {
    if (this.#frame === null || this.#frame.pool !== frames.pool) this.#frame = new Iov(frames.pool);
    const frame = frames.select(index, this.#frame);
    const gathered = gather(frame, frames.offset[index], this.#window, 0, Math.min(lengthBytes, HEADER_BYTES));
    const summary = this.#summary(this.#packet.parse(this.#view, 0, gathered, lengthBytes));
    this.#log("trace", `${toGuest ? "to" : "from"} guest: ${lengthBytes} bytes, ${summary}`);
  }

  flush(): void {}

  #summary(drop: number): string {
    const packet = this.#packet;
    if (drop !== Drop.none) {
      const reason = Object.entries(Drop).find(([, value]) => value === drop)?.[0];
      return `ethertype 0x${packet.etherType.toString(16)}, not looked at further: ${reason}`;
    }
    if (packet.etherType === EtherType.arp) return "ARP";
    const protocol = PROTOCOLS[packet.protocol] ?? `protocol ${packet.protocol}`;
    const [source, destination] = [this.#address(packet.sourceAt), this.#address(packet.destinationAt)];
    if (packet.isFragment) return `${protocol} ${source} > ${destination} fragment at ${packet.fragmentOffset}`;
    const hasPorts = packet.protocol === IpProtocol.tcp || packet.protocol === IpProtocol.udp;
    if (!hasPorts || packet.l4At + 4 > packet.end) return `${protocol} ${source} > ${destination}`;
    const port = (offset: number) => this.#view.getUint16(packet.l4At + offset);
    return `${protocol} ${source} port ${port(0)} > ${destination} port ${port(2)}`;
  }

  #address(at: number): string {
    const view = this.#view;
    const words: AddressWords =
      this.#packet.ipVersion === 4
        ? Uint32Array.of(0, 0, 0xffff, view.getUint32(at))
        : Uint32Array.from([0, 4, 8, 12], (offset) => view.getUint32(at + offset));
    return formatAddress(words);
  }
}
