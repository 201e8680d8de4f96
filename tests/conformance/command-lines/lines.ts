// The command lines that are tried: data, one a line. Each is what a shell would be given, with quotes where an argument needs
// them; {dir} stands for a folder of its own, in which there is nothing but what `files` says.

/** Files that every line finds in its folder. */
export const files: Readonly<Record<string, string>> = { text: "no socket\n" };

const long = (length: number): string => "a".repeat(length);

/** How options are written. */
const writing = `

--
foo
-f extra
--bogus
-fqZ
-4q
-tnone
-t=80
--tcp-ports=none
--tcp-ports
-t
--quiet=yes
--qui
--no-d
--dns
--map
--socket-path {dir}/other
--host myname
-h
--version
--bogus --help
--help --bogus
-t bad --help
-m bad --version
--print-capabilities
--vhost-user
-1 -1
-4 -6
--netns foo
-T 80
`;

/** Log, files and statistics. */
const output = `
-d
-d -q
-q --trace
-e
-l {dir}/log
-l /nonexistent/log
--log-size 40960
--log-size 40959
--log-size 1M
--log-size 0xa000
--log-size 4294967296
--stats 1
--stats 0x10
--stats -1
--stats abc
--stats 1.5
--stats ''
-P {dir}/text
-P /nonexistent/pid
-p {dir}/capture
-p /nonexistent/capture
`;

/** The front-end. */
const frontEnd = `
-s ''
-s /nonexistent/socket
-s {dir}/text
-s /tmp/${long(110)}
-F 3
-F 0x3
-F 99
-F abc
-F -1
-F ''
-F 0
-F 2
-F 3 -s {dir}/other
--repair-path none
--repair-path {dir}/r
--migrate-exit
--migrate-no-linger
-c {dir}/conf
--chroot-fallback
`;

/** Whom to become: in a user namespace there is nobody but its root. */
const users = `
--runas 0
--runas root
--runas 1000
--runas 'no such'
--runas ''
--runas :0
--runas -1
--runas nobody:nosuch
`;

/** Addresses. */
const addresses = `
-m 65521
-m 65522
-m 0
-m 67
-m 1279
-m -1
-m abc
-m ''
-m 1500abc
-m 0x500
-m 02734
-m ' 1500'
-m '1500 '
-m +1500
-m 1e3
-m 08
-a 10.0.0.1/24
-a 10.0.0.1/24 -n 24
-a 10.0.0.1/33
-a 10.0.0.1/0
-a 10.0.0.1/
-a 10.0.0.1/0x18
-a 10.0.0.1/+24
-a 10.0.0.1/24/3
-a 2001:db8::9/48
-a 2001:db8::9/129
-a 10.0.0.1 -a 10.0.0.2
-a 0.0.0.0
-a 127.0.0.1
-a 224.0.0.1
-a ::1
-a ::ffff:10.0.0.1
-a ::ffff:10.0.0.1/120
-a fe80::1
-a 169.254.1.1
-a [10.0.0.1]
-a 10.1
-a 010.0.0.1
-n 33
-n 0
-n 255.0.255.0
-n 255.255.255.0
-n 0x18
-n +24
-n ''
-g 10.0.0.1
-g 0.0.0.0
-g 127.0.0.1
-g 224.0.0.1
-g none
-g ::ffff:10.0.0.1
-M 01:00:00:00:00:00
-M 9a-55-9a-55-9a-55
-M 9a:55:9a:55:9a
-M 9:5:9:5:9:5
-M 9A:55:9a:55:9a:55
-M ''
-i uplink
-i nosuch
-i lo
-i ''
`;

/** Ways out of the host. */
const waysOut = `
-o 192.0.2.2
-o 192.0.2.99
-o ::
-o 127.0.0.1
-o x
-o ::ffff:192.0.2.2
--outbound-if4 uplink
--outbound-if4 nosuch
--outbound-if4 lo
--outbound-if4 ''
--outbound-if6 nosuch
-6 --outbound-if4 nosuch
--map-host-loopback none
--map-host-loopback 127.0.0.1
--map-host-loopback 192.0.2.77 --no-map-gw
--map-guest-addr 192.0.2.78
--map-guest-addr 0.0.0.0
--map-guest-addr x
`;

/** Names. */
const names = `
-D none
-D ''
-D 192.0.2.53 -D none
-D 0.0.0.0
-D 127.0.0.1
-D example.org
-D ::ffff:10.0.0.1
-D 192.0.2.1 -D 192.0.2.2 -D 192.0.2.3 -D 192.0.2.4
--dns-forward 192.0.2.53
--dns-forward 127.0.0.1
--dns-forward none
--dns-forward 192.0.2.53 --dns-forward 192.0.2.54
--dns-host 127.0.0.1
--dns-host 0.0.0.0
-S ''
-S a.b -S none
-S a..b
-S 'a b c d e f g'
-S a -S b -S c -S d -S e -S f -S g
-S ${long(64)}.b
-S ${long(256)}
-H name
-H ''
-H ${long(253)}
-H ${long(254)}
-H 'two words'
--fqdn a.b.c
--fqdn ''
--fqdn a..b
--fqdn ${long(64)}.b
--fqdn ${long(254)}
`;

/** Services. */
const services = `
--no-tcp --no-udp --no-icmp --no-ndp --no-ra --no-dhcp --no-dhcpv6 --no-dhcp-dns --no-dhcp-search --no-map-gw
--freebind
-t 2222 --no-tcp
--no-tcp -t none
-u 2222 --no-udp
`;

/** Forwards. */
const forwards = `
-t none
-t none -t 2222
-t 2222 -t none
-t none,2222
-t 2222:22
-t 2222:22 -t 2222:23
-t 2222,2222
-t 2222,2200-2300
-t 192.0.2.2/2222 -t 127.0.0.1/2222
-t 2222 -t 192.0.2.2/2222
-t 0.0.0.0/2222 -t ::/2222
-t 0.0.0.0/2222 -t 192.0.2.2/2222
-t 0.0.0.0/2222 -t 2222
-t %lo/2222
-t %uplink/2222 -t %lo/2222
-t 192.0.2.2%uplink/2222
-t %nosuch/2222
-t %/2222
-t 192.0.2.2%/2222
-t [::1]/2222
-t ::1/2222
-t 2222-2225:3333-3336
-t 2222-2225:3333
-t 2222-2225,~2223
-t 2222,~2222
-t ~1-65535
-t ~
-t all,2222,~1-2221,~2223-65535
-t all:3000
-t all -t 2222
-t 2222,all:10.0.0.5
-t 80
-t 0
-t 65536
-t 10-5
-t ''
-t 2222,
-t 2222:
-t :2222
-t 2222:10.0.0.5/80
-t 192.0.2.2/2222:10.0.0.5/80
-t 192.0.2.2/2222:10.0.0.5
-t 192.0.2.2/2222:10.0.0.5/
-t 192.0.2.2/2222:2001:db8::5/80
-t [::]/2222:[2001:db8::5]/80
-t ::/2222:2001:db8::5
-t 0.0.0.0/2222-2224:10.0.0.5/80
-t 192.0.2.2/2222:0.0.0.0/80
-t 192.0.2.2/2222:127.0.0.1/80
-t 192.0.2.2/2222:224.0.0.1/80
-t auto
-t 192.0.2.99/2222
--freebind -t 192.0.2.99/2222
-t 22:22:22
-t 22/80
-t ' 2222'
-t '2222 '
-t 02222
-t 0x8ae
-t +2222
-t '+2222- 2223: 3333-+3334'
-t -2222
-t 2222-
-t '2222 -2223'
-t 2222 -u 2222
-t fe80::1%lo/2222
-4 -t ::1/2222
-6 -t 127.0.0.1/2222
-t 10.0.0.300/2222
-t localhost/2222
-t 127.0.0.1/none
-t 224.0.0.1/2222
-t ::ffff:127.0.0.1/2222
`;

const parts: readonly string[] = [writing, output, frontEnd, users, addresses, waysOut, names, services, forwards];

export const commandLines: readonly string[] = parts.flatMap((part) => part.split("\n").slice(1, -1));

/** The arguments of a line. */
export function argumentsOf(line: string, folder: string): string[] {
  const words = line.replaceAll("{dir}", folder).match(/(?:'[^']*'|[^\s'])+/g) ?? [];
  return words.map((word) => word.replaceAll("'", ""));
}
