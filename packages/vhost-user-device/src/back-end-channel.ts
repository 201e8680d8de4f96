import { fileStatus, isSocket, setNonBlocking } from "@passt-ts/linux/file-status";
import type { OwnedFd } from "@passt-ts/linux/owned-fd";
import { Errno } from "@passt-ts/linux/system-error";
import { UnixMessages } from "@passt-ts/linux/unix-message";
import { encodeRequest } from "@passt-ts/vhost-user-proto/header";
import { encodeVringState } from "@passt-ts/vhost-user-proto/payload";
import { BackEndRequest } from "@passt-ts/vhost-user-proto/requests";

/**
 * The front-end's socket for requests of ours (SET_BACKEND_REQ_FD), used for in-band notifications.
 *
 * No reply is asked for, so nothing has to be waited for: a front-end that does not read misses no more than
 * notifications that repeat themselves.
 */
export class BackEndChannel {
  readonly #fd: OwnedFd;
  readonly #messages: UnixMessages = new UnixMessages();
  readonly #usable: boolean;

  /**
   * Takes over the descriptor; one that is no socket (User-Mode Linux gives a pipe) is only kept.
   *
   * @throws SystemError when it cannot be used at all; it is closed then.
   */
  constructor(fd: OwnedFd) {
    this.#fd = fd;
    try {
      this.#usable = isSocket(fileStatus(fd.fd));
      if (this.#usable) setNonBlocking(fd.fd);
    } catch (error) {
      fd.close();
      throw error;
    }
  }

  /** Says that the driver of a ring is to look at it. False when it has to be said again, as the socket is full. */
  call(ring: number): boolean {
    return this.#send(BackEndRequest.VRING_CALL, ring);
  }

  /** Says that a ring is broken. */
  error(ring: number): boolean {
    return this.#send(BackEndRequest.VRING_ERR, ring);
  }

  #send(request: BackEndRequest, ring: number): boolean {
    if (!this.#usable) return true;
    const message = encodeRequest(request, encodeVringState({ index: ring, value: 0 }));
    return this.#messages.send(this.#fd.fd, message, message.length) !== -Errno.EAGAIN;
  }

  close(): void {
    this.#fd.close();
  }
}
