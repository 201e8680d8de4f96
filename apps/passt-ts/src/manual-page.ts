import { PORT_FORMS, SPEC_FORMS } from "./help-text.ts";
import { OPTION_SECTIONS, type OptionRow, optionForms } from "./option-table.ts";
import { PROGRAM, VERSION_TEXT } from "./version.ts";

const DESCRIPTION: readonly string[] = [
  "gives a virtual machine a network over vhost-user, without root, tap device or kernel module. It reads and writes Ethernet frames in the virtual machine's memory, which has to be shared with it, and turns them into ordinary sockets of the host.",
  "The guest gets the host's addresses, gateway, name servers and search domains by DHCP, DHCPv6 and router advertisements, and they follow the host's while the program runs. The gateway's address leads to the host's loopback. Names and meanings of the options are passt's.",
  "Unless --foreground is given, the program goes to the background once its socket is open.",
];

const EXAMPLES: readonly (readonly [title: string, lines: readonly string[]])[] = [
  [
    "Serve one virtual machine after the other, and lead port 2222 of the host to its port 22:",
    [`${PROGRAM} -s /tmp/vm.socket -t 2222:22`],
  ],
  [
    "A virtual machine that uses it:",
    [
      "qemu-system-x86_64 -m 1G -machine q35,memory-backend=ram \\",
      "  -object memory-backend-memfd,id=ram,size=1G,share=on \\",
      "  -chardev socket,id=net,path=/tmp/vm.socket \\",
      "  -netdev vhost-user,id=net,chardev=net -device virtio-net-pci,netdev=net",
    ],
  ],
  [
    "QEMU from 10.1 on starts the program by itself:",
    [`-netdev passt,id=net,vhost-user=on,path=/usr/bin/${PROGRAM},tcp-ports=2222`],
  ],
];

const EXIT_STATUS: readonly (readonly [code: string, meaning: string])[] = [
  ["0", "It was asked to end, by a signal or by --one-off; or it went to the background."],
  ["1", "It could not start, or not go on: a line on standard error or in the log says why."],
];

const FILES: readonly (readonly [path: string, meaning: string])[] = [
  ["/etc/resolv.conf", "The host's name servers and search domains."],
  ["/etc/machine-id", "What the guest's MAC address is derived from, together with the path of the socket."],
  ["/dev/log", "The system log, when there is no --log-file."],
];

/** The manual page, in the man macros of roff. */
export function manualPage(): string {
  const lines = [
    `.\\" Made from the table of options by "bun run man": do not edit.`,
    `.TH ${escaped(PROGRAM.toUpperCase())} 1 "" "${escaped(VERSION_TEXT)}" "User Commands"`,
    ".SH NAME",
    `${escaped(PROGRAM)} \\- a network for a virtual machine, over vhost-user, without privileges`,
    ".SH SYNOPSIS",
    `.B ${escaped(PROGRAM)}`,
    `.RI [ OPTION ]...`,
    ".SH DESCRIPTION",
    `.B ${escaped(PROGRAM)}`,
    ...DESCRIPTION.flatMap((text, index) => (index === 0 ? [sentence(text)] : [".PP", sentence(text)])),
    ".SH OPTIONS",
    ...OPTION_SECTIONS.flatMap(({ title, rows }) => [`.SS "${escaped(title)}"`, ...rows.flatMap(optionLines)]),
    ".SH PORTS",
    sentence("The argument SPEC of --tcp-ports and --udp-ports is one of"),
    ...tagged(SPEC_FORMS),
    ".PP",
    sentence("where PORTS is a list, separated by commas, of"),
    ...tagged(PORT_FORMS),
    ".PP",
    sentence(
      "Addresses of IPv6 may stand in brackets. A port that is forwarded twice is refused, whether by one address or by all; so is one that cannot be listened at, unless it is part of 'all'. Ports below 1024 may need privileges (see ip_unprivileged_port_start), which the program uses before it gives them up.",
    ),
    ".SH SIGNALS",
    sentence("SIGTERM, SIGINT and SIGQUIT end the program with exit code 0."),
    ".SH EXIT STATUS",
    ...tagged(EXIT_STATUS),
    ".SH FILES",
    ...tagged(FILES),
    ".SH EXAMPLES",
    ...EXAMPLES.flatMap(([title, text]) => [
      ".PP",
      sentence(title),
      ".PP",
      ".RS 4",
      ".EX",
      ...text.map(escaped),
      ".EE",
      ".RE",
    ]),
  ];
  return `${lines.join("\n")}\n`;
}

function optionLines(row: OptionRow): string[] {
  const parts = [row.help];
  if (row.repeatable === true) parts.push("may be repeated");
  const refused = row.refused === undefined ? "" : ` Refused: ${row.refused}.`;
  const more = row.more === undefined ? "" : ` ${row.more}`;
  const text = `${parts.join("; ")}.${refused}${more}`;
  return [".TP", `.B ${escaped(optionForms(row))}`, sentence(text[0].toUpperCase() + text.slice(1))];
}

function tagged(list: readonly (readonly [tag: string, text: string])[]): string[] {
  return list.flatMap(([tag, text]) => [".TP", `.B ${escaped(tag)}`, sentence(text)]);
}

/** Text that no line of which is taken for a request. */
function sentence(text: string): string {
  return escaped(text).replace(/^([.'])/, "\\&$1");
}

/** Text with roff's own characters, and hyphens that stay what they are when copied. */
function escaped(text: string): string {
  return text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replaceAll("'", "\\(aq")
    .replaceAll('"', "\\(dq")
    .replaceAll("~", "\\(ti");
}
