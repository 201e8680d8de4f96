/**
 * Tap interfaces (the kernel's Documentation/networking/tuntap.rst): Ethernet frames between this process and the host.
 */
import { OpenMode, openFile } from "./file-io.ts";
import { lastErrno, libc, resultOf } from "./libc.ts";
import { NativeBuffer } from "./native-buffer.ts";
import { OwnedFd } from "./owned-fd.ts";
import { Errno, SystemError } from "./system-error.ts";

/** What a read or write of a tap says (negative) once its interface was deleted: EBADFD. */
export const TAP_DELETED_ERRNO = 77;

/** The longest name of an interface, in bytes. */
export const INTERFACE_NAME_BYTES_MAX = 15;

/** What the user of a tap takes beyond plain frames (TUN_F_*), a bit set; all but the first need the first. */
export const TapOffload = { checksum: 0x1, tso4: 0x2, tso6: 0x4, uso4: 0x20, uso6: 0x40 } as const;

const TUNSETIFF = 0x4004_54ca;
const TUNGETIFF = 0x8004_54d2;
const TUNSETOFFLOAD = 0x4004_54d0;
const TUNSETSNDBUF = 0x4004_54d4;
const TUNSETVNETHDRSZ = 0x4004_54d8;
const SIOCGIFHWADDR = 0x8927;

const IFF_TAP = 0x2;
const IFF_MULTI_QUEUE = 0x100;
const IFF_NO_PI = 0x1000;
const IFF_VNET_HDR = 0x4000;

const O_NONBLOCK = 0o4000;
const F_SETFD = 2;
const F_GETFL = 3;
const F_SETFL = 4;
const FD_CLOEXEC = 1;

/** struct ifreq: the name, then a union; a hardware address lies in it behind its family. */
const IFREQ = { value: 16, hardwareAddress: 18, size: 40 } as const;
const HARDWARE_ADDRESS_BYTES = 6;
const HEADER_BYTES_DEFAULT = 10;

/** An open queue of a tap interface, non-blocking. A read takes one frame, a write gives one. */
export class TapDevice implements Disposable {
  /** The interface's name when it was opened. */
  readonly name: string;
  /** A virtio-net header stands in front of each frame (IFF_VNET_HDR), 10 bytes long unless set otherwise. */
  readonly hasHeader: boolean;
  readonly #fd: OwnedFd;
  readonly #value: NativeBuffer = new NativeBuffer(4);

  /** Takes over an attached descriptor; for callers there are {@link openTap} and {@link adoptTap}. */
  constructor(fd: OwnedFd, name: string, hasHeader: boolean) {
    this.#fd = fd;
    this.name = name;
    this.hasHeader = hasHeader;
  }

  /** For system calls and the event loop; -1 when closed. */
  get fd(): number {
    return this.#fd.fd;
  }

  /** Sets the length of the header in front of each frame (TUNSETVNETHDRSZ). 0 or -errno. */
  setHeaderLength(lengthBytes: number): number {
    return this.#set(TUNSETVNETHDRSZ, lengthBytes);
  }

  /** Says what frames this side takes (TUNSETOFFLOAD), {@link TapOffload} bits. 0, or -EINVAL for one that the kernel lacks. */
  setOffload(bits: number): number {
    return resultOf(libc.ioctl(this.#fd.fd, TUNSETOFFLOAD, bits));
  }

  /** Bounds the bytes written that the host holds (TUNSETSNDBUF): a write beyond says -EAGAIN. 0 or -errno. */
  setSendBuffer(lengthBytes: number): number {
    return this.#set(TUNSETSNDBUF, lengthBytes);
  }

  /** The MAC address of the interface, in whatever network namespace it is; null when the kernel does not tell. */
  hardwareAddress(): Uint8Array | null {
    const request = new NativeBuffer(IFREQ.size);
    if (libc.ioctl(this.#fd.fd, SIOCGIFHWADDR, request.address) === -1) return null;
    return request.bytes.slice(IFREQ.hardwareAddress, IFREQ.hardwareAddress + HARDWARE_ADDRESS_BYTES);
  }

  /** Hands the descriptor to the caller, who closes it from now on. @throws Error when it is no longer here. */
  take(): number {
    return this.#fd.take();
  }

  /** Closes the descriptor; an interface that was made by opening it goes with it. */
  close(): void {
    this.#fd.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #set(request: number, value: number): number {
    this.#value.words[0] = value;
    return resultOf(libc.ioctl(this.#fd.fd, request, this.#value.address));
  }
}

/**
 * Opens the tap interface `name`, or makes it for as long as it is open, with a virtio-net header in front of each frame.
 *
 * @throws SystemError ENOENT or ENODEV without /dev/net/tun; EPERM without the right to use or make it; EBUSY when
 *   another process has it; EINVAL when `name` is none, or that of another kind of interface.
 */
export function openTap(name: string): TapDevice {
  using fd = openFile("/dev/net/tun", OpenMode.readWrite | O_NONBLOCK);
  const request = interfaceRequest(name);
  const flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
  let result = attach(fd.fd, request, flags);
  // An interface with several queues is opened only by who says that he knows; one queue of it will do.
  if (result === -Errno.EINVAL) result = attach(fd.fd, request, flags | IFF_MULTI_QUEUE);
  if (result < 0) throw new SystemError("TUNSETIFF", result, name);
  return prepared(new TapDevice(new OwnedFd(fd.take()), nameIn(request), true));
}

/**
 * Takes over a descriptor of a tap that somebody else opened (tap or macvtap) with IFF_NO_PI, which the kernel gives no
 * way to check: its bit in the answer means something else as well. It is closed when this throws.
 *
 * @throws SystemError when it is no tap. @throws Error when it gives packets without Ethernet headers.
 */
export function adoptTap(descriptor: OwnedFd): TapDevice {
  using fd = new OwnedFd(descriptor.take());
  const request = new NativeBuffer(IFREQ.size);
  const subject = `descriptor ${fd.fd}`;
  if (libc.ioctl(fd.fd, TUNGETIFF, request.address) === -1) throw new SystemError("TUNGETIFF", lastErrno(), subject);
  const name = nameIn(request);
  const flags = request.view.getUint16(IFREQ.value, true);
  if ((flags & IFF_TAP) === 0) throw new Error(`${name}, ${subject}, is a tun interface: it has no Ethernet frames`);
  const status = libc.fcntl(fd.fd, F_GETFL, 0);
  libc.fcntl(fd.fd, F_SETFL, status | O_NONBLOCK);
  libc.fcntl(fd.fd, F_SETFD, FD_CLOEXEC);
  return prepared(new TapDevice(new OwnedFd(fd.take()), name, (flags & IFF_VNET_HDR) !== 0));
}

/** Header length and offloads stay with an interface: the user before may have left others. */
function prepared(tap: TapDevice): TapDevice {
  if (tap.hasHeader) tap.setHeaderLength(HEADER_BYTES_DEFAULT);
  tap.setOffload(0);
  return tap;
}

function attach(fd: number, request: NativeBuffer, flags: number): number {
  request.view.setUint16(IFREQ.value, flags, true);
  return resultOf(libc.ioctl(fd, TUNSETIFF, request.address));
}

function interfaceRequest(name: string): NativeBuffer {
  const bytes = new TextEncoder().encode(name);
  if (bytes.length === 0 || bytes.length > INTERFACE_NAME_BYTES_MAX)
    throw new SystemError("TUNSETIFF", Errno.EINVAL, name);
  const request = new NativeBuffer(IFREQ.size);
  request.bytes.set(bytes);
  return request;
}

function nameIn(request: NativeBuffer): string {
  const end = request.bytes.indexOf(0);
  return new TextDecoder().decode(request.bytes.slice(0, end));
}
