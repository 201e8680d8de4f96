import type { ForwardSocket } from "@passt-ts/backend-sockets/listeners";
import { bindSocket, listenSocket, openSocket } from "@passt-ts/linux/inet-socket";
import { closeFd } from "@passt-ts/linux/owned-fd";
import { SocketAddress } from "@passt-ts/linux/socket-address";
import {
  AF_INET,
  AF_INET6,
  IP_FREEBIND,
  IPV6_V6ONLY,
  SO_REUSEADDR,
  SOCK_DGRAM,
  SOCK_STREAM,
  SOL_IP,
  SOL_IPV6,
  SOL_SOCKET,
} from "@passt-ts/linux/socket-constants";
import { SocketOptions } from "@passt-ts/linux/socket-options";
import { Errno, errnoMessage } from "@passt-ts/linux/system-error";
import { isIpv4 } from "./address-text.ts";
import { type Forward, formatForward } from "./forward-spec.ts";
import { UsageError } from "./usage-error.ts";

const LISTEN_BACKLOG = 128;
const NO_ADDRESS: Uint32Array = new Uint32Array(4);
const ANY_IPV4: Uint32Array = Uint32Array.of(0, 0, 0xffff, 0);

/** The families that the daemon serves. */
export interface Families {
  readonly ipv4: boolean;
  readonly ipv6: boolean;
}

/** How forwards listen. */
export interface ForwardConditions extends Families {
  /** At addresses that the host does not have, too (IP_FREEBIND). */
  readonly freebind?: boolean;
}

/**
 * Opens the sockets that the forwards listen at: a forward without address gets one socket for both families.
 *
 * @throws UsageError when a port that was asked for by number cannot be bound, or when none of all can be; also for an
 * address of a family that is off.
 */
export function openForwards(forwards: readonly Forward[], conditions: ForwardConditions): ForwardSocket[] {
  const options = new SocketOptions();
  const opened: ForwardSocket[] = [];
  try {
    for (const forward of forwards) {
      const result = openForward(forward, conditions, options);
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

function openForward(forward: Forward, conditions: ForwardConditions, options: SocketOptions): ForwardSocket | number {
  const { address, protocol, port, targetPort, targetAddress } = forward;
  const wantsIpv4 = conditions.ipv4 && (address === null || isIpv4(address));
  const wantsIpv6 = conditions.ipv6 && (address === null || !isIpv4(address));
  if (!wantsIpv4 && !wantsIpv6) throw switchedOff(forward);
  const type = protocol === "tcp" ? SOCK_STREAM : SOCK_DGRAM;
  const fd = openSocket(wantsIpv6 ? AF_INET6 : AF_INET, type);
  // A kernel without IPv6 still serves the IPv4 half of a forward for both.
  if (fd === -Errno.EAFNOSUPPORT && wantsIpv6 && wantsIpv4)
    return openForward(forward, { ...conditions, ipv6: false }, options);
  if (fd < 0) return fd;
  if (wantsIpv6) options.set(fd, SOL_IPV6, IPV6_V6ONLY, wantsIpv4 ? 0 : 1);
  // An IPv6 socket takes the option of IPv4 for both (ip(7)).
  if (conditions.freebind === true) options.set(fd, SOL_IP, IP_FREEBIND, 1);
  const local = new SocketAddress();
  if (wantsIpv6) local.setIpv6(address ?? NO_ADDRESS, port);
  else local.set(address ?? ANY_IPV4, port);
  const result = bindForward(fd, forward, local, options);
  return result < 0 ? result : { protocol, fd, family: wantsIpv6 ? 6 : 4, targetPort, targetAddress };
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

function switchedOff(forward: Forward): UsageError {
  const option = forward.address !== null && isIpv4(forward.address) ? "--ipv6-only" : "--ipv4-only";
  return new UsageError(
    `${optionOf(forward)}: cannot listen for ${formatForward(forward)}: ${option} leaves its family out`,
  );
}

function cannotBind(forward: Forward, errno: number): UsageError {
  return new UsageError(`${optionOf(forward)}: cannot listen for ${formatForward(forward)}: ${errnoMessage(errno)}`);
}
