/** The long names of all options. */
export type OptionName =
  | "vhost-user"
  | "socket"
  | "fd"
  | "one-off"
  | "foreground"
  | "debug"
  | "quiet"
  | "pid"
  | "pcap"
  | "mtu"
  | "address"
  | "netmask"
  | "mac-addr"
  | "guest-mac"
  | "gateway"
  | "dns"
  | "map-host-loopback"
  | "no-map-gw"
  | "tcp-ports"
  | "udp-ports"
  | "ipv4-only"
  | "ipv6-only"
  | "no-peek-offset"
  | "offload"
  | "help"
  | "version";

/** One option of the command line: parser and --help both read this table. */
export interface OptionRow {
  readonly name: OptionName;
  readonly short?: string;
  /** Name of its argument in the help; without it the option takes none. */
  readonly argument?: string;
  /** May be given more than once. */
  readonly repeatable?: boolean;
  readonly help: string;
}

/** Every option, in the order of --help. Names, short forms and meanings are passt's. */
export const OPTIONS: readonly OptionRow[] = [
  { name: "vhost-user", help: "serve a vhost-user front-end (the only mode, and the default)" },
  {
    name: "socket",
    short: "s",
    argument: "PATH",
    help: "UNIX socket to listen on (default: the first free of /tmp/passt_1.socket to /tmp/passt_64.socket)",
  },
  {
    name: "fd",
    short: "F",
    argument: "FD",
    help: "serve the front-end connected to this inherited descriptor; implies --one-off",
  },
  { name: "one-off", short: "1", help: "quit when the first front-end has gone" },
  { name: "foreground", short: "f", help: "do not go to the background" },
  { name: "debug", short: "d", help: "log more" },
  { name: "quiet", short: "q", help: "log errors only" },
  { name: "pid", short: "P", argument: "FILE", help: "write the process id to FILE" },
  { name: "pcap", short: "p", argument: "FILE", help: "capture the guest's traffic, both directions, to FILE" },
  {
    name: "mtu",
    short: "m",
    argument: "BYTES",
    help: "MTU told to the guest, at most 65521; 0: tell none (default: 65520)",
  },
  {
    name: "address",
    short: "a",
    argument: "ADDR[/BITS]",
    repeatable: true,
    help: "the guest's address, one for each of IPv4 and IPv6 (default: the host's)",
  },
  {
    name: "netmask",
    short: "n",
    argument: "MASK",
    help: "the guest's IPv4 netmask, dotted or in bits (default: the host's)",
  },
  { name: "mac-addr", short: "M", argument: "MAC", help: "our own MAC address (default: 9a:55:9a:55:9a:55)" },
  {
    name: "guest-mac",
    argument: "MAC",
    help: "MAC address offered to the guest (default: derived from machine id and socket path)",
  },
  {
    name: "gateway",
    short: "g",
    argument: "ADDR",
    repeatable: true,
    help: "the guest's gateway, one for each of IPv4 and IPv6 (default: the host's)",
  },
  {
    name: "dns",
    short: "D",
    argument: "ADDR",
    repeatable: true,
    help: "name server told to the guest, or none (default: from /etc/resolv.conf)",
  },
  {
    name: "map-host-loopback",
    argument: "ADDR",
    repeatable: true,
    help: "address by which the guest reaches the host's loopback, or none (default: the gateway)",
  },
  { name: "no-map-gw", help: "do not map the gateway's address to the host's loopback" },
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
  { name: "ipv4-only", short: "4", help: "IPv4 only" },
  { name: "ipv6-only", short: "6", help: "IPv6 only" },
  { name: "no-peek-offset", help: "do without SO_PEEK_OFF, as on kernels that lack it" },
  {
    name: "offload",
    argument: "LIST",
    help: "offloads offered to the guest's driver: names separated by commas, all or none (default: all)",
  },
  { name: "help", short: "h", help: "show this and quit" },
  { name: "version", help: "show the version and quit" },
];

const SPEC_HELP = `
SPEC is 'none' or [ADDR[%INTERFACE]/]PORTS, where PORTS is 'all' or a comma-separated list of
  FIRST[-LAST]                    forwarded to the same port of the guest
  FIRST[-LAST]:TO[-TOLAST]        forwarded to other ports of the guest
  ~FIRST[-LAST]                   left out
`;

/** The text of --help. */
export function helpText(program: string): string {
  const lines = OPTIONS.map((row) => {
    const names = `${row.short === undefined ? "    " : `-${row.short}, `}--${row.name}${row.argument === undefined ? "" : ` ${row.argument}`}`;
    const repeat = row.repeatable === true ? " (may be repeated)" : "";
    return names.length > 32
      ? `  ${names}\n${" ".repeat(36)}${row.help}${repeat}`
      : `  ${names.padEnd(34)}${row.help}${repeat}`;
  });
  return `Usage: ${program} [OPTION]...\n\nA network for a virtual machine, over vhost-user, without privileges.\n\n${lines.join("\n")}\n${SPEC_HELP}`;
}
