// The guest's side of one TCP connection, as a script plays it: sequence numbers count from the initial ones.

import { IpProtocol } from "@passt-ts/wire/ipv4";
import { Tcp, TcpFlag, writeTcp, writeTcpSynOptions } from "@passt-ts/wire/tcp";
import { packet, putBytes, type Way } from "./frames.ts";
import type { FrameToSend } from "./script.ts";

/** The guest's initial sequence number. */
const GUEST_ISN = 0x1000_0000;
const WINDOW = 0xfff0;

export interface SegmentFields {
  readonly flags: number;
  /** Counted from the guest's initial sequence number. Default 1, behind the SYN. */
  readonly sequence?: number;
  /** Counted from the daemon's initial sequence number. Default 1. Only sent with ACK. */
  readonly acknowledgment?: number;
  readonly window?: number;
  readonly data?: string;
}

export interface SynFields {
  readonly flags?: number;
  readonly maximumSegmentSize?: number | null;
  readonly windowScale?: number | null;
  readonly window?: number;
}

export class TcpFlow {
  readonly #way: Way;
  readonly #guestPort: number;
  readonly #daemonPort: number;

  constructor(way: Way, guestPort: number, daemonPort: number) {
    this.#way = way;
    this.#guestPort = guestPort;
    this.#daemonPort = daemonPort;
  }

  /** A SYN with MSS 1460 and window scale 7, unless told otherwise; null leaves an option out. */
  syn(fields: SynFields = {}): Uint8Array {
    return this.#synWith(fields, 0);
  }

  /** The answer to the daemon's SYN. */
  synAck(fields: SynFields = {}): FrameToSend {
    const flags = TcpFlag.syn | TcpFlag.ack;
    return (learned) => this.#synWith({ ...fields, flags }, (learned.isn(this.#daemonPort, this.#guestPort) + 1) >>> 0);
  }

  #synWith(fields: SynFields, acknowledgment: number): Uint8Array {
    const { flags = TcpFlag.syn, maximumSegmentSize = 1460, windowScale = 7, window = WINDOW } = fields;
    const options = new DataView(new ArrayBuffer(8));
    const optionBytes =
      maximumSegmentSize === null ? 0 : writeTcpSynOptions(options, 0, maximumSegmentSize, windowScale ?? -1);
    return this.#frame(GUEST_ISN, acknowledgment, flags, window, new Uint8Array(options.buffer, 0, optionBytes), "");
  }

  /** A segment on the connection: its numbers count from the initial ones. */
  segment(fields: SegmentFields): FrameToSend {
    return (learned) => {
      const { flags, sequence = 1, acknowledgment = 1, window = WINDOW, data = "" } = fields;
      const acknowledges = (flags & TcpFlag.ack) !== 0;
      const number = acknowledges ? learned.isn(this.#daemonPort, this.#guestPort) + acknowledgment : 0;
      return this.#frame(GUEST_ISN + sequence, number, flags, window, new Uint8Array(0), data);
    };
  }

  /** A segment with numbers as they stand, for a connection that is not there. */
  stray(flags: number, sequence: number, acknowledgment: number, data = ""): Uint8Array {
    return this.#frame(sequence, acknowledgment, flags, WINDOW, new Uint8Array(0), data);
  }

  ack(sequence = 1, acknowledgment = 1, window: number = WINDOW): FrameToSend {
    return this.segment({ flags: TcpFlag.ack, sequence, acknowledgment, window });
  }

  data(data: string, sequence = 1, acknowledgment = 1): FrameToSend {
    return this.segment({ flags: TcpFlag.ack | TcpFlag.psh, sequence, acknowledgment, data });
  }

  fin(sequence = 1, acknowledgment = 1): FrameToSend {
    return this.segment({ flags: TcpFlag.ack | TcpFlag.fin, sequence, acknowledgment });
  }

  reset(sequence = 1): FrameToSend {
    return this.segment({ flags: TcpFlag.rst, sequence });
  }

  /** The answer to the daemon's SYN where nobody listens. */
  refusal(): FrameToSend {
    return this.segment({ flags: TcpFlag.rst | TcpFlag.ack, sequence: -GUEST_ISN });
  }

  #frame(
    sequence: number,
    acknowledgment: number,
    flags: number,
    window: number,
    options: Uint8Array,
    data: string,
  ): Uint8Array {
    return packet(this.#way, IpProtocol.tcp, Tcp.checksum, (view, at) => {
      const headerBytes = Tcp.headerBytes + options.length;
      const [from, to] = [this.#guestPort, this.#daemonPort];
      writeTcp(view, at, from, to, sequence >>> 0, acknowledgment >>> 0, flags, window, headerBytes);
      putBytes(view, at + Tcp.headerBytes, options);
      return putBytes(view, at + headerBytes, new TextEncoder().encode(data));
    });
  }
}
