import { NAMED_ONLY, OFFLOAD_NAMES } from "./offloads.ts";
import type { OptionSection } from "./option-table.ts";

/** Options that say how the program runs, what it writes, and where its front-end comes from. */
export const RUN_OPTIONS: readonly OptionSection[] = [
  {
    title: "Front-end",
    rows: [
      { name: "vhost-user", help: "serve a vhost-user front-end (the only mode, and the default)" },
      {
        name: "socket",
        short: "s",
        alias: "socket-path",
        argument: "PATH",
        help: "UNIX socket to listen on (default: the first free of /tmp/passt_1.socket to /tmp/passt_64.socket)",
        more: "A path that somebody answers at is refused; one left behind by a process that has ended is taken over. Of --socket and --fd the last one counts.",
      },
      {
        name: "fd",
        short: "F",
        argument: "FD",
        help: "serve the front-end connected to this inherited descriptor, from 3 on; implies --one-off",
      },
      { name: "one-off", short: "1", help: "quit when the first front-end has gone" },
      {
        name: "print-capabilities",
        help: "show what this back-end can do, as JSON, and quit",
        more: "The form is that of the back-end program conventions of vhost-user.",
      },
      {
        name: "repair-path",
        argument: "PATH",
        help: "socket of the helper that repairs connections after a migration: only 'none' is supported yet",
      },
    ],
  },
  {
    title: "Process",
    rows: [
      {
        name: "foreground",
        short: "f",
        help: "do not go to the background",
        more: "Without it the program starts a second process and ends with exit code 0 once that one has opened the socket and written the pid file, or with 1 and the reason on standard error when it could not.",
      },
      {
        name: "runas",
        argument: "UID[:GID]",
        help: "become this user and group, by number or name (default: nobody, when started by root)",
        more: "Sockets and all files named by options are opened before. The group is the user's own when none is given. It does not run as root: 0 is refused to root that may become somebody else. Root of a user namespace stays what it is unless this option is given.",
      },
      { name: "pid", short: "P", argument: "FILE", help: "write the process id to FILE" },
      {
        name: "chroot-fallback",
        help: "accepted without effect: there is no change of the root directory that could need it",
      },
    ],
  },
  {
    title: "Log and statistics",
    rows: [
      { name: "debug", short: "d", help: "log more, statistics among it" },
      { name: "trace", help: "log every frame too; implies --debug" },
      {
        name: "quiet",
        short: "q",
        help: "log warnings and errors only; of --quiet, --debug and --trace the last counts",
      },
      {
        name: "stderr",
        short: "e",
        help: "accepted without effect: the log goes to standard error until the background",
      },
      {
        name: "log-file",
        short: "l",
        argument: "PATH",
        help: "log to this file (default: the system log)",
        more: "Standard error gets the lines as well as long as the program is in the foreground.",
      },
      {
        name: "log-size",
        argument: "BYTES",
        help: "size at which the log file loses its oldest part, at least 40960 (default: 1048576)",
      },
      {
        name: "stats",
        argument: "SECONDS",
        help: "log the counters that changed, at least this time apart; 0: never",
      },
      { name: "pcap", short: "p", argument: "FILE", help: "capture the guest's traffic, both directions, to FILE" },
    ],
  },
  {
    title: "Device",
    rows: [
      {
        name: "backend",
        argument: "NAME",
        help: "what carries the guest's frames: sockets, tap:INTERFACE or tap:fd=FD (default: sockets)",
        more: "With a tap the guest is on the network of the interface, and options about addresses, names, services and forwards are refused. An interface that does not exist is made, and goes with the program; one that is to have addresses or be in a bridge is better made before, by 'ip tuntap add dev INTERFACE mode tap'. FD is an inherited descriptor, from 3 on, of a tap or macvtap opened with IFF_NO_PI. The MTU of an interface in another network namespace is not known, and none is told. When an interface is deleted, the next one of that name is used if the user whom the program runs as (--runas) may open it: 'ip tuntap add dev INTERFACE mode tap user USER'.",
      },
      {
        name: "offload",
        argument: "LIST",
        help: "offloads offered to the guest's driver: names separated by commas, all or none (default: all)",
        more: `The names are ${OFFLOAD_NAMES.join(", ")}: virtio's features, guest-uso being two of them. ${NAMED_ONLY.join(" and ")} are no part of all, as most drivers gain nothing by them; 'all,packed' offers everything but in-order. A driver takes of these what it likes. Rings of every kind survive a kill of the program, also where the front-end keeps no in-flight buffer.`,
      },
      {
        name: "busy-poll",
        argument: "MICROSECONDS",
        help: "look for work this long before sleeping: less delay for processor time (default: 0)",
        more: "The guest does not kick meanwhile. After a few looks in vain it sleeps at once, until there is enough to do again.",
      },
      { name: "no-peek-offset", help: "do without SO_PEEK_OFF, as on kernels that lack it" },
    ],
  },
  {
    title: "Information",
    rows: [
      { name: "help", short: "h", help: "show this and quit" },
      { name: "version", help: "show the version and quit" },
    ],
  },
];
