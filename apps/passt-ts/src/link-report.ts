import type { FamilyConfiguration, LinkConfiguration } from "@passt-ts/backend-sockets/link-configuration";
import { formatAddress, formatMac } from "./address-text.ts";
import type { Configuration } from "./configuration.ts";
import { forwardLines } from "./forward-report.ts";
import type { HostNetwork } from "./host-network.ts";

/** The guest's link in one line: for each family its address, router and name servers. */
export function describeLink(link: LinkConfiguration): string {
  return familyTexts(link).join("; ");
}

function familyTexts({ ipv4, ipv6, switches }: LinkConfiguration): string[] {
  const namesServers = switches?.nameServers !== false;
  return [
    ...(ipv4 === null ? [] : [familyText("IPv4", ipv4, namesServers)]),
    ...(ipv6 === null ? [] : [familyText("IPv6", ipv6, namesServers)]),
  ];
}

function familyText(name: string, family: FamilyConfiguration, namesServers: boolean): string {
  const { guestAddress, prefixLength, gateway } = family;
  const nameServers = namesServers ? family.nameServers : [];
  const address = guestAddress === null ? "no address" : `${formatAddress(guestAddress)}/${prefixLength}`;
  const via = gateway === null ? "" : ` via ${formatAddress(gateway)}`;
  const servers = nameServers.length === 0 ? "" : `, name servers ${nameServers.map(formatAddress).join(" ")}`;
  return `${name} ${address}${via}${servers}`;
}

/** What a guest can notice of a family, each with its name. */
const SHOWN: readonly (readonly [name: string, of: (family: FamilyConfiguration) => unknown])[] = [
  ["address", ({ guestAddress, prefixLength }) => [guestAddress, prefixLength]],
  ["router", ({ gateway }) => gateway],
  ["way out", ({ isDefaultRouter }) => isDefaultRouter !== false],
  ["name servers", ({ nameServers }) => nameServers],
  ["address of the host's loopback", ({ loopback }) => loopback],
  ["address of the host's resolver", ({ dnsForward }) => dnsForward ?? null],
];

/** What differs between two links as far as a guest can notice it: "IPv4 router", "search domains" ... */
export function differencesOf(before: LinkConfiguration, after: LinkConfiguration): string[] {
  const differences: string[] = [];
  for (const [name, family] of [
    ["IPv4", "ipv4"],
    ["IPv6", "ipv6"],
  ] as const) {
    const [old, next] = [before[family], after[family]];
    if (old === null || next === null) continue;
    for (const [what, of] of SHOWN) if (!Bun.deepEquals(of(old), of(next))) differences.push(`${name} ${what}`);
  }
  if (!Bun.deepEquals(before.ourLinkLocal, after.ourLinkLocal)) differences.push("our link-local address");
  if (!Bun.deepEquals(before.searchDomains, after.searchDomains)) differences.push("search domains");
  return differences;
}

/** What the log says of a guest on sockets before there is one: what it is told, and what leads where. */
export function startLines(configuration: Configuration, network: HostNetwork): string[] {
  const { ourMac, guestMac, mtu, searchDomains, switches, forwards } = configuration;
  const namesDomains = searchDomains.length > 0 && switches?.searchDomains !== false;
  return [
    ...templateLines(configuration, network),
    `MAC addresses: ours ${formatMac(ourMac)}, offered to the guest ${formatMac(guestMac)}; MTU ${mtu === 0 ? "not told" : mtu}`,
    ...familyTexts(configuration),
    ...(namesDomains ? [`search domains: ${searchDomains.join(" ")}`] : []),
    ...loopbackLines(configuration),
    ...forwardLines(forwards),
  ];
}

/** What the log says of a guest on a tap: there is nothing else that it has from us. */
export function tapStartLines({ guestMac, mtu }: Configuration, interfaceName: string): string[] {
  const told = mtu === 0 ? "not told" : mtu;
  return [
    `frames go to and come from ${interfaceName}`,
    `MAC address offered to the guest ${formatMac(guestMac)}; MTU ${told}`,
  ];
}

/** What a user may wonder about, as the guest gets less than expected. */
export function linkWarnings({ ipv4, switches }: LinkConfiguration): string[] {
  if (ipv4 === null || ipv4.gateway !== null || switches?.dhcp === false) return [];
  return ["the host's IPv4 default route names no gateway, so that there is no DHCP: -g gives the guest one"];
}

/**
 * The warning of a guest that was given no address and gets none of the host's, or null.
 *
 * @param isGiven whether an option gives the guest an address.
 */
export function localModeWarning({ ipv4, ipv6 }: Configuration, network: HostNetwork, isGiven: boolean): string | null {
  const isTemplate = (ipv4 !== null && network.ipv4 !== null) || (ipv6 !== null && network.ipv6 !== null);
  return isTemplate || isGiven ? null : "the host has no interface with an address and a route: local mode";
}

function templateLines({ ipv4, ipv6 }: Configuration, network: HostNetwork): string[] {
  const names = [
    ...(ipv4 === null ? [] : [[network.ipv4?.interfaceName ?? "none", "IPv4"]]),
    ...(ipv6 === null ? [] : [[network.ipv6?.interfaceName ?? "none", "IPv6"]]),
  ];
  const isOne = names.every(([name]) => name === names[0][0]);
  const text = isOne ? names[0][0] : names.map(([name, family]) => `${name} (${family})`).join(", ");
  return [`template interface: ${text}`];
}

function loopbackLines({ ipv4, ipv6 }: Configuration): string[] {
  const families = [ipv4, ipv6].filter((family) => family !== null);
  const line = (what: string, of: (family: FamilyConfiguration) => Uint32Array | null | undefined): string[] => {
    const addresses = families.map(of).filter((address) => address !== null && address !== undefined);
    return addresses.length === 0 ? [] : [`${what} is for the guest at ${addresses.map(formatAddress).join(" and ")}`];
  };
  const none = families.every(({ loopback }) => loopback === null);
  return [
    ...(none
      ? ["the host's loopback is out of the guest's reach"]
      : line("the host's loopback", (one) => one.loopback)),
    ...line("the host's own address", (one) => one.mapGuestAddress),
    ...line("the host's resolver", (one) => one.dnsForward),
  ];
}
