import { interfaceIndex } from "../interface-status.ts";
import { libc, resultOf } from "../libc.ts";
import { NativeBuffer } from "../native-buffer.ts";
import { OwnedFd } from "../owned-fd.ts";
import { MSG_DONTWAIT, SOCK_CLOEXEC, SOCK_RAW } from "../socket-constants.ts";
import { orThrow, SystemError } from "../system-error.ts";

const AF_PACKET = 17;
const FRAME_BYTES_MAX = 65600;
/** struct sockaddr_ll */
const ADDRESS = { family: 0, protocol: 2, index: 4, size: 20 } as const;

/** The host's side of an interface, for tests: frames of one EtherType, whole (packet(7)). */
export class PacketSocket implements Disposable {
  readonly #socket: OwnedFd;
  readonly #buffer: NativeBuffer = new NativeBuffer(FRAME_BYTES_MAX);

  /** @throws SystemError EPERM without CAP_NET_RAW, ENODEV without the interface. */
  constructor(interfaceName: string, etherType: number) {
    const index = interfaceIndex(interfaceName);
    if (index < 0) throw new SystemError("SIOCGIFINDEX", index, interfaceName);
    this.#socket = new OwnedFd(orThrow(libc.socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), "socket"));
    const address = new NativeBuffer(ADDRESS.size);
    address.view.setUint16(ADDRESS.family, AF_PACKET, true);
    address.view.setUint16(ADDRESS.protocol, etherType);
    address.view.setInt32(ADDRESS.index, index, true);
    orThrow(libc.bind(this.#socket.fd, address.address, address.lengthBytes), "bind", interfaceName);
  }

  /** Sends a frame out of the interface. 0 or -errno. */
  send(frame: Uint8Array): number {
    this.#buffer.bytes.set(frame);
    const sent = resultOf(libc.send(this.#socket.fd, this.#buffer.address, frame.length, MSG_DONTWAIT));
    return Math.min(sent, 0);
  }

  /** The oldest frame that came in at the interface and was not taken yet, or null. */
  receive(): Uint8Array | null {
    const length = resultOf(libc.recv(this.#socket.fd, this.#buffer.address, FRAME_BYTES_MAX, MSG_DONTWAIT));
    return length < 0 ? null : this.#buffer.bytes.slice(0, length);
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }
}
