import { DhcpMessageType, DhcpOption, type DhcpOptions, writeDhcpOption } from "@passt-ts/wire/dhcp";

/** What to answer besides a DhcpMessageType. */
export const NO_ANSWER = 0;
export const BOOTP_REPLY: number = -1;
export const INFORM_REPLY: number = -2;

const NO_DATA = new Uint8Array(0);

/** Options that may be so long that they are left out rather than make the reply longer than the client takes. */
const BULKY: readonly number[] = [
  DhcpOption.hostName,
  DhcpOption.clientIdentifier,
  DhcpOption.clientFqdn,
  DhcpOption.domainSearch,
];

/** What a refusal says (RFC 2131 table 3). */
const IN_REFUSALS: readonly number[] = [
  DhcpOption.messageType,
  DhcpOption.serverIdentifier,
  DhcpOption.message,
  DhcpOption.clientIdentifier,
];

/** Writes the options of replies: those that were configured, and those that depend on the request. */
export class DhcpOptionWriter {
  /** Data of the options by code, ascending; the message type's is filled in for each reply. */
  readonly #data: (Uint8Array | null)[] = new Array<Uint8Array | null>(256).fill(null);
  readonly #messageType = new Uint8Array(1);
  /** Bytes of all options that are never left out. */
  #neededBytes = 0;
  /** Bytes of the client identifier that the reply at hand is to repeat; the names give way to it. */
  #identifierBytes = 0;
  /** Codes not to write (again) into the reply at hand. */
  readonly #done = new Uint8Array(256);

  /** Writes `options`, by code, from the next reply on; they are the writer's then. */
  configure(options: ReadonlyMap<number, Uint8Array>): void {
    // The end option, the message type and rapid commit.
    this.#neededBytes = 1 + 3 + 2;
    for (let code = 0; code < 256; code++) {
      const data = options.get(code) ?? null;
      this.#data[code] = data;
      const isNeeded = data !== null && !BULKY.includes(code) && code !== DhcpOption.message;
      if (isNeeded) this.#neededBytes += 2 + data.length;
    }
    this.#data[DhcpOption.messageType] = this.#messageType;
    this.#data[DhcpOption.rapidCommit] = NO_DATA;
  }

  /** Puts the four bytes of `address` into the server identifier that was configured, for the replies from now on. */
  setServerIdentifier(address: number): void {
    const data = this.#data[DhcpOption.serverIdentifier];
    if (data === null) return;
    for (let i = 0; i < data.length; i++) data[i] = address >>> (24 - 8 * i);
  }

  /**
   * Writes the options at `at` of `reply`: those the client asked for in its order, after the message type when it did
   * not ask for that one, then the others in ascending order. All that are set are sent, asked for or not.
   *
   * @param answer a DhcpMessageType, {@link BOOTP_REPLY} or {@link INFORM_REPLY}.
   * @param asked the options of `request`.
   * @param end where the longest message that the client takes ends.
   * @returns the offset behind the options.
   */
  write(
    answer: number,
    isRapid: boolean,
    asked: DhcpOptions,
    request: DataView,
    reply: DataView,
    at: number,
    end: number,
  ): number {
    this.#begin(answer, isRapid, asked);
    const wantedAt = asked.dataAt[DhcpOption.parameterRequest];
    const wanted = asked.length[DhcpOption.parameterRequest];
    if (wantedAt >= 0) {
      let asksForType = false;
      for (let i = 0; i < wanted; i++) {
        if (request.getUint8(wantedAt + i) === DhcpOption.messageType) asksForType = true;
      }
      if (!asksForType) at = this.#writeOption(asked, request, reply, at, DhcpOption.messageType, end);
      for (let i = 0; i < wanted; i++) {
        at = this.#writeOption(asked, request, reply, at, request.getUint8(wantedAt + i), end);
      }
    }
    for (let code = 1; code < 255; code++) at = this.#writeOption(asked, request, reply, at, code, end);
    return at;
  }

  #begin(answer: number, isRapid: boolean, asked: DhcpOptions): void {
    const done = this.#done.fill(0);
    this.#messageType[0] = answer > 0 ? answer : DhcpMessageType.ack;
    if (!isRapid) done[DhcpOption.rapidCommit] = 1;
    if (answer === BOOTP_REPLY) done[DhcpOption.messageType] = 1;
    if (answer === INFORM_REPLY) done[DhcpOption.leaseTime] = 1;
    done[DhcpOption.message] = 1;
    if (answer === DhcpMessageType.nak) {
      done.fill(1);
      for (const code of IN_REFUSALS) done[code] = 0;
    }
    const hasIdentifier = asked.has(DhcpOption.clientIdentifier);
    this.#identifierBytes = hasIdentifier ? 2 + asked.length[DhcpOption.clientIdentifier] : 0;
  }

  #writeOption(asked: DhcpOptions, request: DataView, reply: DataView, at: number, code: number, end: number): number {
    if (this.#done[code] !== 0) return at;
    if (code === DhcpOption.clientIdentifier) return this.#repeatIdentifier(asked, request, reply, at, end);
    const data = this.#data[code];
    if (data === null) return at;
    this.#done[code] = 1;
    const reserved = this.#neededBytes + this.#identifierBytes;
    if (BULKY.includes(code) && at + 2 + data.length + reserved > end) return at;
    return writeDhcpOption(reply, at, code, data);
  }

  /** A client's identifier comes back as it was sent (RFC 6842 section 3). */
  #repeatIdentifier(asked: DhcpOptions, request: DataView, reply: DataView, at: number, end: number): number {
    const bytes = this.#identifierBytes;
    this.#identifierBytes = 0;
    this.#done[DhcpOption.clientIdentifier] = 1;
    if (bytes === 0 || at + bytes + this.#neededBytes > end) return at;
    const from = asked.dataAt[DhcpOption.clientIdentifier] - 2;
    for (let i = 0; i < bytes; i++) reply.setUint8(at + i, request.getUint8(from + i));
    return at + bytes;
  }
}
