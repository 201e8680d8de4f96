import type { ForwardSocket } from "@passt-ts/backend-sockets/listeners";
import { bindSocket, listenSocket, openSocket } from "@passt-ts/linux/inet-socket";
import { closeFd } from "@passt-ts/linux/owned-fd";
import { SocketAddress } from "@passt-ts/linux/socket-address";
import {
  AF_INET,
  AF_INET6,
  IPV6_V6ONLY,
  SO_REUSEADDR,
  SOCK_DGRAM,
  SOCK_STREAM,
  SOL_IPV6,
  SOL_SOCKET,
} from "@passt-ts/linux/socket-constants";
import { SocketOptions } from "@passt-ts/linux/socket-options";
import { Errno, errnoMessage } from "@passt-ts/linux/system-error";
import { formatAddress, isIpv4 } from "./address-text.ts";
import type { Forward } from "./forward-spec.ts";
import { UsageError } from "./usage-error.ts";

const LISTEN_BACKLOG = 128;
const NO_ADDRESS: Uint32Array = new Uint32Array(4);
const ANY_IPV4: Uint32Array = Uint32Array.of(0, 0, 0xffff, 0);

/** The families that the daemon serves. */
export interface Families {
  readonly ipv4: boolean;
  readonly ipv6: boolean;
}

/**
 * Opens the sockets that the forwards listen at: a forward without address gets one socket for both families.
 *
 * @throws UsageError when a port that was asked for by number cannot be bound, or when none of all can be.
 */
export function openForwards(forwards: readonly Forward[], families: Families): ForwardSocket[] {
  const options = new SocketOptions();
  const opened: ForwardSocket[] = [];
  try {
    for (const forward of forwards) {
      const result = openForward(forward, families, options);
      if (typeof result === "object") opened.push(result);
      else if (!forward.bestEffort || result === -Errno.EMFILE || result === -Errno.ENFILE)
        throw cannotBind(forward, result);
    }
    if (forwards.length > 0 && opened.length === 0)
      throw new UsageError(`${optionOf(forwards[0])}: no port could be bound`);
    return opened;
  } catch (error) {
    for (const forward of opened) closeFd(forward.fd);
    throw error;
  }
}

function openForward(forward: Forward, families: Families, options: SocketOptions): ForwardSocket | number {
  const { address, protocol, port, targetPort } = forward;
  const wantsIpv4 = families.ipv4 && (address === null || isIpv4(address));
  const wantsIpv6 = families.ipv6 && (address === null || !isIpv4(address));
  if (!wantsIpv4 && !wantsIpv6) return -Errno.EAFNOSUPPORT;
  const type = protocol === "tcp" ? SOCK_STREAM : SOCK_DGRAM;
  if (wantsIpv6) {
    const fd = openSocket(AF_INET6, type);
    // A kernel without IPv6 still serves the IPv4 half of a forward for both.
    if (fd === -Errno.EAFNOSUPPORT && wantsIpv4) return openForward(forward, { ipv4: true, ipv6: false }, options);
    if (fd < 0) return fd;
    options.set(fd, SOL_IPV6, IPV6_V6ONLY, wantsIpv4 ? 0 : 1);
    const result = bindForward(fd, forward, new SocketAddress().setIpv6(address ?? NO_ADDRESS, port), options);
    return result < 0 ? result : { protocol, fd, family: 6, targetPort };
  }
  const fd = openSocket(AF_INET, type);
  if (fd < 0) return fd;
  const result = bindForward(fd, forward, new SocketAddress().set(address ?? ANY_IPV4, port), options);
  return result < 0 ? result : { protocol, fd, family: 4, targetPort };
}

/** Binds, and listens with TCP; closes the socket when either fails. 0 or -errno. */
function bindForward(fd: number, forward: Forward, address: SocketAddress, options: SocketOptions): number {
  if (forward.protocol === "tcp") options.set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  let result = forward.interfaceName === null ? 0 : options.bindToDevice(fd, forward.interfaceName);
  if (result >= 0) result = bindSocket(fd, address);
  if (result >= 0 && forward.protocol === "tcp") result = listenSocket(fd, LISTEN_BACKLOG);
  if (result < 0) closeFd(fd);
  return result;
}

const optionOf = (forward: Forward): string => (forward.protocol === "tcp" ? "-t" : "-u");

function cannotBind(forward: Forward, errno: number): UsageError {
  const where = forward.address === null ? "" : `${formatAddress(forward.address)} `;
  const device = forward.interfaceName === null ? "" : `on ${forward.interfaceName} `;
  return new UsageError(
    `${optionOf(forward)}: cannot bind ${where}${device}port ${forward.port}: ${errnoMessage(errno)}`,
  );
}
