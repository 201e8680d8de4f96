import { describe, expect, test } from "bun:test";
import { closeSync, openSync } from "node:fs";
import { backendChoiceOf } from "./backend-option.ts";
import { parseCommandLine } from "./command-line.ts";
import { OPTIONS, type OptionName } from "./option-table.ts";
import { UsageError } from "./usage-error.ts";

const choice = (...args: string[]) => backendChoiceOf(parseCommandLine(args));

test("--backend: sockets unless a tap is named, by its interface or a descriptor; the last one counts", () => {
  expect(choice()).toEqual({ name: "sockets", tap: null });
  expect(choice("--backend", "sockets", "-t", "22", "-4")).toEqual({ name: "sockets", tap: null });
  expect(choice("--backend", "tap:tap0")).toEqual({ name: "tap:tap0", tap: { interfaceName: "tap0" } });
  expect(choice("--backend", "tap:tap0", "--backend", "sockets").tap).toBe(null);
  // A character device is all that a descriptor can be seen to be before it is taken over.
  const fd = openSync("/dev/null", "r");
  expect(choice("--backend", `tap:fd=${fd}`, "-F", `${fd}`, "-s", "/tmp/x").tap).toEqual({ fd });
  closeSync(fd);
});

test.each([
  ["socketsfoo", 'nothing can follow "sockets"'],
  ["socket", 'no back-end is named "socket"'],
  ["", 'no back-end is named ""'],
  ["tap", 'no back-end is named "tap"'],
  ["tap:", "the name of an interface is missing"],
  ["tap:a/b", "not a name that an interface can have"],
  ["tap:fd=x", '"x" is no file descriptor'],
  ["tap:fd=2", "descriptor 2 is a standard stream"],
  ["tap:fd=9999", "descriptor 9999 is not an open tap"],
  ["vmnet:en0", "vmnet is not on Linux"],
  ["netmap:em0", "reserved for a netmap back-end"],
  ["vale:0:1", "reserved for a netmap back-end"],
])("--backend '%s' is refused, in the words of its kind", (name, problem) => {
  expect(() => choice("--backend", name)).toThrow(UsageError);
  expect(() => choice("--backend", name)).toThrow(/^--backend: [^\n]+$/);
  expect(() => choice("--backend", name)).toThrow(problem);
});

test("a descriptor cannot be tap and front-end in one", () => {
  expect(() => choice("-F", "0", "--backend", "tap:fd=5", "-F", "5")).toThrow(
    "--backend, -F: descriptor 5 cannot be both",
  );
});

describe("with a tap", () => {
  const stays: readonly OptionName[] = [
    ...(["vhost-user", "socket", "fd", "one-off", "print-capabilities", "repair-path", "foreground", "runas"] as const),
    ...(["pid", "chroot-fallback", "debug", "trace", "quiet", "stderr", "log-file", "log-size", "stats"] as const),
    ...(["pcap", "offload", "busy-poll", "guest-mac", "mtu", "help", "version"] as const),
  ];
  const known = OPTIONS.filter((row) => row.refused === undefined);

  test.each(known.filter(({ name }) => stays.includes(name)).map(({ name }) => name))("--%s stays", (name) => {
    const row = known.find((one) => one.name === name);
    const option = row?.argument === undefined ? `--${name}` : `--${name}=x`;
    expect(choice("--backend=tap:tap0", option).tap).toEqual({ interfaceName: "tap0" });
  });

  test.each([
    [["-a", "10.0.0.2", "-n24", "-g", "10.0.0.1", "-M", "x", "-i", "eth0", "-4", "-6"], "-a, -n, -g, -M, -i, -4, -6:"],
    [["-o", "10.0.0.1", "--outbound-if4", "x", "--outbound-if6", "x"], "-o, --outbound-if4, --outbound-if6:"],
    [
      ["--map-host-loopback", "none", "--no-map-gw", "--map-guest-addr", "none"],
      "--map-host-loopback, --no-map-gw, --map-guest-addr:",
    ],
    [
      ["-D", "none", "--dns-forward", "x", "--dns-host", "x", "-S", "x", "-H", "x", "--fqdn", "x"],
      "-D, --dns-forward, --dns-host, -S, -H, --fqdn:",
    ],
    [
      ["--no-tcp", "--no-udp", "--no-icmp", "--no-dhcp", "--no-dhcpv6", "--no-ndp", "--no-ra"],
      "--no-tcp, --no-udp, --no-icmp, --no-dhcp, --no-dhcpv6, --no-ndp, --no-ra:",
    ],
    [["--no-dhcp-dns", "--no-dhcp-search"], "--no-dhcp-dns, --no-dhcp-search:"],
    [["-t", "22", "-u", "53", "--freebind"], "-t, -u, --freebind:"],
    [["--no-peek-offset", "-d", "-t", "none"], "-t, --no-peek-offset:"],
  ])("%p is refused, each option by its name", (options, named) => {
    expect(() => choice("--backend", "tap:tap0", ...options)).toThrow(UsageError);
    expect(() => choice("--backend", "tap:tap0", ...options)).toThrow(`${named} not with --backend tap:tap0: `);
    expect(choice("--backend", "sockets", ...options).tap).toBe(null);
  });
});
