/** What the host's network looks like: interfaces, addresses and routes of this network namespace. */
import { NetlinkMessage, NetlinkSocket, visitAttributes } from "./netlink.ts";
import { AF_INET, AF_INET6 } from "./socket-constants.ts";

/** One network interface. */
export interface HostInterface {
  readonly index: number;
  readonly name: string;
  readonly mtu: number;
  /** Administratively up. */
  readonly up: boolean;
  /** Has a carrier. */
  readonly running: boolean;
  readonly loopback: boolean;
  /** 6 bytes; null for an interface without an Ethernet address. */
  readonly mac: Uint8Array | null;
}

/** Address scopes (rtnetlink(7)). */
export const AddressScope = { universe: 0, site: 200, link: 253, host: 254 } as const;

/** Address flags used here (IFA_F_*); a bit set. */
export const AddressFlag = {
  temporary: 0x1,
  duplicate: 0x8,
  deprecated: 0x20,
  tentative: 0x40,
  permanent: 0x80,
} as const;

/** One address of an interface. */
export interface HostAddress {
  readonly ipVersion: 4 | 6;
  /** Four words, IPv4 as IPv4-mapped. */
  readonly address: Uint32Array;
  /** Of the IPv4 or IPv6 address: 0-32 or 0-128. */
  readonly prefixLength: number;
  /** A number of {@link AddressScope}. */
  readonly scope: number;
  readonly interfaceIndex: number;
  /** Bits of {@link AddressFlag}. */
  readonly flags: number;
}

/** Route types used here (RTN_*). */
export const RouteType = {
  unicast: 1,
  local: 2,
  broadcast: 3,
  anycast: 4,
  multicast: 5,
  blackhole: 6,
  unreachable: 7,
} as const;

/** The routing table that is used where no rule says otherwise (RT_TABLE_MAIN). */
export const MAIN_ROUTE_TABLE = 254;

/** One route; one for each next hop when it has several. */
export interface HostRoute {
  readonly ipVersion: 4 | 6;
  /** Four words; all of the address zero (IPv4 as IPv4-mapped) for a default route. */
  readonly destination: Uint32Array;
  /** 0 for a default route. */
  readonly prefixLength: number;
  /** Four words, of IPv6 also for an IPv4 route through an IPv6 gateway; null on the link itself. */
  readonly gateway: Uint32Array | null;
  /** 0 when the route has no interface. */
  readonly interfaceIndex: number;
  /** Lower is preferred. */
  readonly metric: number;
  readonly table: number;
  /** A number of {@link RouteType}. */
  readonly type: number;
  /** The source address that it prefers. */
  readonly preferredSource: Uint32Array | null;
}

/** The host's network at one moment. */
export interface HostNetwork {
  readonly interfaces: HostInterface[];
  readonly addresses: HostAddress[];
  readonly routes: HostRoute[];
}

/** Reads interfaces, addresses and routes. @throws SystemError */
export function readHostNetwork(): HostNetwork {
  using socket = new NetlinkSocket();
  const interfaces: HostInterface[] = [];
  const addresses: HostAddress[] = [];
  const routes: HostRoute[] = [];
  socket.dump(
    NetlinkMessage.getLink,
    0,
    () => interfaces.splice(0),
    (type, view, at, end) => {
      if (type === NetlinkMessage.newLink) pushIfSome(interfaces, parseInterface(view, at, end));
    },
  );
  socket.dump(
    NetlinkMessage.getAddress,
    0,
    () => addresses.splice(0),
    (type, view, at, end) => {
      if (type === NetlinkMessage.newAddress) pushIfSome(addresses, parseAddress(view, at, end));
    },
  );
  socket.dump(
    NetlinkMessage.getRoute,
    0,
    () => routes.splice(0),
    (type, view, at, end) => {
      if (type === NetlinkMessage.newRoute) routes.push(...parseRoutes(view, at, end));
    },
  );
  return { interfaces, addresses, routes };
}

/**
 * The default route of the main table with the lowest metric over an interface that is up and no loopback, or null.
 *
 * Of equal ones the first; one with a gateway comes before one without.
 */
export function defaultRoute(network: HostNetwork, ipVersion: 4 | 6): HostRoute | null {
  let best: HostRoute | null = null;
  for (const route of network.routes) {
    if (route.ipVersion !== ipVersion || route.prefixLength !== 0) continue;
    if (route.table !== MAIN_ROUTE_TABLE || route.type !== RouteType.unicast) continue;
    const via = network.interfaces.find((one) => one.index === route.interfaceIndex);
    if (via === undefined || !via.up || via.loopback) continue;
    if (best === null || rank(route) < rank(best)) best = route;
  }
  return best;
}

function rank(route: HostRoute): number {
  return route.metric * 2 + (route.gateway === null ? 1 : 0);
}

function pushIfSome<T>(list: T[], value: T | null): void {
  if (value !== null) list.push(value);
}

const IFF_UP = 0x1;
const IFF_LOOPBACK = 0x8;
const IFF_RUNNING = 0x40;
const IFLA_ADDRESS = 1;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
/** struct ifinfomsg */
const LINK = { index: 4, flags: 8, size: 16 } as const;

/** Parses the body of a newLink or deleteLink message; null when it is too short. */
export function parseInterface(view: DataView, at: number, end: number): HostInterface | null {
  if (end - at < LINK.size) return null;
  const flags = view.getUint32(at + LINK.flags, true);
  let name = "";
  let mtu = 0;
  let mac: Uint8Array | null = null;
  visitAttributes(view, at + LINK.size, end, (type, dataAt, length) => {
    if (type === IFLA_IFNAME && length > 0) name = new TextDecoder().decode(bytesAt(view, dataAt, length - 1));
    if (type === IFLA_MTU && length >= 4) mtu = view.getUint32(dataAt, true);
    if (type === IFLA_ADDRESS && length === 6) mac = bytesAt(view, dataAt, 6);
  });
  return {
    index: view.getInt32(at + LINK.index, true),
    name,
    mtu,
    up: (flags & IFF_UP) !== 0,
    running: (flags & IFF_RUNNING) !== 0,
    loopback: (flags & IFF_LOOPBACK) !== 0,
    mac,
  };
}

const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_FLAGS = 8;
/** struct ifaddrmsg */
const ADDRESS = { family: 0, prefixLength: 1, flags: 2, scope: 3, index: 4, size: 8 } as const;

/** Parses the body of a newAddress or deleteAddress message; null for another family or when it is too short. */
export function parseAddress(view: DataView, at: number, end: number): HostAddress | null {
  if (end - at < ADDRESS.size) return null;
  const family = view.getUint8(at + ADDRESS.family);
  const ipVersion = ipVersionOf(family);
  if (ipVersion === 0) return null;
  let address: Uint32Array | null = null;
  let local: Uint32Array | null = null;
  let flags = view.getUint8(at + ADDRESS.flags);
  visitAttributes(view, at + ADDRESS.size, end, (type, dataAt, length) => {
    if (type === IFA_ADDRESS) address = wordsAt(view, dataAt, length);
    // On a point-to-point link IFA_ADDRESS is the peer's.
    if (type === IFA_LOCAL) local = wordsAt(view, dataAt, length);
    if (type === IFA_FLAGS && length >= 4) flags = view.getUint32(dataAt, true);
  });
  const own = local ?? address;
  if (own === null) return null;
  return {
    ipVersion,
    address: own,
    prefixLength: view.getUint8(at + ADDRESS.prefixLength),
    scope: view.getUint8(at + ADDRESS.scope),
    interfaceIndex: view.getUint32(at + ADDRESS.index, true),
    flags,
  };
}

const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_PRIORITY = 6;
const RTA_PREFSRC = 7;
const RTA_MULTIPATH = 9;
const RTA_TABLE = 15;
const RTA_VIA = 18;
/** struct rtmsg */
const ROUTE = { family: 0, prefixLength: 1, table: 4, type: 7, size: 12 } as const;
/** struct rtnexthop */
const NEXT_HOP = { length: 0, interfaceIndex: 4, size: 8 } as const;

/** Parses the body of a newRoute or deleteRoute message: one route for each next hop; none for another family. */
export function parseRoutes(view: DataView, at: number, end: number): HostRoute[] {
  if (end - at < ROUTE.size) return [];
  const ipVersion = ipVersionOf(view.getUint8(at + ROUTE.family));
  if (ipVersion === 0) return [];
  let destination: Uint32Array | null = null;
  let gateway: Uint32Array | null = null;
  let preferredSource: Uint32Array | null = null;
  let interfaceIndex = 0;
  let metric = 0;
  let table: number = view.getUint8(at + ROUTE.table);
  const hops: { gateway: Uint32Array | null; interfaceIndex: number }[] = [];
  visitAttributes(view, at + ROUTE.size, end, (type, dataAt, length) => {
    if (type === RTA_DST) destination = wordsAt(view, dataAt, length);
    if (type === RTA_GATEWAY) gateway = wordsAt(view, dataAt, length);
    if (type === RTA_VIA && length > 2) gateway = wordsAt(view, dataAt + 2, length - 2);
    if (type === RTA_PREFSRC) preferredSource = wordsAt(view, dataAt, length);
    if (type === RTA_OIF && length >= 4) interfaceIndex = view.getUint32(dataAt, true);
    if (type === RTA_PRIORITY && length >= 4) metric = view.getUint32(dataAt, true);
    if (type === RTA_TABLE && length >= 4) table = view.getUint32(dataAt, true);
    if (type === RTA_MULTIPATH) hops.push(...parseNextHops(view, dataAt, dataAt + length));
  });
  if (hops.length === 0) hops.push({ gateway, interfaceIndex });
  return hops.map((hop) => ({
    ipVersion,
    destination: destination ?? new Uint32Array([0, 0, ipVersion === 4 ? 0xffff : 0, 0]),
    prefixLength: view.getUint8(at + ROUTE.prefixLength),
    gateway: hop.gateway,
    interfaceIndex: hop.interfaceIndex,
    metric,
    table,
    type: view.getUint8(at + ROUTE.type),
    preferredSource,
  }));
}

/** The table that the route in the body of a message is in, RT_TABLE_*; 0 when the body is too short. */
export function routeTableOf(view: DataView, at: number, end: number): number {
  if (end - at < ROUTE.size) return 0;
  let table: number = view.getUint8(at + ROUTE.table);
  visitAttributes(view, at + ROUTE.size, end, (type, dataAt, length) => {
    if (type === RTA_TABLE && length >= 4) table = view.getUint32(dataAt, true);
  });
  return table;
}

function parseNextHops(
  view: DataView,
  at: number,
  end: number,
): { gateway: Uint32Array | null; interfaceIndex: number }[] {
  const hops: { gateway: Uint32Array | null; interfaceIndex: number }[] = [];
  while (at + NEXT_HOP.size <= end) {
    const size = view.getUint16(at + NEXT_HOP.length, true);
    if (size < NEXT_HOP.size || at + size > end) break;
    let gateway: Uint32Array | null = null;
    visitAttributes(view, at + NEXT_HOP.size, at + size, (type, dataAt, length) => {
      if (type === RTA_GATEWAY) gateway = wordsAt(view, dataAt, length);
      if (type === RTA_VIA && length > 2) gateway = wordsAt(view, dataAt + 2, length - 2);
    });
    hops.push({ gateway, interfaceIndex: view.getUint32(at + NEXT_HOP.interfaceIndex, true) });
    at += (size + 3) & ~3;
  }
  return hops;
}

function ipVersionOf(family: number): 0 | 4 | 6 {
  return family === AF_INET ? 4 : family === AF_INET6 ? 6 : 0;
}

/** Four words of an address of 4 or 16 bytes; null for another length. */
function wordsAt(view: DataView, at: number, length: number): Uint32Array | null {
  if (length === 4) return new Uint32Array([0, 0, 0xffff, view.getUint32(at)]);
  if (length !== 16) return null;
  return new Uint32Array([view.getUint32(at), view.getUint32(at + 4), view.getUint32(at + 8), view.getUint32(at + 12)]);
}

/** A copy of `length` bytes. */
function bytesAt(view: DataView, at: number, length: number): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset + at, length).slice();
}
