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
import { parseCommandLine } from "./command-line.ts";
import { templateChoiceOf, templateOf } from "./host-network.ts";

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
      defaultRoutes: [],
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
    expect([text(found.linkLocal), found.scopeId, found.defaultRoutes]).toEqual(["fe80::3", 3, [4, 6]]);
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

  test("a deprecated address never, however new it is: neither beside another one nor alone", () => {
    const addresses = [
      address("2001:db8::dead", 2, { flags: AddressFlag.deprecated | AddressFlag.permanent }),
      address("2001:db8::aaaa", 2, { flags: AddressFlag.temporary }),
      address("2001:db8::bbbb", 2, { flags: AddressFlag.temporary | AddressFlag.deprecated }),
      address("2001:db8::2", 2, { flags: AddressFlag.permanent }),
      address("192.0.2.9", 2, { flags: AddressFlag.deprecated }),
    ];
    const routes = [defaultRoute(6, 2, "fe80::1"), defaultRoute(4, 2, "192.0.2.1")];
    const found = (...kept: number[]) =>
      text(
        templateOf(
          network(
            kept.map((index) => addresses[index]),
            routes,
          ),
        ).ipv6?.address,
      );
    expect([found(0, 1, 2, 3), found(0, 1, 2), found(0, 2)]).toEqual(["2001:db8::2", "2001:db8::aaaa", null]);
    expect(templateOf(network(addresses, routes)).ipv4).toBe(null);
  });

  test("of several addresses the one with the longest prefix, then the first; one of the link only without another", () => {
    const taken = (...addresses: HostAddress[]) =>
      text(templateOf(network(addresses, [defaultRoute(4, 2, "192.0.2.1")])).ipv4?.address);
    const wide = address("192.0.2.9", 2, { prefixLength: 16 });
    const linked = address("169.254.3.2", 2, { prefixLength: 30, scope: AddressScope.link });
    expect(taken(linked, wide, address("192.0.3.2", 2), address("192.0.3.3", 2))).toBe("192.0.3.2");
    expect([taken(linked, wide), taken(linked)]).toEqual(["192.0.2.9", "169.254.3.2"]);
  });

  test("without a default route in the main table the interface of the first route there, whatever else is chosen", () => {
    const route = (index: number, destination: string, fields: Partial<HostRoute> = {}): HostRoute => ({
      ...defaultRoute(isIpv4(parseAddress(destination, "")) ? 4 : 6, index, null),
      destination: parseAddress(destination, ""),
      prefixLength: 24,
      ...fields,
    });
    const addresses = [
      address("192.0.2.2", 2),
      address("198.51.100.9", 3),
      address("2001:db8::2", 2),
      address("2001:db8::3", 3),
    ];
    const found = templateOf(network(addresses, [route(2, "192.0.2.0")]));
    expect([text(found.ipv4?.address), found.ipv4?.gateway, found.defaultRoutes]).toEqual(["192.0.2.2", null, []]);
    const passedOver = [
      route(1, "127.0.0.0"),
      route(0, "192.0.2.0", { type: RouteType.unreachable }),
      { ...defaultRoute(4, 3, "198.51.100.1"), table: 100 },
      route(3, "fe80::"),
    ];
    const several = [...passedOver, route(2, "192.0.2.0"), route(3, "198.51.100.0"), route(2, "2001:db8::")];
    const taken = (...args: string[]) => {
      const { ipv4, ipv6 } = templateOf(network(addresses, several), templateChoiceOf(parseCommandLine(args)));
      return [text(ipv4?.address), text(ipv6?.address)];
    };
    expect(taken()).toEqual(["192.0.2.2", "2001:db8::2"]);
    expect(taken("-g", "192.0.2.9")).toEqual(["192.0.2.2", "2001:db8::2"]);
    expect(taken("--outbound-if4", "if3")).toEqual(["198.51.100.9", "2001:db8::2"]);
    expect(taken("--outbound-if6", "if3")).toEqual(["192.0.2.2", "2001:db8::3"]);
    expect(templateOf(network(addresses, passedOver)).ipv6).toBe(null);
  });

  test("of several default routes the one with the lowest metric", () => {
    const addresses = [address("192.0.2.2", 2), address("198.51.100.9", 3)];
    const routes = [{ ...defaultRoute(4, 2, "192.0.2.1"), metric: 200 }, defaultRoute(4, 3, "198.51.100.1")];
    expect(text(templateOf(network(addresses, routes)).ipv4?.gateway)).toBe("198.51.100.1");
  });

  test("a chosen interface: its address and gateway, for both families or one; an unknown one is refused", () => {
    const addresses = [
      address("192.0.2.2", 2),
      address("2001:db8::2", 2),
      address("198.51.100.9", 3),
      address("fe80::3", 3),
    ];
    const kernel = network(addresses, [
      defaultRoute(4, 2, "192.0.2.1"),
      { ...defaultRoute(4, 3, "198.51.100.1"), metric: 500 },
      defaultRoute(6, 2, "fe80::1"),
    ]);
    const chosen = (...args: string[]) => templateOf(kernel, templateChoiceOf(parseCommandLine(args)));
    const if3 = chosen("-i", "if3");
    expect([text(if3.ipv4?.address), text(if3.ipv4?.gateway), if3.ipv6]).toEqual([
      "198.51.100.9",
      "198.51.100.1",
      null,
    ]);
    expect([text(if3.linkLocal), if3.scopeId]).toEqual(["fe80::3", 3]);
    const outbound = chosen("--outbound-if4", "if3");
    expect([text(outbound.ipv4?.address), text(outbound.ipv6?.address)]).toEqual(["198.51.100.9", "2001:db8::2"]);
    expect(text(chosen("--outbound-if4", "if3", "-i", "if2").ipv4?.address)).toBe("192.0.2.2");
    expect(() => chosen("-i", "nonesuch")).toThrow("--interface: there is no interface 'nonesuch'");
    expect(() => chosen("--outbound-if6", "nonesuch")).toThrow("--outbound-if6: there is no interface 'nonesuch'");
  });

  test.each([null, "fe80::1"])("a default route has no gateway where its next hop is %p", (nextHop) => {
    const found = templateOf(network([address("192.0.2.2", 2)], [defaultRoute(4, 2, nextHop)]));
    expect([text(found.ipv4?.address), found.ipv4?.gateway, found.defaultRoutes]).toEqual(["192.0.2.2", null, [4]]);
  });
});
