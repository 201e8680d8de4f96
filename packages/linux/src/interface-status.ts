import { libc, resultOf } from "./libc.ts";
import { NativeBuffer } from "./native-buffer.ts";
import { OwnedFd } from "./owned-fd.ts";
import { AF_UNIX, SOCK_CLOEXEC, SOCK_DGRAM } from "./socket-constants.ts";
import { Errno, orThrow } from "./system-error.ts";

const SIOCGIFINDEX = 0x8933;
const SIOCGIFMTU = 0x8921;
const SIOCGIFHWADDR = 0x8927;
/** struct ifreq: the name, then a union; a hardware address lies in it behind its family. */
const IFREQ = { name: 16, value: 16, hardwareAddress: 18, size: 40 } as const;
const HARDWARE_ADDRESS_BYTES = 6;

/** The index of the interface `name` in this network namespace, or -errno: -ENODEV without one. @throws SystemError */
export function interfaceIndex(name: string): number {
  return ask(name, SIOCGIFINDEX);
}

/** The MTU of the interface `name` in bytes, or -errno: -ENODEV without one. @throws SystemError */
export function interfaceMtu(name: string): number {
  return ask(name, SIOCGIFMTU);
}

/** The MAC address of the interface `name` in this network namespace, 6 bytes; null without one. @throws SystemError */
export function interfaceHardwareAddress(name: string): Uint8Array | null {
  const native = new NativeBuffer(IFREQ.size);
  if (fill(native, name, SIOCGIFHWADDR) < 0) return null;
  return native.bytes.slice(IFREQ.hardwareAddress, IFREQ.hardwareAddress + HARDWARE_ADDRESS_BYTES);
}

function ask(name: string, request: number): number {
  const native = new NativeBuffer(IFREQ.size);
  const result = fill(native, name, request);
  return result < 0 ? result : native.view.getInt32(IFREQ.value, true);
}

/** Has the kernel answer into `native`; 0 or -errno. */
function fill(native: NativeBuffer, name: string, request: number): number {
  const bytes = new TextEncoder().encode(name);
  if (bytes.length >= IFREQ.name) return -Errno.ENODEV;
  native.bytes.set(bytes);
  using socket = new OwnedFd(orThrow(libc.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket"));
  return resultOf(libc.ioctl(socket.fd, request, native.address));
}
