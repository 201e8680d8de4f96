import type { OptionSection } from "./option-table.ts";

/** Options about the guest's addresses, names and services, and about the ports that lead to it. */
export const ADDRESS_OPTIONS: readonly OptionSection[] = [
  {
    title: "Addresses",
    rows: [
      {
        name: "address",
        short: "a",
        argument: "ADDR[/BITS]",
        repeatable: true,
        help: "the guest's address, one for each of IPv4 and IPv6 (default: the host's)",
        more: "DHCP and DHCPv6 lease it for an hour, so that a guest whose host gets another address, router, name server or search domain hears of it after half an hour at the latest; for good where --address, --gateway (of IPv4), --dns and --search give all of that.",
      },
      {
        name: "netmask",
        short: "n",
        argument: "MASK",
        help: "the guest's IPv4 netmask, dotted or in bits (default: the host's, or that of the address's class)",
      },
      {
        name: "gateway",
        short: "g",
        argument: "ADDR",
        repeatable: true,
        help: "the guest's gateway, one for each of IPv4 and IPv6 (default: the host's)",
      },
      { name: "mac-addr", short: "M", argument: "MAC", help: "our own MAC address (default: 9a:55:9a:55:9a:55)" },
      {
        name: "guest-mac",
        argument: "MAC",
        help: "MAC address offered to the guest (default: derived from machine id and socket path)",
      },
      {
        name: "mtu",
        short: "m",
        argument: "BYTES",
        help: "MTU told to the guest, at most 65521; 0: tell none (default: 65520, with a tap its own)",
      },
      {
        name: "interface",
        short: "i",
        argument: "NAME",
        help: "interface whose addresses and routes the guest is given (default: that of the first default route)",
        more: "Where there is no default route it is that of the first route in the main table. Of several addresses the one with the longest prefix is taken; temporary ones only where there is no other, deprecated ones never.",
      },
      { name: "ipv4-only", short: "4", help: "IPv4 only; of -4 and -6 the last counts" },
      { name: "ipv6-only", short: "6", help: "IPv6 only" },
    ],
  },
  {
    title: "Ways out of the host",
    rows: [
      {
        name: "outbound",
        short: "o",
        argument: "ADDR",
        repeatable: true,
        help: "source address of what leaves the host, one for each of IPv4 and IPv6 (default: by route)",
      },
      { name: "outbound-if4", argument: "NAME", help: "interface by which IPv4 leaves the host (default: by route)" },
      { name: "outbound-if6", argument: "NAME", help: "interface by which IPv6 leaves the host (default: by route)" },
      {
        name: "map-host-loopback",
        argument: "ADDR",
        repeatable: true,
        help: "address by which the guest reaches the host's loopback, or none (default: the gateway)",
      },
      { name: "no-map-gw", help: "do not map the gateway's address to the host's loopback" },
      {
        name: "map-guest-addr",
        argument: "ADDR",
        repeatable: true,
        help: "address by which the guest reaches the host's address that it was given too, or none (default: none)",
      },
    ],
  },
  {
    title: "Names",
    rows: [
      {
        name: "dns",
        short: "D",
        argument: "ADDR",
        repeatable: true,
        help: "name server told to the guest, or none (default: from /etc/resolv.conf)",
        more: "At most three of a family are told. 'none' takes back what was given before it.",
      },
      {
        name: "dns-forward",
        argument: "ADDR",
        repeatable: true,
        help: "address at which the guest finds the host's resolver, on ports 53 and 853 only",
      },
      {
        name: "dns-host",
        argument: "ADDR",
        repeatable: true,
        help: "the host's resolver that --dns-forward leads to (default: the first of /etc/resolv.conf)",
      },
      {
        name: "search",
        short: "S",
        argument: "LIST",
        repeatable: true,
        help: "search domains told to the guest, separated by spaces, or none (default: from /etc/resolv.conf)",
        more: "At most six are told. 'none' takes back what was given before it.",
      },
      { name: "hostname", short: "H", argument: "NAME", help: "host name told to the guest, at most 253 characters" },
      { name: "fqdn", argument: "NAME", help: "fully qualified domain name told to the guest" },
    ],
  },
  {
    title: "Services",
    rows: [
      { name: "no-tcp", help: "carry no TCP" },
      { name: "no-udp", help: "carry no UDP" },
      { name: "no-icmp", help: "carry no pings; implies --no-ndp" },
      { name: "no-dhcp", help: "no DHCP; implied where the guest has no IPv4 gateway" },
      { name: "no-dhcpv6", help: "no DHCPv6" },
      { name: "no-ndp", help: "no neighbor discovery, and no router advertisements" },
      { name: "no-ra", help: "no router advertisements" },
      { name: "no-dhcp-dns", help: "name no DNS servers in DHCP, DHCPv6 and router advertisements" },
      { name: "no-dhcp-search", help: "name no search domains in DHCP, DHCPv6 and router advertisements" },
    ],
  },
  {
    title: "Forwards",
    rows: [
      {
        name: "tcp-ports",
        short: "t",
        argument: "SPEC",
        repeatable: true,
        help: "TCP ports of the host forwarded to the guest (default: none)",
      },
      {
        name: "udp-ports",
        short: "u",
        argument: "SPEC",
        repeatable: true,
        help: "UDP ports of the host forwarded to the guest (default: none)",
      },
      { name: "freebind", help: "let forwards listen at addresses that the host does not have yet" },
    ],
  },
];
