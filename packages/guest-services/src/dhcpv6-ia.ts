/**
 * Identity associations of DHCPv6 (RFC 8415 sections 21.4 to 21.6). The guest writes those of a request; at most
 * {@link IAS_MAX} are answered and {@link WITHDRAWN_MAX} addresses taken back, so that a reply has a bound.
 */
import {
  Dhcpv6Ia,
  Dhcpv6IaAddress,
  Dhcpv6Option,
  Dhcpv6OptionHeader,
  Dhcpv6Status,
  dhcpv6OptionLength,
  nextDhcpv6Option,
  writeDhcpv6IaAddress,
  writeDhcpv6OptionHeader,
  writeDhcpv6Status,
} from "@passt-ts/wire/dhcpv6";
import { isIpv6Address, readIpv6Address } from "@passt-ts/wire/ip-address";

/** What a request wants done with its identity associations. */
export const IaMode = {
  none: 0,
  /** SOLICIT: the address is offered whatever the client hints at. */
  offer: 1,
  /** REQUEST: the address is assigned, another one is refused. */
  assign: 2,
  /** RENEW, REBIND: another address is taken back, the right one comes with it. */
  extend: 3,
  /** RELEASE, DECLINE: only associations that have no binding get an answer. */
  end: 4,
} as const;

const IAS_MAX = 4;
const WITHDRAWN_MAX = 4;

/** A time that never ends (RFC 8415 section 7.7). */
export const LIFETIME_INFINITE = 0xffff_ffff;

/** Which part of the lease goes by before the client renews and rebinds (RFC 8415 section 21.4). */
const RENEW_PART = 0.5;
const REBIND_PART = 0.8;

const NOT_ON_LINK_TEXT = asciiOf("address not on this link");
const NO_ADDRESS_TEXT = asciiOf("no further address here");
const NO_PREFIX_TEXT = asciiOf("no prefix to delegate");
const NO_BINDING_TEXT = asciiOf("nothing leased here");

/** Writes the identity associations of replies; only the first for an address gets the one there is. */
export class IaWriter {
  /** Seconds that the address is leased for; all ones is forever. */
  leaseSeconds: number = LIFETIME_INFINITE;
  /** Whether what was written last gives the address. */
  hasGiven = false;
  #assigned = false;
  #withdrawn = 0;
  readonly #other = new Uint32Array(4);

  /**
   * Writes at `at` of `reply` an answer to every identity association among the options from `from` to `end`, which
   * were checked; returns the offset behind them, at most 400 bytes further.
   *
   * @param mode a value of {@link IaMode}.
   * @param address the address there is, four words.
   */
  write(
    mode: number,
    request: DataView,
    from: number,
    end: number,
    reply: DataView,
    at: number,
    address: Uint32Array,
  ): number {
    this.hasGiven = false;
    this.#assigned = false;
    this.#withdrawn = 0;
    let left = IAS_MAX;
    for (let option = from; option < end && left > 0; option = nextDhcpv6Option(request, option)) {
      const optionsAt = iaOptionsAt(request, option);
      if (optionsAt < 0) continue;
      if (mode === IaMode.end && this.#isBound(request, option, optionsAt, address)) continue;
      left--;
      at = this.#writeIa(mode, request, option, optionsAt, reply, at, address);
    }
    return at;
  }

  #writeIa(
    mode: number,
    request: DataView,
    option: number,
    optionsAt: number,
    reply: DataView,
    at: number,
    address: Uint32Array,
  ): number {
    const code = request.getUint16(option);
    const isTemporary = code === Dhcpv6Option.iaTemporary;
    const dataAt = writeDhcpv6OptionHeader(reply, at, code, 0);
    reply.setUint32(dataAt, request.getUint32(option + Dhcpv6OptionHeader.headerBytes));
    let to = dataAt + (isTemporary ? Dhcpv6Ia.temporaryOptions : Dhcpv6Ia.options);
    const isFirst = code === Dhcpv6Option.iaNonTemporary && !this.#assigned && mode !== IaMode.end;
    const isWrong = isFirst && mode === IaMode.assign && hasOther(request, option, optionsAt, address);
    const seconds = isFirst && !isWrong ? this.leaseSeconds : 0;
    if (!isTemporary) {
      reply.setUint32(dataAt + Dhcpv6Ia.renewSeconds, partOf(seconds, RENEW_PART));
      reply.setUint32(dataAt + Dhcpv6Ia.rebindSeconds, partOf(seconds, REBIND_PART));
    }
    if (mode === IaMode.end) {
      to = writeDhcpv6Status(reply, to, Dhcpv6Status.noBinding, NO_BINDING_TEXT);
    } else if (code === Dhcpv6Option.iaPrefixDelegation) {
      to = writeDhcpv6Status(reply, to, Dhcpv6Status.noPrefixAvailable, NO_PREFIX_TEXT);
    } else if (!isFirst) {
      to = writeDhcpv6Status(reply, to, Dhcpv6Status.noAddressesAvailable, NO_ADDRESS_TEXT);
    } else if (isWrong) {
      this.#assigned = true;
      to = writeDhcpv6Status(reply, to, Dhcpv6Status.notOnLink, NOT_ON_LINK_TEXT);
    } else {
      this.#assigned = true;
      this.hasGiven = true;
      if (mode === IaMode.extend) to = this.#withdraw(request, option, optionsAt, reply, to, address);
      to = writeDhcpv6IaAddress(reply, to, address, 0, this.leaseSeconds, this.leaseSeconds);
    }
    writeDhcpv6OptionHeader(reply, at, code, to - dataAt);
    return to;
  }

  /** Whether the association is the one that has the address, as far as one can know who keeps no leases. */
  #isBound(request: DataView, option: number, optionsAt: number, address: Uint32Array): boolean {
    if (request.getUint16(option) !== Dhcpv6Option.iaNonTemporary || this.#assigned) return false;
    if (hasOther(request, option, optionsAt, address)) return false;
    this.#assigned = true;
    return true;
  }

  /** Gives back with lifetimes 0 every address of the association but the one there is (RFC 8415 section 18.3.4). */
  #withdraw(
    request: DataView,
    option: number,
    optionsAt: number,
    reply: DataView,
    to: number,
    address: Uint32Array,
  ): number {
    const end = nextDhcpv6Option(request, option);
    for (let at = findIaAddress(request, optionsAt, end); at >= 0; at = findIaAddressAfter(request, at, end)) {
      const addressAt = at + Dhcpv6OptionHeader.headerBytes + Dhcpv6IaAddress.address;
      if (isIpv6Address(request, addressAt, address, 0) || this.#withdrawn === WITHDRAWN_MAX) continue;
      this.#withdrawn++;
      readIpv6Address(request, addressAt, this.#other, 0);
      to = writeDhcpv6IaAddress(reply, to, this.#other, 0, 0, 0);
    }
    return to;
  }
}

/**
 * What to say to a CONFIRM (RFC 8415 section 18.3.3): success when every address in the associations among the options
 * from `from` to `end`, which were checked, has the 64-bit prefix of `address`, not-on-link when one has not, and -1,
 * no answer, when there is none.
 */
export function confirmStatus(request: DataView, from: number, end: number, address: Uint32Array): number {
  let status = -1;
  for (let option = from; option < end; option = nextDhcpv6Option(request, option)) {
    const optionsAt = iaOptionsAt(request, option);
    if (optionsAt < 0 || request.getUint16(option) === Dhcpv6Option.iaPrefixDelegation) continue;
    const iaEnd = nextDhcpv6Option(request, option);
    for (let at = findIaAddress(request, optionsAt, iaEnd); at >= 0; at = findIaAddressAfter(request, at, iaEnd)) {
      const addressAt = at + Dhcpv6OptionHeader.headerBytes + Dhcpv6IaAddress.address;
      const isOnLink = request.getUint32(addressAt) === address[0] && request.getUint32(addressAt + 4) === address[1];
      if (!isOnLink) return Dhcpv6Status.notOnLink;
      status = Dhcpv6Status.success;
    }
  }
  return status;
}

/** Whether an association asks for an address that is not `address`. */
function hasOther(request: DataView, option: number, optionsAt: number, address: Uint32Array): boolean {
  const end = nextDhcpv6Option(request, option);
  for (let at = findIaAddress(request, optionsAt, end); at >= 0; at = findIaAddressAfter(request, at, end)) {
    const addressAt = at + Dhcpv6OptionHeader.headerBytes + Dhcpv6IaAddress.address;
    if (!isIpv6Address(request, addressAt, address, 0)) return true;
  }
  return false;
}

/** Where the options in the identity association at `option` begin, or -1 when it is none or too short. */
function iaOptionsAt(request: DataView, option: number): number {
  const code = request.getUint16(option);
  const dataBytes = dhcpv6OptionLength(request, option);
  const isFull = code === Dhcpv6Option.iaNonTemporary || code === Dhcpv6Option.iaPrefixDelegation;
  if (!isFull && code !== Dhcpv6Option.iaTemporary) return -1;
  const headBytes = isFull ? Dhcpv6Ia.options : Dhcpv6Ia.temporaryOptions;
  return dataBytes >= headBytes ? option + Dhcpv6OptionHeader.headerBytes + headBytes : -1;
}

/** The first whole IA address option from `at` on, or -1; the options in an association were not checked before. */
function findIaAddress(request: DataView, at: number, end: number): number {
  while (end - at >= Dhcpv6OptionHeader.headerBytes) {
    const next = nextDhcpv6Option(request, at);
    if (next > end) return -1;
    const isAddress = request.getUint16(at) === Dhcpv6Option.iaAddress;
    if (isAddress && dhcpv6OptionLength(request, at) >= Dhcpv6IaAddress.dataBytes) return at;
    at = next;
  }
  return -1;
}

function findIaAddressAfter(request: DataView, at: number, end: number): number {
  return findIaAddress(request, nextDhcpv6Option(request, at), end);
}

function partOf(seconds: number, part: number): number {
  return seconds === LIFETIME_INFINITE ? LIFETIME_INFINITE : Math.floor(seconds * part);
}

function asciiOf(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}
