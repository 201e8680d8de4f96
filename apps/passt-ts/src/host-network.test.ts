import { describe, expect, test } from "bun:test";
import {
  AddressFlag,
  AddressScope,
  type HostAddress,
  type HostRoute,
  type HostNetwork as KernelNetwork,
  MAIN_ROUTE_TABLE,
  RouteType,
} from "@passt-ts/linux/host-network";
import { formatAddress, isIpv4, parseAddress } from "./address-text.ts";
import { templateOf } from "./host-network.ts";

function address(text: string, interfaceIndex: number, fields: Partial<HostAddress> = {}): HostAddress {
  const words = parseAddress(text, "");
  const scope = text.startsWith("fe80") ? AddressScope.link : AddressScope.universe;
  const ipVersion = isIpv4(words) ? 4 : 6;
  return { interfaceIndex, ipVersion, address: words, prefixLength: 24, scope, flags: 0, ...fields };
}

function defaultRoute(ipVersion: 4 | 6, interfaceIndex: number, gateway: string | null): HostRoute {
  return {
    ipVersion,
    interfaceIndex,
    destination: parseAddress(ipVersion === 4 ? "0.0.0.0" : "::", ""),
    prefixLength: 0,
    gateway: gateway === null ? null : parseAddress(gateway, ""),
    metric: 0,
    table: MAIN_ROUTE_TABLE,
    type: RouteType.unicast,
    preferredSource: null,
  };
}

/** A host with a loopback interface, 1, and two others, 2 and 3. */
function network(addresses: HostAddress[], routes: HostRoute[]): KernelNetwork {
  const interfaces = [1, 2, 3].map((index) => {
    return { index, name: `if${index}`, mtu: 1500, up: true, running: true, loopback: index === 1, mac: null };
  });
  return { interfaces, addresses, routes };
}

const text = (words: Uint32Array | null | undefined) => (words ? formatAddress(words) : null);

describe("what the daemon takes from the host's network", () => {
  test("nothing where there is no default route", () => {
    expect(templateOf(network([address("192.0.2.2", 2)], []))).toEqual({
      ipv4: null,
      ipv6: null,
      linkLocal: null,
      scopeId: 0,
    });
  });

  test("address, prefix and gateway of the interface with the default route, for each family its own", () => {
    const addresses = [
      address("127.0.0.1", 1, { scope: AddressScope.host }),
      address("198.51.100.9", 3),
      address("192.0.2.2", 2),
      address("fe80::2", 2),
      address("fe80::3", 3),
      address("2001:db8::3", 3, { prefixLength: 64 }),
    ];
    const found = templateOf(network(addresses, [defaultRoute(4, 2, "192.0.2.1"), defaultRoute(6, 3, "fe80::1")]));
    expect([text(found.ipv4?.address), found.ipv4?.prefixLength, text(found.ipv4?.gateway)]).toEqual([
      "192.0.2.2",
      24,
      "192.0.2.1",
    ]);
    expect([text(found.ipv6?.address), text(found.ipv6?.gateway)]).toEqual(["2001:db8::3", "fe80::1"]);
    expect([text(found.linkLocal), found.scopeId]).toEqual(["fe80::3", 3]);
  });

  test("a temporary address only where there is no other, a tentative or duplicate one never", () => {
    const addresses = [
      address("2001:db8::aaaa", 2, { flags: AddressFlag.temporary }),
      address("2001:db8::bad", 2, { flags: AddressFlag.tentative }),
      address("2001:db8::dad", 2, { flags: AddressFlag.duplicate }),
      address("2001:db8::2", 2),
    ];
    const routes = [defaultRoute(6, 2, "fe80::1")];
    expect(text(templateOf(network(addresses, routes)).ipv6?.address)).toBe("2001:db8::2");
    expect(text(templateOf(network(addresses.slice(0, 3), routes)).ipv6?.address)).toBe("2001:db8::aaaa");
    expect(templateOf(network(addresses.slice(1, 3), routes)).ipv6).toBe(null);
  });

  test("a default route without next hop has no gateway", () => {
    const found = templateOf(network([address("192.0.2.2", 2)], [defaultRoute(4, 2, null)]));
    expect([text(found.ipv4?.address), found.ipv4?.gateway]).toEqual(["192.0.2.2", null]);
  });
});
