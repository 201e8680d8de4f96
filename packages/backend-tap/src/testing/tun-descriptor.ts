import { OpenMode, openFile } from "@passt-ts/linux/file-io";
import { libc } from "@passt-ts/linux/libc";
import { NativeBuffer } from "@passt-ts/linux/native-buffer";
import { orThrow } from "@passt-ts/linux/system-error";

const TUNSETIFF = 0x4004_54ca;

/** IFF_* of a tun or tap. */
export const TunFlag = { tun: 0x1, tap: 0x2, noPacketInformation: 0x1000 } as const;

/** Opens an interface with flags that the back-end would not choose, as a launcher may: the caller owns the descriptor. */
export function openTunDescriptor(name: string, flags: number): number {
  using fd = openFile("/dev/net/tun", OpenMode.readWrite);
  const request = new NativeBuffer(40);
  request.bytes.set(new TextEncoder().encode(name));
  request.view.setUint16(16, flags, true);
  orThrow(libc.ioctl(fd.fd, TUNSETIFF, request.address), "TUNSETIFF", name);
  return fd.take();
}
