import { ADDRESS_OPTIONS } from "./options-address.ts";
import { RUN_OPTIONS } from "./options-run.ts";

/** The long names of all options. */
export type OptionName =
  | "vhost-user"
  | "socket"
  | "fd"
  | "one-off"
  | "print-capabilities"
  | "repair-path"
  | "foreground"
  | "runas"
  | "pid"
  | "chroot-fallback"
  | "debug"
  | "trace"
  | "quiet"
  | "stderr"
  | "log-file"
  | "log-size"
  | "stats"
  | "pcap"
  | "backend"
  | "offload"
  | "busy-poll"
  | "no-peek-offset"
  | "help"
  | "version"
  | "address"
  | "netmask"
  | "gateway"
  | "mac-addr"
  | "guest-mac"
  | "mtu"
  | "interface"
  | "outbound"
  | "outbound-if4"
  | "outbound-if6"
  | "ipv4-only"
  | "ipv6-only"
  | "map-host-loopback"
  | "no-map-gw"
  | "map-guest-addr"
  | "dns"
  | "dns-forward"
  | "dns-host"
  | "search"
  | "hostname"
  | "fqdn"
  | "no-dhcp-dns"
  | "no-dhcp-search"
  | "no-tcp"
  | "no-udp"
  | "no-icmp"
  | "no-dhcp"
  | "no-dhcpv6"
  | "no-ndp"
  | "no-ra"
  | "tcp-ports"
  | "udp-ports"
  | "freebind"
  | "migrate-exit"
  | "migrate-no-linger"
  | "conf-path";

/** One option of the command line: parser, --help, manual page and the test of the README read this table. */
export interface OptionRow {
  readonly name: OptionName;
  readonly short?: string;
  /** A second long name. */
  readonly alias?: string;
  /** Name of its argument in the help; without it the option takes none. */
  readonly argument?: string;
  /** Every value counts; of any other option that takes a value the last one does. */
  readonly repeatable?: boolean;
  readonly help: string;
  /** What the manual page says beyond the help, a sentence or more. */
  readonly more?: string;
  /** It is known and refused: why. */
  readonly refused?: string;
}

/** Options that belong together, under their heading in help and manual page. */
export interface OptionSection {
  readonly title: string;
  readonly rows: readonly OptionRow[];
}

const MIGRATION = "live migration is not supported yet";

/** Every option, in the order of --help. Names, short forms and meanings are passt's; the README lists what differs. */
export const OPTION_SECTIONS: readonly OptionSection[] = [
  ...RUN_OPTIONS,
  ...ADDRESS_OPTIONS,
  {
    title: "Refused, as what they ask for is not supported yet",
    rows: [
      { name: "migrate-exit", help: "end after being the source of a migration", refused: MIGRATION },
      { name: "migrate-no-linger", help: "close sockets after being the source of a migration", refused: MIGRATION },
      {
        name: "conf-path",
        short: "c",
        argument: "PATH",
        help: "socket by which forwards are changed while the program runs",
        refused: "forwards cannot be changed while the program runs yet",
      },
    ],
  },
];

/** Every option. */
export const OPTIONS: readonly OptionRow[] = OPTION_SECTIONS.flatMap((section) => section.rows);

/** The forms of an option as help and manual page show them: `-s, --socket, --socket-path PATH`. */
export function optionForms(row: OptionRow): string {
  const names = [row.short === undefined ? "" : `-${row.short}`, `--${row.name}`, row.alias ? `--${row.alias}` : ""];
  const forms = names.filter((name) => name !== "").join(", ");
  return row.argument === undefined ? forms : `${forms} ${row.argument}`;
}
