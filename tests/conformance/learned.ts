// What the player learns from the daemon's frames while it plays, for frames that must answer them.

import { Dhcpv6, Dhcpv6Option, dhcpv6OptionLength, findDhcpv6Option } from "@passt-ts/wire/dhcpv6";
import { IpProtocol } from "@passt-ts/wire/ipv4";
import { Packet } from "@passt-ts/wire/packet";
import { Tcp, TcpFlag, tcpDestinationPort, tcpFlags, tcpSequence, tcpSourcePort } from "@passt-ts/wire/tcp";
import { Udp } from "@passt-ts/wire/udp";
import type { Learned } from "./script.ts";

export class Learning implements Learned {
  readonly #packet: Packet = new Packet();
  readonly #isns = new Map<string, number>();
  #serverId: Uint8Array | null = null;

  /** Looks at a frame of the daemon. */
  take(frame: Uint8Array): void {
    const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
    const packet = this.#packet;
    if (packet.parse(view, 0, frame.length, frame.length) !== 0) return;
    const at = packet.l4At;
    if (packet.protocol === IpProtocol.tcp && packet.l4Length >= Tcp.headerBytes) {
      const ports = `${tcpSourcePort(view, at)}>${tcpDestinationPort(view, at)}`;
      const isSyn = (tcpFlags(view, at) & TcpFlag.syn) !== 0;
      if (isSyn && !this.#isns.has(ports)) this.#isns.set(ports, tcpSequence(view, at));
    } else if (packet.protocol === IpProtocol.udp && packet.ipVersion === 6) {
      const options = at + Udp.headerBytes + Dhcpv6.options;
      if (view.getUint16(at) !== 547) return;
      const option = findDhcpv6Option(view, options, at + packet.l4Length, Dhcpv6Option.serverIdentifier);
      if (option >= 0) this.#serverId = frame.slice(option + 4, option + 4 + dhcpv6OptionLength(view, option));
    }
  }

  isn(daemonPort: number, guestPort: number): number {
    const isn = this.findIsn(daemonPort, guestPort);
    if (isn === undefined) throw new Error(`no SYN came from port ${daemonPort} to port ${guestPort}`);
    return isn;
  }

  findIsn(daemonPort: number, guestPort: number): number | undefined {
    return this.#isns.get(`${daemonPort}>${guestPort}`);
  }

  serverId(): Uint8Array {
    if (this.#serverId === null) throw new Error("no server identifier came");
    return this.#serverId;
  }
}
