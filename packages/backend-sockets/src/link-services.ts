import type { GuestIdentity } from "@passt-ts/address-map/guest-identity";
import { ArpResponder } from "@passt-ts/guest-services/arp";
import { DhcpServer } from "@passt-ts/guest-services/dhcp";
import { Dhcpv6Server } from "@passt-ts/guest-services/dhcpv6";
import { NdpResponder } from "@passt-ts/guest-services/ndp";
import type { WindowTable } from "@passt-ts/iov/windows";
import type { RxSink } from "@passt-ts/net-backend/rx-sink";
import type { Packet } from "@passt-ts/wire/packet";
import { FrameSender } from "./frame-sender.ts";
import type { FamilyConfiguration, LinkConfiguration } from "./link-configuration.ts";

/** Bytes of scratch that the services need for their replies. */
export const SERVICE_SCRATCH_BYTES = 2048;

/** The seconds between 1970 and 2000, from which a DUID counts (RFC 8415 11.2). */
const DUID_EPOCH_SECONDS = 946_684_800;

export interface LinkServicesOptions {
  readonly windows: WindowTable;
  readonly sink: RxSink;
  /** {@link SERVICE_SCRATCH_BYTES} bytes that the services own. */
  readonly scratchWindow: number;
  readonly scratchOffset: number;
  readonly link: LinkConfiguration;
  readonly guest: GuestIdentity;
  /** Seconds since 1970, for the server's DUID. */
  readonly startSeconds: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/** The services that the guest finds on its link: ARP, DHCP, neighbor discovery, router advertisements, DHCPv6. */
export class LinkServices {
  readonly arp: ArpResponder;
  readonly ndp: NdpResponder;
  /** Null where the family is off, or there is no address to lease. */
  readonly dhcp: DhcpServer | null;
  readonly dhcpv6: Dhcpv6Server | null;
  readonly #sender: FrameSender;
  readonly #window: number;
  readonly #at: number;
  readonly #reply: DataView;
  readonly #guest: GuestIdentity;
  readonly #random: () => number;

  constructor(options: LinkServicesOptions) {
    const { link, guest, windows, scratchWindow } = options;
    this.arp = new ArpResponder({
      ourMac: link.ourMac,
      ourAddresses: link.ipv4?.gateway ? [link.ipv4.gateway] : [],
      guestAddresses: [guest.ipv4],
    });
    this.dhcp = dhcpServer(link);
    this.dhcpv6 = dhcpv6Server(link, options.startSeconds);
    this.ndp = new NdpResponder({
      ourMac: link.ourMac,
      ourLinkLocal: link.ourLinkLocal,
      ourAddresses: link.ipv6?.gateway ? [link.ipv6.gateway] : [],
      guestAddresses: [guest.ipv6Global, guest.ipv6LinkLocal],
      router: link.ipv6 === null ? null : routerOf(link, link.ipv6, this.dhcpv6 !== null),
    });
    this.#sender = new FrameSender(options.sink);
    this.#window = scratchWindow;
    this.#at = options.scratchOffset;
    this.#reply = windows.views[scratchWindow];
    this.#guest = guest;
    this.#random = options.random;
  }

  /** Replies that found no room on their way to the guest. */
  get dropped(): number {
    return this.#sender.dropped;
  }

  /** When {@link LinkServices.turn} has something to send. */
  get deadlineMs(): number {
    return this.ndp.deadlineMs;
  }

  answerArp(packet: Packet, request: DataView): void {
    this.#send(this.arp.respond(packet, request, this.#reply, this.#at));
  }

  /** @param request holds the whole message. */
  answerNdp(packet: Packet, request: DataView): void {
    this.#send(this.ndp.respond(packet, request, this.#reply, this.#at));
  }

  /** @param request holds the whole frame. */
  answerDhcp(packet: Packet, request: DataView): void {
    if (this.dhcp !== null) this.#send(this.dhcp.respond(packet, request, this.#reply, this.#at));
  }

  /** @param request holds the whole frame. */
  answerDhcpv6(packet: Packet, request: DataView): void {
    if (this.dhcpv6 !== null) this.#send(this.dhcpv6.respond(packet, request, this.#reply, this.#at));
  }

  /** Sends the router advertisements that nobody asked for, when they are due. */
  turn(nowMs: number): void {
    if (this.ndp.due(nowMs, this.#random())) this.#send(this.ndp.advertise(this.#reply, this.#at, this.#guest.mac));
  }

  /** A guest is there from now on: advertise to it. */
  start(nowMs: number): void {
    this.ndp.schedule(nowMs, this.#random());
  }

  stop(): void {
    this.ndp.stop();
  }

  #send(lengthBytes: number): void {
    if (lengthBytes > 0) this.#sender.send(this.#window, this.#at, lengthBytes);
  }
}

function dhcpServer(link: LinkConfiguration): DhcpServer | null {
  const { ipv4 } = link;
  if (ipv4 === null || ipv4.guestAddress === null || ipv4.gateway === null) return null;
  return new DhcpServer({
    ourMac: link.ourMac,
    serverAddress: ipv4.gateway,
    guestAddress: ipv4.guestAddress,
    prefixLength: ipv4.prefixLength,
    router: ipv4.gateway,
    dnsServers: ipv4.nameServers,
    searchDomains: link.searchDomains,
    mtu: link.mtu,
  });
}

function dhcpv6Server(link: LinkConfiguration, startSeconds: number): Dhcpv6Server | null {
  const { ipv6 } = link;
  if (ipv6 === null || ipv6.guestAddress === null) return null;
  return new Dhcpv6Server({
    ourMac: link.ourMac,
    ourLinkLocal: link.ourLinkLocal,
    guestAddress: ipv6.guestAddress,
    duidSeconds: Math.max(0, Math.floor(startSeconds) - DUID_EPOCH_SECONDS),
    dnsServers: ipv6.nameServers,
    searchDomains: link.searchDomains,
  });
}

function routerOf(link: LinkConfiguration, ipv6: FamilyConfiguration, managed: boolean) {
  const { guestAddress, nameServers } = ipv6;
  return { prefix: guestAddress, mtu: link.mtu, dnsServers: nameServers, searchDomains: link.searchDomains, managed };
}
