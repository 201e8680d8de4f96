import { equals, isIpv4Mapped } from "./address.ts";

/** A range of ports that listen on the host, and where in the guest their flows go. */
export interface Forward {
  /** 6 TCP or 17 UDP. */
  readonly protocol: number;
  /** Local address that listens, 4 words; null: all addresses of both families. */
  readonly address: Uint32Array | null;
  /** Only flows that arrive on this interface; null: any. */
  readonly interfaceName: string | null;
  readonly firstPort: number;
  readonly lastPort: number;
  /** The guest's port for `firstPort`; the others follow. */
  readonly guestFirstPort: number;
  /** Where in the guest, 4 words; null: the guest's own address. */
  readonly guestAddress: Uint32Array | null;
  /** A port that cannot be bound is passed over. */
  readonly bestEffort: boolean;
}

/** Why a forward was refused. */
export class ForwardError extends Error {
  readonly code: "ERR_FORWARD_RANGE" | "ERR_FORWARD_CONFLICT" | "ERR_FORWARD_FAMILY";

  constructor(code: ForwardError["code"], message: string) {
    super(message);
    this.name = "ForwardError";
    this.code = code;
  }
}

/** The forwarded ports: each (protocol, local address, interface, port) at most once. */
export class ForwardTable {
  readonly forwards: Forward[] = [];

  /**
   * Adds a range.
   *
   * @throws {@link ForwardError} when a port is outside 1 to 65535, when a port is forwarded already, or when the
   *   address in the guest is of another family than the one that listens.
   */
  add(forward: Forward): void {
    const { firstPort, lastPort, guestFirstPort, address, guestAddress } = forward;
    const guestLastPort = guestFirstPort + lastPort - firstPort;
    for (const port of [firstPort, lastPort, guestFirstPort, guestLastPort]) {
      if (!Number.isInteger(port) || port < 1 || port > 65535) {
        throw new ForwardError("ERR_FORWARD_RANGE", `port ${port} is not in 1 to 65535`);
      }
    }
    if (lastPort < firstPort)
      throw new ForwardError("ERR_FORWARD_RANGE", `ports ${firstPort}-${lastPort} are reversed`);
    if (guestAddress !== null && (address === null || isIpv4Mapped(address, 0) !== isIpv4Mapped(guestAddress, 0))) {
      throw new ForwardError("ERR_FORWARD_FAMILY", "a target address needs a listening address of its family");
    }
    for (const other of this.forwards) {
      if (other.protocol !== forward.protocol || other.firstPort > lastPort || other.lastPort < firstPort) continue;
      if (!overlaps(other.address, address)) continue;
      if (
        other.interfaceName !== null &&
        forward.interfaceName !== null &&
        other.interfaceName !== forward.interfaceName
      )
        continue;
      const port = Math.max(other.firstPort, firstPort);
      throw new ForwardError("ERR_FORWARD_CONFLICT", `port ${port} is forwarded twice`);
    }
    this.forwards.push(forward);
  }

  /** The forward that `port` of a local address belongs to, or null; a bound address wins over none. */
  find(protocol: number, local: Uint32Array, port: number): Forward | null {
    let found: Forward | null = null;
    for (const forward of this.forwards) {
      if (forward.protocol !== protocol || port < forward.firstPort || port > forward.lastPort) continue;
      if (forward.address === null) found ??= forward;
      else if (equals(forward.address, 0, local, 0)) return forward;
    }
    return found;
  }
}

/** The guest's port for the listening `port` of `forward`. */
export function guestPortOf(forward: Forward, port: number): number {
  return forward.guestFirstPort + port - forward.firstPort;
}

function overlaps(a: Uint32Array | null, b: Uint32Array | null): boolean {
  return a === null || b === null || equals(a, 0, b, 0);
}
