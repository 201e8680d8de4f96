import { type AddressWords, isIpv4, parseAddress } from "./address-text.ts";
import { UsageError } from "./usage-error.ts";

/** One port of the host that is forwarded to the guest. */
export interface Forward {
  readonly protocol: "tcp" | "udp";
  /** Where to listen; null: any address, IPv4 and IPv6. */
  readonly address: AddressWords | null;
  readonly interfaceName: string | null;
  readonly port: number;
  readonly targetPort: number;
  /** Part of 'all' or of an exclude-only list: a port that cannot be bound is passed over. */
  readonly bestEffort: boolean;
}

interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** The ports that the kernel gives to outgoing connections: 'all' leaves them out. */
export type EphemeralRange = PortRange;

/**
 * The forwards that a list of -t or -u arguments asks for, in the order of their ports.
 *
 * Excludes win over includes; a list of excludes only means all ports but these.
 *
 * @throws UsageError for a bad argument or a port forwarded twice.
 */
export function parseForwards(protocol: "tcp" | "udp", texts: readonly string[], ephemeral: EphemeralRange): Forward[] {
  const option = protocol === "tcp" ? "-t" : "-u";
  if (texts.includes("none")) {
    if (texts.length > 1) throw new UsageError(`${option}: 'none' goes with no other ports`);
    return [];
  }
  const forwards = new Map<string, Forward>();
  for (const text of texts) {
    for (const forward of parseSpec(protocol, text, option, ephemeral)) {
      const key = `${forward.address ?? "any"}%${forward.interfaceName ?? ""}/${forward.port}`;
      if (forwards.has(key)) throw new UsageError(`${option}: port ${forward.port} is forwarded twice`);
      forwards.set(key, forward);
    }
  }
  return [...forwards.values()].sort((a, b) => a.port - b.port);
}

function parseSpec(protocol: "tcp" | "udp", text: string, option: string, ephemeral: EphemeralRange): Forward[] {
  const { address, interfaceName, ports } = splitBinding(text, option);
  const excluded = new Set<number>();
  const targets = new Map<number, number>();
  let all = false;
  let includes = 0;
  for (const item of ports.split(",")) {
    if (item.startsWith("~")) {
      for (const port of portsOf(parseRange(item.slice(1), option))) excluded.add(port);
    } else if (item === "all") {
      all = true;
    } else {
      includes++;
      addMapping(targets, item, option);
    }
  }
  const bestEffort = all || includes === 0;
  if (bestEffort) {
    for (let port = 1; port <= 65535; port++) {
      if ((port < ephemeral.first || port > ephemeral.last) && !targets.has(port)) targets.set(port, port);
    }
  }
  return [...targets]
    .filter(([port]) => !excluded.has(port))
    .map(([port, targetPort]) => ({ protocol, address, interfaceName, port, targetPort, bestEffort }));
}

function splitBinding(
  text: string,
  option: string,
): { address: AddressWords | null; interfaceName: string | null; ports: string } {
  const colon = firstTopLevel(text, ":");
  const slash = firstTopLevel(colon < 0 ? text : text.slice(0, colon), "/");
  // A bare IPv6 address has colons of its own: look for the slash that ends it.
  const end =
    slash >= 0 ? slash : text.lastIndexOf("/") > 0 && /^[0-9a-f:]+(%[^/]*)?\//i.test(text) ? text.indexOf("/") : -1;
  if (end < 0) return { address: null, interfaceName: null, ports: text };
  const [host, interfaceName, ...rest] = text.slice(0, end).split("%");
  if (rest.length > 0 || interfaceName === "")
    throw new UsageError(`${option}: '${text}' names no interface behind '%'`);
  const address = host === "" ? null : parseAddress(host, option);
  if (address === null && interfaceName === undefined)
    throw new UsageError(`${option}: '${text}' names no address before '/'`);
  return { address, interfaceName: interfaceName ?? null, ports: text.slice(end + 1) };
}

/** Index of the first `mark` outside brackets, or -1. */
function firstTopLevel(text: string, mark: string): number {
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === "[") depth++;
    else if (text[i] === "]") depth--;
    else if (depth === 0 && text[i] === mark) return i;
  }
  return -1;
}

function addMapping(targets: Map<number, number>, item: string, option: string): void {
  const [from, to, ...rest] = item.split(":");
  if (rest.length > 0 || to?.includes("/") || to?.includes(".")) {
    throw new UsageError(`${option}: '${item}': forwarding to another address than the guest's is not supported yet`);
  }
  const source = parseRange(from, option);
  const target = to === undefined ? source : parseRange(to, option);
  if (target.last - target.first !== source.last - source.first && to?.includes("-")) {
    throw new UsageError(`${option}: '${item}' maps ranges of different width`);
  }
  if (target.first + source.last - source.first > 65535)
    throw new UsageError(`${option}: '${item}' maps beyond port 65535`);
  for (const port of portsOf(source)) {
    if (targets.has(port)) throw new UsageError(`${option}: port ${port} is forwarded twice`);
    targets.set(port, target.first + port - source.first);
  }
}

function parseRange(text: string, option: string): PortRange {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text);
  if (match === null) throw new UsageError(`${option}: '${text}' is not a port or a range of ports`);
  const first = Number(match[1]);
  const last = match[2] === undefined ? first : Number(match[2]);
  if (first < 1 || last > 65535) throw new UsageError(`${option}: '${text}': ports go from 1 to 65535`);
  if (first > last) throw new UsageError(`${option}: '${text}' ends before it begins`);
  return { first, last };
}

function* portsOf(range: PortRange): Generator<number> {
  for (let port = range.first; port <= range.last; port++) yield port;
}

/** Families that a forward listens on, given the families in use. */
export const listensOn = (forward: Forward, family: 4 | 6): boolean =>
  forward.address === null || isIpv4(forward.address) === (family === 4);
