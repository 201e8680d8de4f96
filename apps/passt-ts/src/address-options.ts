import { type AddressWords, isIpv4, isUsableUnicast, parseAddress } from "./address-text.ts";
import type { CommandLine } from "./command-line.ts";
import { parseDecimal } from "./number-option.ts";
import type { OptionName } from "./option-table.ts";
import { UsageError } from "./usage-error.ts";

/** An address with the prefix length that came with it. */
export interface GivenAddress {
  readonly address: AddressWords;
  /** Undefined for none, and for 0: nobody's link is everything. */
  readonly prefixLength: number | undefined;
}

/** The address of one family that -a gives the guest; the last one counts. @throws UsageError for any bad -a. */
export function guestAddressOption(line: CommandLine, family: 4 | 6): GivenAddress | undefined {
  const all = line.all("address").map(parseGuestAddress);
  return all.filter(({ address }) => isIpv4(address) === (family === 4)).at(-1);
}

function parseGuestAddress(text: string): GivenAddress {
  const [host, bits, ...rest] = text.split("/");
  const address = parseAddress(host, "-a");
  if (!isUsableUnicast(address)) throw new UsageError(`-a: '${text}' is not an address that a guest can have`);
  if (bits === undefined) return { address, prefixLength: undefined };
  const prefixLength = prefixLengthOf(address, host, parseDecimal(bits));
  if (rest.length > 0 || !(prefixLength >= 0)) throw new UsageError(`-a: '${text}' has no valid prefix length`);
  return { address, prefixLength: prefixLength === 0 ? undefined : prefixLength };
}

/** NaN for one that is too long. An IPv4 address that was written as an IPv6 one has a prefix of such a one, or its own. */
function prefixLengthOf(address: AddressWords, text: string, bits: number): number {
  if (!isIpv4(address)) return bits <= 128 ? bits : Number.NaN;
  const own = text.includes(":") && bits > 96 ? bits - 96 : bits;
  return own <= 32 ? own : Number.NaN;
}

/** Options with one address for each family. */
export interface FamilyAddressOptions {
  readonly line: CommandLine;
  readonly name: OptionName;
  /** How the option is called in a refusal. */
  readonly label: string;
  /** What it must be; unicast that others can reach unless this says otherwise. */
  readonly accepts?: (address: AddressWords) => boolean;
  /** Whether `none` may be given: it takes back what came before it. */
  readonly none?: boolean;
}

/** The address of one family that an option gives: null when it was `none`, undefined when there is none. @throws UsageError */
export function familyAddress(options: FamilyAddressOptions, family: 4 | 6): AddressWords | null | undefined {
  const found = familyAddresses(options, family);
  return found === null ? null : found.at(-1);
}

/** All addresses of one family that an option gives, null when it was `none`. @throws UsageError */
export function familyAddresses(options: FamilyAddressOptions, family: 4 | 6): readonly AddressWords[] | null {
  const { line, name, label, accepts = isUsableUnicast } = options;
  let found: AddressWords[] = [];
  let isNone = false;
  for (const text of line.all(name)) {
    if (text === "none" && options.none === true) {
      found = [];
      isNone = true;
      continue;
    }
    const address = parseAddress(text, label);
    if (!accepts(address)) throw new UsageError(`${label}: '${text}' is not an address that it can be`);
    if (isIpv4(address) === (family === 4)) found.push(address);
  }
  return isNone && found.length === 0 ? null : found;
}
