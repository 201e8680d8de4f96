import { libc, resultOf } from "./libc.ts";
import { NativeBuffer, nativeString } from "./native-buffer.ts";
import {
  SO_BINDTODEVICE,
  SO_ERROR,
  SO_LINGER,
  SO_PEEK_OFF,
  SOL_SOCKET,
  SOL_TCP,
  TCP_INFO,
} from "./socket-constants.ts";
import { TCP_INFO_BYTES, type TcpInfo } from "./tcp-info.ts";

const SIOCOUTQ = 0x5411;
const SIOCINQ = 0x541b;

/**
 * Options and state of sockets. It owns the scratch memory that the calls need, so each thread (or owner) has one.
 * Nothing throws: results are 0 or more, failures -errno.
 */
export class SocketOptions {
  readonly #length: NativeBuffer = new NativeBuffer(8);
  readonly #value: NativeBuffer = new NativeBuffer(8);
  readonly #info: NativeBuffer = new NativeBuffer(TCP_INFO_BYTES);

  /** Sets an option whose value is one int. 0 or -errno. */
  set(fd: number, level: number, name: number, value: number): number {
    this.#value.words[0] = value;
    return resultOf(libc.setsockopt(fd, level, name, this.#value.address, 4));
  }

  /** An option whose value is one int and never negative, or -errno. */
  get(fd: number, level: number, name: number): number {
    this.#length.words[0] = 4;
    const result = resultOf(libc.getsockopt(fd, level, name, this.#value.address, this.#length.address));
    return result < 0 ? result : this.#value.words[0] | 0;
  }

  /** Takes the socket's pending error (SO_ERROR): 0 for none, else -errno, as well when the call fails. */
  takeError(fd: number): number {
    const result = this.get(fd, SOL_SOCKET, SO_ERROR);
    return result > 0 ? -result : result;
  }

  /** Binds the socket to an interface by name, "" for none (SO_BINDTODEVICE). 0 or -errno: -EPERM where it takes CAP_NET_RAW. */
  bindToDevice(fd: number, name: string): number {
    const native = nativeString(name);
    return resultOf(libc.setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, native.address, native.lengthBytes));
  }

  /**
   * Bytes written to a TCP socket that its peer has not acknowledged yet (SIOCOUTQ), or -errno. After a shutdown of the
   * writing side a FIN that is not acknowledged counts as one more byte.
   */
  unacknowledged(fd: number): number {
    const result = resultOf(libc.ioctl(fd, SIOCOUTQ, this.#value.address));
    return result < 0 ? result : this.#value.words[0];
  }

  /** Bytes that can be read now (SIOCINQ); for a datagram socket those of the next datagram. Or -errno. */
  unread(fd: number): number {
    const result = resultOf(libc.ioctl(fd, SIOCINQ, this.#value.address));
    return result < 0 ? result : this.#value.words[0];
  }

  /** Fills `out` from TCP_INFO. 0 or -errno. */
  tcpInfo(fd: number, out: TcpInfo): number {
    this.#length.words[0] = TCP_INFO_BYTES;
    const result = resultOf(libc.getsockopt(fd, SOL_TCP, TCP_INFO, this.#info.address, this.#length.address));
    if (result === 0) out.fill(this.#info, this.#length.words[0]);
    return result;
  }

  /** Where the next MSG_PEEK reads (SO_PEEK_OFF), from the oldest unread byte; -1 switches it off. 0 or -errno. */
  setPeekOffset(fd: number, offset: number): number {
    return this.set(fd, SOL_SOCKET, SO_PEEK_OFF, offset);
  }

  /** Closes a TCP socket with a reset: SO_LINGER 0, then close. 0 or -errno. */
  closeWithReset(fd: number): number {
    this.#value.words[0] = 1;
    this.#value.words[1] = 0;
    libc.setsockopt(fd, SOL_SOCKET, SO_LINGER, this.#value.address, 8);
    return resultOf(libc.close(fd));
  }
}
