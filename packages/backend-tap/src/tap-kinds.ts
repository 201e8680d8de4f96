import type { WindowTable } from "@passt-ts/iov/windows";
import type { EventLoop } from "@passt-ts/linux/event-loop";
import { interfaceIndex } from "@passt-ts/linux/interface-status";
import { OwnedFd } from "@passt-ts/linux/owned-fd";
import { Errno, SystemError } from "@passt-ts/linux/system-error";
import { adoptTap, INTERFACE_NAME_BYTES_MAX, openTap, type TapDevice } from "@passt-ts/linux/tap-device";
import { type BackendKind, BackendNameError } from "@passt-ts/net-backend/registry";
import { type ReportLink, TapBackend } from "./tap-backend.ts";

/** What is needed to make a tap back-end. */
export interface TapContext {
  readonly loop: EventLoop;
  /** The table that the guest's memory is in. */
  readonly windows: WindowTable;
  readonly report: ReportLink;
  /** What {@link openNamedTap} opened for the name, where who makes the back-end may not; the back-end owns it. */
  readonly tap?: TapDevice | null;
}

/** What a name asks for: an interface, existing or new, or a descriptor that was inherited. */
export type TapName = { readonly interfaceName: string } | { readonly fd: number };

const PREFIX = "tap:";
const FD_PREFIX = "tap:fd=";

/** Reads `tap:NAME` or `tap:fd=N`. @throws BackendNameError */
export function parseTapName(name: string): TapName {
  if (name.startsWith(FD_PREFIX)) {
    const digits = name.slice(FD_PREFIX.length);
    if (!/^\d{1,9}$/.test(digits)) throw new BackendNameError(name, `"${digits}" is no file descriptor`);
    // The standard streams are nobody's tap.
    if (Number(digits) < 3) throw new BackendNameError(name, `descriptor ${digits} is a standard stream`);
    return { fd: Number(digits) };
  }
  const interfaceName = name.slice(PREFIX.length);
  if (interfaceName === "") throw new BackendNameError(name, "the name of an interface is missing");
  if (new TextEncoder().encode(interfaceName).length > INTERFACE_NAME_BYTES_MAX) {
    throw new BackendNameError(name, `the name of an interface has at most ${INTERFACE_NAME_BYTES_MAX} bytes`);
  }
  // A percent sign would let the kernel choose a name.
  if (/[\s/:%\0]/.test(interfaceName) || interfaceName === "." || interfaceName === "..") {
    throw new BackendNameError(name, `"${interfaceName}" is not a name that an interface can have`);
  }
  return { interfaceName };
}

/** `tap:NAME` and `tap:fd=N`, for a registry. */
export const tapKinds: readonly BackendKind<TapContext>[] = [
  { prefix: FD_PREFIX, check: parseTapName, create: createTap },
  { prefix: PREFIX, check: parseTapName, create: createTap },
];

/** Opens the tap that a name asks for, or adopts it, for a back-end that is made later. @throws BackendNameError */
export function openNamedTap(name: string): TapDevice {
  const parsed = parseTapName(name);
  try {
    return "fd" in parsed ? adoptTap(new OwnedFd(parsed.fd)) : openInterface(parsed.interfaceName);
  } catch (error) {
    throw new BackendNameError(name, (error as Error).message);
  }
}

function createTap(name: string, context: TapContext): TapBackend {
  const { loop, windows, report, tap } = context;
  const parsed = parseTapName(name);
  const options = { loop, windows, report, port: tap ?? openNamedTap(name) };
  if ("fd" in parsed) return new TapBackend(options);
  const { interfaceName } = parsed;
  // Only one that is there again: who deleted it may not want it made anew.
  const reopen = (): TapDevice | null => (interfaceIndex(interfaceName) > 0 ? openInterface(interfaceName) : null);
  return new TapBackend({ ...options, reopen });
}

/** @throws Error with what the user can do. */
function openInterface(interfaceName: string): TapDevice {
  try {
    return openTap(interfaceName);
  } catch (error) {
    throw error instanceof SystemError ? new Error(explain(error, interfaceName)) : error;
  }
}

/** What the user can do about an interface that cannot be opened. */
function explain(error: SystemError, interfaceName: string): string {
  if (error.syscall === "open") return `${error.message}; the kernel's tun module is needed`;
  switch (error.errno) {
    case Errno.EPERM:
      return `no right to use or make ${interfaceName}; root can: ip tuntap add dev ${interfaceName} mode tap user USER`;
    case Errno.EBUSY:
      return `${interfaceName} is in use by another process`;
    case Errno.EINVAL:
      return `${interfaceName} is there and is no tap interface`;
    default:
      return error.message;
  }
}
