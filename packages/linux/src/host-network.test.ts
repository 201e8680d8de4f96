import { expect, test } from "bun:test";
import { networkInterfaces } from "node:os";
import {
  AddressScope,
  defaultRoute,
  type HostNetwork,
  type HostRoute,
  MAIN_ROUTE_TABLE,
  parseAddress,
  parseInterface,
  parseRoutes,
  RouteType,
  readHostNetwork,
} from "./host-network.ts";
import { NetlinkGroup, NetlinkSocket } from "./netlink.ts";
import { Errno } from "./system-error.ts";
import { openFileCount } from "./testing/open-files.ts";

test("the loopback interface, its addresses and its local route are found", () => {
  const before = openFileCount();
  const network = readHostNetwork();
  expect(openFileCount()).toBe(before);
  const loopback = network.interfaces.find((one) => one.name === "lo");
  expect(loopback).toMatchObject({ index: 1, loopback: true, up: true, mac: new Uint8Array(6) });
  expect(loopback?.mtu).toBeGreaterThan(1500);
  const address = network.addresses.find((one) => one.ipVersion === 4 && one.interfaceIndex === 1);
  expect(address).toMatchObject({ prefixLength: 8, scope: AddressScope.host });
  expect([...(address?.address ?? [])]).toEqual([0, 0, 0xffff, 0x7f000001]);
  const local = network.routes.find((one) => one.type === RouteType.local && one.destination[3] === 0x7f000001);
  expect(local).toMatchObject({ ipVersion: 4, prefixLength: 32, interfaceIndex: 1, gateway: null, table: 255 });
});

test("the addresses are those that the runtime sees", () => {
  const text = (words: Uint32Array): string => [24, 16, 8, 0].map((shift) => (words[3] >>> shift) & 0xff).join(".");
  const ours = readHostNetwork().addresses.filter((one) => one.ipVersion === 4);
  const theirs = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const shown = theirs.filter((one) => one.family === "IPv4").map((one) => one.cidr);
  expect(ours.map((one) => `${text(one.address)}/${one.prefixLength}`)).toEqual(expect.arrayContaining(shown));
});

test("a socket that follows groups has nothing to tell while nothing changes", () => {
  using socket = new NetlinkSocket(NetlinkGroup.link | NetlinkGroup.ipv6Address);
  expect(socket.receive(() => {})).toBe(-Errno.EAGAIN);
});

/** A message body: the fixed part, then (type, data) attributes. */
function body(fixed: number[], ...attributes: [number, number[]][]): DataView {
  const out = [...fixed];
  for (const [type, data] of attributes) {
    out.push((data.length + 4) & 0xff, 0, type & 0xff, type >> 8, ...data);
    while (out.length % 4 !== 0) out.push(0xa5);
  }
  return new DataView(new Uint8Array(out).buffer);
}

test("a route with several next hops is one route for each, an IPv4 route may have an IPv6 gateway", () => {
  const fixed = [2, 0, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0];
  const hop = (index: number, last: number): number[] => [16, 0, 0, 0, index, 0, 0, 0, 8, 0, 5, 0, 10, 0, 0, last];
  const view = body(fixed, [6, [100, 0, 0, 0]], [9, [...hop(3, 1), ...hop(4, 2)]]);
  const routes = parseRoutes(view, 0, view.byteLength);
  expect(routes.map((one) => [one.interfaceIndex, one.gateway?.[3], one.metric])).toEqual([
    [3, 0x0a000001, 100],
    [4, 0x0a000002, 100],
  ]);
  expect([...routes[0].destination]).toEqual([0, 0, 0xffff, 0]);
  const via = body(fixed, [4, [2, 0, 0, 0]], [18, [10, 0, 0xfe, 0x80, ...new Array(13).fill(0), 1]]);
  expect([...(parseRoutes(via, 0, via.byteLength)[0].gateway ?? [])]).toEqual([0xfe800000, 0, 0, 1]);
});

test("messages that are cut, or of another family, give nothing or less, and never read past their end", () => {
  const route = body([2, 0, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0], [5, [10, 0, 0, 1]], [4, [2, 0, 0, 0]]);
  for (let end = 0; end < route.byteLength; end++) {
    const routes = parseRoutes(route, 0, end);
    expect(routes.length).toBe(end < 12 ? 0 : 1);
    if (end < 20 && routes.length > 0) expect(routes[0].gateway).toBeNull();
  }
  const address = body([10, 64, 0x80, 0, 2, 0, 0, 0], [1, new Array(16).fill(0x11)]);
  expect(parseAddress(address, 0, address.byteLength)?.prefixLength).toBe(64);
  expect(parseAddress(address, 0, address.byteLength - 1)).toBeNull();
  address.setUint8(0, 28);
  expect(parseAddress(address, 0, address.byteLength)).toBeNull();
  const link = body(
    [0, 0, 1, 0, 5, 0, 0, 0, 0x41, 0, 0, 0, 0, 0, 0, 0],
    [3, [0x65, 0x30, 0]],
    [4, [0xdc, 5, 0, 0]],
    [1, [1, 2, 3, 4]],
  );
  expect(parseInterface(link, 0, link.byteLength)).toEqual({
    index: 5,
    name: "e0",
    mtu: 1500,
    up: true,
    running: true,
    loopback: false,
    mac: null,
  });
  expect(parseInterface(link, 0, 15)).toBeNull();
});

test("the default route is that of the lowest metric in the main table over an interface that is up", () => {
  const up = { name: "e", mtu: 1500, running: true, loopback: false, mac: null };
  const interfaces = [
    { ...up, index: 1, up: true },
    { ...up, index: 2, up: false },
  ];
  const route = (change: Partial<HostRoute>): HostRoute => ({
    ipVersion: 4,
    destination: new Uint32Array([0, 0, 0xffff, 0]),
    prefixLength: 0,
    gateway: new Uint32Array(4),
    interfaceIndex: 1,
    metric: 100,
    table: MAIN_ROUTE_TABLE,
    type: RouteType.unicast,
    preferredSource: null,
    ...change,
  });
  const wanted = route({ metric: 50 });
  const network: HostNetwork = {
    interfaces,
    addresses: [],
    routes: [
      route({}),
      route({ metric: 50, gateway: null }),
      wanted,
      route({ metric: 1, interfaceIndex: 2 }),
      route({ metric: 1, table: 100 }),
      route({ metric: 1, type: RouteType.unreachable }),
      route({ metric: 1, prefixLength: 8 }),
      route({ metric: 1, ipVersion: 6, interfaceIndex: 9 }),
    ],
  };
  expect(defaultRoute(network, 4)).toBe(wanted);
  expect(defaultRoute(network, 6)).toBeNull();
});
