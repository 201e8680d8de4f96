import { libc, resultOf } from "./libc.ts";
import { NativeBuffer } from "./native-buffer.ts";
import { OwnedFd } from "./owned-fd.ts";
import { AF_UNIX, SOCK_CLOEXEC, SOCK_DGRAM } from "./socket-constants.ts";
import { Errno, orThrow } from "./system-error.ts";

const SIOCGIFINDEX = 0x8933;
const SIOCGIFMTU = 0x8921;
/** struct ifreq: the name, then a union. */
const IFREQ = { name: 16, value: 16, size: 40 } as const;

/** The index of the interface `name` in this network namespace, or -errno: -ENODEV without one. @throws SystemError */
export function interfaceIndex(name: string): number {
  return ask(name, SIOCGIFINDEX);
}

/** The MTU of the interface `name` in bytes, or -errno: -ENODEV without one. @throws SystemError */
export function interfaceMtu(name: string): number {
  return ask(name, SIOCGIFMTU);
}

function ask(name: string, request: number): number {
  const bytes = new TextEncoder().encode(name);
  if (bytes.length >= IFREQ.name) return -Errno.ENODEV;
  const native = new NativeBuffer(IFREQ.size);
  native.bytes.set(bytes);
  using socket = new OwnedFd(orThrow(libc.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket"));
  const result = resultOf(libc.ioctl(socket.fd, request, native.address));
  return result < 0 ? result : native.view.getInt32(IFREQ.value, true);
}
