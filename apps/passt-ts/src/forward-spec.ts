import { type AddressWords, formatAddress, isIpv4, isMulticastOrBroadcast, parseAddress } from "./address-text.ts";
import { parseDecimal } from "./number-option.ts";
import { UsageError } from "./usage-error.ts";

/** One port of the host that is forwarded to the guest. */
export interface Forward {
  readonly protocol: "tcp" | "udp";
  /** Where to listen; null: any address, IPv4 and IPv6. */
  readonly address: AddressWords | null;
  readonly interfaceName: string | null;
  readonly port: number;
  readonly targetPort: number;
  /** Where behind the guest; null: the guest's own address. */
  readonly targetAddress: AddressWords | null;
  /** Part of 'all' or of an exclude-only list: a port that cannot be bound is passed over. */
  readonly bestEffort: boolean;
}

interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** The ports that the kernel gives to outgoing connections: 'all' leaves them out. */
export type EphemeralRange = PortRange;

/** What one port leads to. */
type Target = Pick<Forward, "targetPort" | "targetAddress" | "bestEffort">;

/** Where a list of ports listens. */
type Binding = Pick<Forward, "address" | "interfaceName">;

/**
 * The forwards that a list of -t or -u arguments asks for, in the order of their ports.
 *
 * Excludes win over includes; a list of excludes only means all ports but these.
 *
 * @throws UsageError for a bad argument or a port forwarded twice.
 */
export function parseForwards(protocol: "tcp" | "udp", texts: readonly string[], ephemeral: EphemeralRange): Forward[] {
  const option = protocol === "tcp" ? "-t" : "-u";
  const byPort = new Map<number, Forward[]>();
  for (const [index, text] of texts.entries()) {
    if (text === "none") {
      if (index > 0) throw new UsageError(`${option}: 'none' contradicts the ports before it`);
      continue;
    }
    for (const forward of parseSpec(protocol, text, option, ephemeral)) {
      const others = byPort.get(forward.port) ?? [];
      const other = others.find((one) => overlaps(one, forward));
      if (other !== undefined) throw conflict(option, forward, other);
      byPort.set(forward.port, [...others, forward]);
    }
  }
  return [...byPort.values()].flat().sort((a, b) => a.port - b.port);
}

/** Whether a connection could reach either: the same address or any, the same interface or any. */
function overlaps(a: Forward, b: Forward): boolean {
  const sameAddress = a.address === null || b.address === null || a.address.every((word, i) => word === b.address?.[i]);
  const sameInterface = a.interfaceName === null || b.interfaceName === null || a.interfaceName === b.interfaceName;
  return sameAddress && sameInterface;
}

function conflict(option: string, forward: Forward, other: Forward): UsageError {
  const [one, two] = [formatForward(other), formatForward(forward)];
  const how = one === two ? one : `${one} and ${two}`;
  return new UsageError(`${option}: port ${forward.port} is forwarded twice: ${how}`);
}

/** A forward as its user could have written it. */
export function formatForward(forward: Forward): string {
  const { address, interfaceName, port, targetPort, targetAddress } = forward;
  const host = address === null ? "" : bracketed(address);
  const device = interfaceName === null ? "" : `%${interfaceName}`;
  const target = targetAddress === null ? "" : `${bracketed(targetAddress)}/`;
  return `${host}${device}${host + device === "" ? "" : "/"}${port}:${target}${targetPort}`;
}

const bracketed = (address: AddressWords): string =>
  isIpv4(address) ? formatAddress(address) : `[${formatAddress(address)}]`;

function parseSpec(protocol: "tcp" | "udp", text: string, option: string, ephemeral: EphemeralRange): Forward[] {
  const { binding, ports } = splitBinding(text, option);
  const excluded = new Set<number>();
  const targets = new Map<number, Target>();
  let all: Target["targetAddress"] | undefined;
  let includes = 0;
  for (const item of ports.split(",")) {
    if (item.startsWith("~")) {
      for (const port of portsOf(parseRange(item.slice(1), option, 0))) excluded.add(port);
    } else if (item === "all" || item.startsWith("all:")) {
      all = item === "all" ? null : parseTargetAddress(item.slice(4), item, binding, option);
    } else {
      includes++;
      addMapping(targets, item, binding, option);
    }
  }
  if (all === undefined && includes === 0) all = null;
  if (all !== undefined) {
    for (let port = 1; port <= 65535; port++) {
      if ((port >= ephemeral.first && port <= ephemeral.last) || targets.has(port)) continue;
      targets.set(port, { targetPort: port, targetAddress: all, bestEffort: true });
    }
  }
  return [...targets]
    .filter(([port]) => !excluded.has(port))
    .map(([port, target]) => ({ protocol, ...binding, port, ...target }));
}

/** What an item of a port list begins with when no address comes before it. */
const ITEM_START = /^(~|all(:|$)|\s*\+?\d+(-\s*\+?\d+)?([:,]|$))/;

function splitBinding(text: string, option: string): { binding: Binding; ports: string } {
  const slash = text.indexOf("/");
  const head = text.slice(0, Math.max(slash, 0));
  if (slash < 0 || (ITEM_START.test(head) && !isAddress(head)))
    return { binding: { address: null, interfaceName: null }, ports: text };
  const [host, interfaceName, ...rest] = head.split("%");
  if (rest.length > 0 || interfaceName === "")
    throw new UsageError(`${option}: '${text}' names no interface behind '%'`);
  const address = host === "" ? null : parseAddress(host, option);
  return { binding: { address, interfaceName: interfaceName ?? null }, ports: text.slice(slash + 1) };
}

function isAddress(text: string): boolean {
  try {
    parseAddress(text.split("%")[0], "");
    return true;
  } catch (error) {
    if (error instanceof UsageError) return false;
    throw error;
  }
}

function addMapping(targets: Map<number, Target>, item: string, binding: Binding, option: string): void {
  const colon = item.indexOf(":");
  const source = parseRange(colon < 0 ? item : item.slice(0, colon), option, 1);
  const to = colon < 0 ? null : parseTarget(item.slice(colon + 1), item, binding, option);
  const target = to?.ports ?? source;
  if (target.last - target.first !== source.last - source.first)
    throw new UsageError(`${option}: '${item}' maps ranges of different width`);
  for (const port of portsOf(source)) {
    if (targets.has(port)) throw new UsageError(`${option}: port ${port} is forwarded twice`);
    const targetPort = target.first + port - source.first;
    targets.set(port, { targetPort, targetAddress: to?.address ?? null, bestEffort: false });
  }
}

function parseTarget(
  text: string,
  item: string,
  binding: Binding,
  option: string,
): { address: AddressWords | null; ports: PortRange | null } {
  if (/^[\s+\d-]*$/.test(text)) return { address: null, ports: parseRange(text, option, 1) };
  const slash = text.lastIndexOf("/");
  const host = slash < 0 ? text : text.slice(0, slash);
  const address = parseTargetAddress(host, item, binding, option);
  return { address, ports: slash < 0 ? null : parseRange(text.slice(slash + 1), option, 1) };
}

/** The address that a forward leads to; null for the unspecified one, which is the guest's own. */
function parseTargetAddress(text: string, item: string, binding: Binding, option: string): AddressWords | null {
  const address = parseAddress(text, option);
  if (binding.address === null) {
    const any = isIpv4(address) ? "0.0.0.0" : "[::]";
    throw new UsageError(`${option}: '${item}' needs an address to listen at, as in '${any}/${item}'`);
  }
  if (isIpv4(address) !== isIpv4(binding.address))
    throw new UsageError(`${option}: '${item}' leads to another family than the address it listens at`);
  if (isMulticastOrBroadcast(address))
    throw new UsageError(`${option}: '${item}' leads to an address that nobody alone has`);
  const isUnspecified = address[3] === 0 && address[0] === 0 && address[1] === 0;
  return isUnspecified ? null : address;
}

function parseRange(text: string, option: string, min: 0 | 1): PortRange {
  const [from, to, ...rest] = text.split("-");
  const first = parseDecimal(from);
  const last = to === undefined ? first : parseDecimal(to);
  if (Number.isNaN(first + last) || rest.length > 0)
    throw new UsageError(`${option}: '${text}' is not a port or a range of ports`);
  if (first < min || last > 65535) throw new UsageError(`${option}: '${text}': ports go from 1 to 65535`);
  if (first > last) throw new UsageError(`${option}: '${text}' ends before it begins`);
  return { first, last };
}

function* portsOf(range: PortRange): Generator<number> {
  for (let port = range.first; port <= range.last; port++) yield port;
}
