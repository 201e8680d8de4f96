import { Iov, IovPool } from "@passt-ts/iov/iov";
import { WindowTable } from "@passt-ts/iov/windows";
import { RecordingSink } from "@passt-ts/net-backend/testing/recording-sink";
import { Packet } from "@passt-ts/wire/packet";
import { IpReassembly, type IpReassemblyOptions, reassemblyBytesFor } from "../ip-reassembly.ts";

/** What a test says of one fragment. */
export interface FragmentFields {
  readonly v4?: boolean;
  readonly identification?: number;
  /** Place in the datagram, in bytes. */
  readonly first?: number;
  readonly more?: boolean;
  readonly protocol?: number;
  readonly hopLimit?: number;
  /** Last byte of the guest's address. */
  readonly host?: number;
  readonly destination?: readonly number[];
  /** Options of IPv4, extension headers in front of the fragment header of IPv6. */
  readonly options?: readonly number[];
  readonly data?: ArrayLike<number>;
  /** Bytes of data missing in the frame. */
  readonly missingBytes?: number;
}

export const GUEST_MAC: readonly number[] = [0x52, 0x54, 0, 0, 0, 9];
export const OUR_MAC: readonly number[] = [0x9a, 0x55, 0x9a, 0x55, 0x9a, 0x55];
export const PEER4: readonly number[] = [192, 0, 2, 7];
export const PEER6: readonly number[] = [0x20, 1, 0xd, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];

/** The frame of one fragment, header checksum and all, written by code that shares nothing with what it tests. */
export function fragmentFrame(fields: FragmentFields): Uint8Array {
  const { v4 = true, identification = 1, first = 0, more = false, protocol = 17, hopLimit = 64 } = fields;
  const { host = 2, options = [], data = [], missingBytes = 0 } = fields;
  const word = (value: number): number[] => [(value >>> 8) & 255, value & 255];
  const type = v4 ? [8, 0] : [0x86, 0xdd];
  const bytes = [...OUR_MAC, ...GUEST_MAC, ...type];
  if (v4) {
    const length = 20 + options.length + data.length;
    const start = [0x45 + options.length / 4, 0x20, ...word(length), ...word(identification)];
    const place = word((more ? 0x2000 : 0) | (first / 8));
    const addresses = [10, 0, 0, host, ...(fields.destination ?? PEER4)];
    const header = [...start, ...place, hopLimit, protocol, 0, 0, ...addresses, ...options];
    const sum = header.reduce((total, byte, i) => total + (i % 2 === 0 ? byte * 256 : byte), 0);
    const folded = (sum % 0x10000) + Math.floor(sum / 0x10000);
    header.splice(10, 2, ...word(~((folded % 0x10000) + Math.floor(folded / 0x10000)) & 0xffff));
    bytes.push(...header);
  } else {
    const length = options.length + 8 + data.length;
    bytes.push(0x61, 0x23, 0x45, 0x67, ...word(length), options.length > 0 ? 60 : 44, hopLimit);
    bytes.push(0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, host, ...(fields.destination ?? PEER6), ...options);
    bytes.push(protocol, 0, ...word(first | (more ? 1 : 0)), ...word(identification >>> 16), ...word(identification));
  }
  const frame = new Uint8Array(bytes.length + data.length - missingBytes);
  frame.set(bytes);
  frame.set(Array.from(data).slice(0, data.length - missingBytes), bytes.length);
  return frame;
}

/** `length` bytes that differ from their neighbours, beginning with `from`. */
export function pattern(length: number, from = 0): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => ((from + i) * 31 + ((from + i) >>> 8)) & 255);
}

/** One whole datagram, as the reassembly hands it on. */
export interface WholeDatagram {
  readonly frame: Uint8Array;
  readonly protocol: number;
  readonly hopLimit: number;
  readonly payload: Uint8Array;
}

/** An IpReassembly with memory of its own, fed frame by frame over any layout of buffers, and a sink for its errors. */
export class ReassemblyRig {
  readonly windows: WindowTable = new WindowTable();
  readonly sink: RecordingSink;
  readonly reassembly: IpReassembly;
  nowMs = 1000;
  readonly #memory: Uint8Array = new Uint8Array(1 << 18);
  readonly #window: number;
  readonly #packet: Packet = new Packet();

  constructor(options: Partial<IpReassemblyOptions> = {}) {
    const slotCount = options.slotCount ?? 4;
    this.sink = new RecordingSink({ windows: this.windows });
    this.#window = this.windows.add(this.#memory);
    // Stale bytes everywhere: none of them may show.
    const own = new Uint8Array(24 + reassemblyBytesFor(slotCount)).fill(0xa5);
    const window = this.windows.add(own);
    this.reassembly = new IpReassembly({ windows: this.windows, window, offset: 24, slotCount, ...options });
  }

  /** Gives one fragment over entries of `entryBytes`; its buffers hold poison afterwards. */
  input(fields: FragmentFields, entryBytes: readonly number[] = [1 << 18]): void {
    this.inputFrame(fragmentFrame(fields), entryBytes);
  }

  inputFrame(bytes: Uint8Array, entryBytes: readonly number[] = [1 << 18]): void {
    const pool = new IovPool(this.windows, 4096);
    const whole = new Uint8Array(12 + bytes.length);
    whole.set(bytes, 12);
    let used = 0;
    for (let done = 0, i = 0; done < whole.length; i++) {
      const take = Math.min(entryBytes[i % entryBytes.length], whole.length - done);
      this.#memory.set(whole.subarray(done, done + take), used);
      pool.append(this.#window, used, take);
      used += take + 5;
      done += take;
    }
    const gathered = bytes.slice(0, 256);
    // What the headers say counts: a frame that is shorter is for the reassembly to notice.
    const reason = this.#packet.parse(new DataView(gathered.buffer), 0, gathered.length, 70_000);
    if (reason !== 0 || !this.#packet.isFragment) throw new Error(`no fragment: ${reason}`);
    const frame = new Iov(pool, 0, pool.count);
    this.reassembly.input(this.#packet, new DataView(gathered.buffer), frame, 12, this.nowMs);
    this.#memory.fill(0xdd, 0, used);
  }

  /** The datagrams that are whole now, read as a receiver reads them; they are released. */
  take(): WholeDatagram[] {
    const { frames } = this.reassembly;
    const taken: WholeDatagram[] = [];
    for (let i = 0; i < frames.count; i++) {
      const iov = frames.select(i, new Iov(frames.pool));
      const { window, offset } = frames.pool;
      const at = offset[iov.first] + frames.offset[i];
      const frame = this.windows.bytes[window[iov.first]].slice(at, at + frames.length[i]);
      const packet = new Packet();
      const reason = packet.parse(new DataView(frame.buffer), 0, frame.length, frame.length);
      if (iov.count !== 1 || reason !== 0 || packet.isFragment) throw new Error(`no whole packet: ${reason}`);
      if (packet.l4Offset + packet.l4Length !== frame.length) throw new Error("the IP length is not the frame's");
      const { protocol, hopLimit, l4Offset } = packet;
      taken.push({ frame, protocol, hopLimit, payload: frame.slice(l4Offset) });
    }
    this.reassembly.release();
    return taken;
  }

  /** Lets time pass; the frames that the guest gets. */
  pass(ms: number): Uint8Array[] {
    this.nowMs += ms;
    this.reassembly.expire(this.nowMs, this.sink);
    this.sink.assertSettled();
    return this.sink.take().map(({ bytes }) => bytes);
  }
}
