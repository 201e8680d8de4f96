import type { Difference } from "../difference.ts";

const serves = "serves";
const warns = "serves, warns";
const refuses = "ends with 1, says why";

const label64 = "a".repeat(64);

/** Lines of which comes something else, all for the same reason. */
const differ = (
  lines: readonly string[],
  [reference, ours]: readonly [string, string],
  reason: Difference["reason"],
  why: string,
): Difference[] =>
  lines.map((frame) => ({ script: "command-lines", frame, field: "outcome", reference, ours, reason, why }));

export const lineDifferences: readonly Difference[] = [
  ...differ(
    ["--print-capabilities"],
    ["ends with 0, says why", "ends with 0, writes"],
    "REF-BUG",
    "the text belongs on standard output (vhost-user.rst, back-end program conventions)",
  ),
  ...differ(
    ["-s {dir}/text"],
    [serves, refuses],
    "REF-BUG",
    "the reference deletes what is at the path, even where that is no socket",
  ),
  ...differ(
    ["-F 0", "-F 2"],
    [serves, refuses],
    "REF-BUG",
    "standard streams are no front-end, and this one is not even a socket",
  ),
  ...differ(
    ["--outbound-if4 nosuch", "--outbound-if6 nosuch"],
    [serves, refuses],
    "REF-BUG",
    "nothing could leave by an interface that is not there; with -6 or -4 the reference refuses it, too",
  ),
  ...differ(
    ["-S a..b", `-S ${label64}.b`, `-S ${"a".repeat(256)}`, "--fqdn a..b", `--fqdn ${label64}.b`],
    [serves, refuses],
    "REF-BUG",
    "no message can carry such a name (RFC 1035 section 3.1)",
  ),
  ...differ(["-H 'two words'"], [serves, refuses], "REF-BUG", "this is no host name (RFC 2132 section 3.14)"),
  ...differ(["-g 224.0.0.1"], [serves, refuses], "REF-BUG", "a group is no router"),
  ...differ(
    ["--stats -1", "--stats abc", "--stats 1.5", "--stats ''"],
    [serves, refuses],
    "better",
    "what is no number of seconds is a slip; the reference takes it for 0",
  ),
  ...differ(["-p /nonexistent/capture"], [warns, refuses], "better", "who asks for a capture wants one"),
  ...differ(
    ["--runas ''", "--runas :0"],
    [serves, refuses],
    "better",
    "an empty name is a slip; the reference takes it for 0, which in a user namespace is who it is",
  ),
  ...differ(
    ["--runas root"],
    [refuses, serves],
    "better",
    "in a user namespace root stays what it is by whatever name; elsewhere it is refused here, too",
  ),
  ...differ(
    ["-S a -S b -S c -S d -S e -S f -S g"],
    [refuses, warns],
    "choice",
    "the first six are told, with a warning: the same as of a list in one option, of a resolv.conf, and of name servers",
  ),
  ...differ(
    ["-S 'a b c d e f g'", "-D 192.0.2.1 -D 192.0.2.2 -D 192.0.2.3 -D 192.0.2.4"],
    [serves, warns],
    "better",
    "the guest is told six domains and three servers of a family by both; only ours says so",
  ),
  ...differ(["-i lo"], [serves, warns], "better", "a guest without an address of the host's is worth a warning"),
  ...differ(["-m 0"], [warns, serves], "better", "0 tells the guest no MTU, which is then not too small"),
  ...differ(
    ["-o ::ffff:192.0.2.2"],
    [refuses, serves],
    "better",
    "an IPv4 address may be written as an IPv6 one with -a, -g, -D and -t, so also here",
  ),
  ...differ(
    ["-t %uplink/2222 -t %lo/2222"],
    [refuses, serves],
    "better",
    "one port of two interfaces can be listened at twice",
  ),
  ...differ(
    ["-t 2222,all:10.0.0.5"],
    [serves, refuses],
    "better",
    "'all' beside ports means all others; the reference passes it over, and so what is wrong with it",
  ),
  ...differ(
    ["-t 80"],
    [refuses, serves],
    "better",
    "root listens at ports below 1024 before it gives up its rights; the reference gives them up first",
  ),
  ...differ(
    ["--host myname"],
    [refuses, serves],
    "choice",
    "options of the reference's other mode, which are not here, make the short form ambiguous there",
  ),
  ...differ(
    ["-m bad --version"],
    [refuses, "ends with 0, writes"],
    "choice",
    "information is given whatever else is on the line, as the reference does it with -t",
  ),
  ...differ(
    ["--repair-path {dir}/r", "--migrate-exit", "--migrate-no-linger", "-c {dir}/conf"],
    [serves, refuses],
    "choice",
    "not supported yet: better refused than passed over",
  ),
];
