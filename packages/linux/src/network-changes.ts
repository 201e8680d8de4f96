import { MAIN_ROUTE_TABLE, routeTableOf } from "./host-network.ts";
import { NetlinkGroup, NetlinkMessage, NetlinkSocket } from "./netlink.ts";
import { Errno } from "./system-error.ts";

const GROUPS: number =
  NetlinkGroup.link |
  NetlinkGroup.ipv4Address |
  NetlinkGroup.ipv4Route |
  NetlinkGroup.ipv6Address |
  NetlinkGroup.ipv6Route;

/** Says when something has changed that `readHostNetwork` reads: interfaces, addresses, routes of the main table. */
export class NetworkChanges implements Disposable {
  readonly #socket: NetlinkSocket;

  /** Follows the network namespace of this thread from now on. @throws SystemError */
  constructor() {
    this.#socket = new NetlinkSocket(GROUPS);
  }

  /** For an event loop: readable when there is something to {@link NetworkChanges.take}. */
  get fd(): number {
    return this.#socket.fd;
  }

  /** Takes all that the kernel has told so far; whether anything may have changed. */
  take(): boolean {
    let changed = false;
    for (;;) {
      const result = this.#socket.receive((type, view, at, end) => {
        const isRoute = type === NetlinkMessage.newRoute || type === NetlinkMessage.deleteRoute;
        if (!isRoute || routeTableOf(view, at, end) === MAIN_ROUTE_TABLE) changed = true;
      });
      // What did not fit the socket's buffer or ours is lost: it may have been anything.
      if (result === -Errno.ENOBUFS || result === -Errno.EMSGSIZE) changed = true;
      else if (result < 0) return changed;
    }
  }

  close(): void {
    this.#socket.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
