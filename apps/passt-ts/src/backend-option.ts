import { fstatSync } from "node:fs";
import { parseTapName, type TapName } from "@passt-ts/backend-tap/tap-kinds";
import { BackendNameError, UnknownBackendError } from "@passt-ts/net-backend/registry";
import { BACKENDS, SOCKETS } from "./backend-kinds.ts";
import type { CommandLine } from "./command-line.ts";
import { OPTIONS, type OptionName } from "./option-table.ts";
import { ADDRESS_OPTIONS } from "./options-address.ts";
import { UsageError } from "./usage-error.ts";

/** What carries the guest's frames, as --backend says. */
export interface BackendChoice {
  /** As it was given. */
  readonly name: string;
  /** What it means for a tap; null: the guest's traffic goes through sockets. */
  readonly tap: TapName | null;
}

/** Options about the guest's device: they are the same whatever carries its frames. */
const DEVICE_OPTIONS: readonly OptionName[] = ["guest-mac", "mtu"];

/** What only the socket back-end can do. */
const SOCKET_OPTIONS: readonly OptionName[] = [
  ...ADDRESS_OPTIONS.flatMap(({ rows }) => rows.map(({ name }) => name)).filter(
    (name) => !DEVICE_OPTIONS.includes(name),
  ),
  "no-peek-offset",
];

/** Reads --backend, and refuses what does not go with it; nothing is opened. @throws UsageError */
export function backendChoiceOf(line: CommandLine): BackendChoice {
  const name = line.last("backend") ?? SOCKETS;
  backendUsage(() => BACKENDS.check(name));
  if (name === SOCKETS) return { name, tap: null };
  const tap = parseTapName(name);
  refuseSocketOptions(line, name);
  if ("fd" in tap) checkTapFd(line, tap.fd);
  return { name, tap };
}

/** Does what may find that a name makes no sense: that is the user's error then. @throws UsageError */
export function backendUsage<Result>(act: () => Result): Result {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof BackendNameError || error instanceof UnknownBackendError)) throw error;
    throw new UsageError(`--backend: ${error.message}`);
  }
}

function refuseSocketOptions(line: CommandLine, backend: string): void {
  const given = SOCKET_OPTIONS.filter((name) => line.has(name));
  if (given.length === 0) return;
  const forms = given.map((name) => {
    const short = OPTIONS.find((row) => row.name === name)?.short;
    return short === undefined ? `--${name}` : `-${short}`;
  });
  throw new UsageError(
    `${forms.join(", ")}: not with --backend ${backend}: the network of its interface is the guest's, as it is`,
  );
}

function checkTapFd(line: CommandLine, fd: number): void {
  if (line.lastOf("fd", "socket") === "fd" && Number(line.last("fd")) === fd)
    throw new UsageError(`--backend, -F: descriptor ${fd} cannot be both`);
  try {
    if (fstatSync(fd).isCharacterDevice()) return;
  } catch {
    // There is no such descriptor.
  }
  throw new UsageError(`--backend: descriptor ${fd} is not an open tap`);
}
