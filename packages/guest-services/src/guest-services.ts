/**
 * All that a guest finds on its link, by one set of settings that can be replaced while it runs. The guest writes the
 * requests; each costs at most one reply of {@link SERVICE_FRAME_BYTES_MAX} bytes.
 */
import type { Packet } from "@passt-ts/wire/packet";
import { ArpResponder } from "./arp.ts";
import { DHCP_REPLY_BYTES_MAX, DhcpServer } from "./dhcp.ts";
import { encodeDhcpOptions } from "./dhcp-config.ts";
import { Dhcpv6Server } from "./dhcpv6.ts";
import { encodeDhcpv6Settings } from "./dhcpv6-config.ts";
import { GuestDiscovery, Question } from "./guest-discovery.ts";
import {
  arpConfigOf,
  dhcpConfigOf,
  dhcpv6ConfigOf,
  type GuestOnLink,
  hasNdp,
  type LinkSettings,
  ndpConfigOf,
} from "./link-settings.ts";
import { NdpResponder } from "./ndp.ts";
import { encodeAdvertisement, NOTHING_WITHDRAWN } from "./router-advertisement.ts";

/** The longest frame that a service writes. */
export const SERVICE_FRAME_BYTES_MAX: number = DHCP_REPLY_BYTES_MAX;

/**
 * ARP, neighbor discovery, router advertisements, DHCP and DHCPv6 for one guest.
 *
 * The `respond...` methods take a frame as the services do, write the reply at `replyAt` of `reply`, which has room for
 * {@link SERVICE_FRAME_BYTES_MAX}, and return its length; 0 when there is none, as when the service is off.
 */
export class GuestServices {
  readonly arp: ArpResponder;
  readonly ndp: NdpResponder;
  /** Null while there is none by the settings. */
  dhcp: DhcpServer | null = null;
  dhcpv6: Dhcpv6Server | null = null;
  readonly #guest: GuestOnLink;
  #settings: LinkSettings;
  readonly #discovery = new GuestDiscovery();

  /** @throws RangeError, DomainNameError as {@link GuestServices.configure}. */
  constructor(settings: LinkSettings, guest: GuestOnLink) {
    this.#guest = guest;
    this.#settings = settings;
    this.arp = new ArpResponder(arpConfigOf(settings, guest));
    this.ndp = new NdpResponder(ndpConfigOf(settings, guest));
    this.#configureServers(settings);
  }

  /**
   * Goes by `settings` from the next request on. A guest that is there learns by router advertisements at once what is
   * new; DHCP and DHCPv6 tell it when it asks the next time, at the latest when it renews.
   *
   * @throws RangeError, DomainNameError when something cannot be put into an option; all old settings then stay.
   */
  configure(settings: LinkSettings, nowMs: number): void {
    const ndp = ndpConfigOf(settings, this.#guest);
    // The last that can throw, tried before anything is changed.
    if (ndp.router !== null) encodeAdvertisement(ndp.router, NOTHING_WITHDRAWN, ndp.ourMac);
    this.#configureServers(settings);
    this.ndp.configure(ndp, nowMs);
    this.arp.configure(arpConfigOf(settings, this.#guest));
    this.#settings = settings;
  }

  /** When {@link GuestServices.writeDue} has something to send, or Infinity. */
  get deadlineMs(): number {
    return Math.min(this.#discovery.deadlineMs, this.ndp.deadlineMs);
  }

  /** Frames can reach a guest from now on, a new one perhaps: it is asked who it is, and advertised to. */
  start(nowMs: number, random: number): void {
    this.arp.reset();
    this.ndp.schedule(nowMs, random);
    this.#discovery.start(nowMs);
  }

  /** The guest is gone: nothing is sent to it unasked. */
  stop(): void {
    this.arp.reset();
    this.ndp.stop();
    this.#discovery.stop();
  }

  /**
   * Writes the next frame that is due at `at` of `frame`, which has room for {@link SERVICE_FRAME_BYTES_MAX}; returns its
   * length, 0 when no further one is due now.
   *
   * @param random uniform in [0, 1).
   */
  writeDue(nowMs: number, random: number, frame: DataView, at: number): number {
    const guest = this.#guest;
    for (;;) {
      const question = this.#discovery.next(nowMs, guest.macObserved);
      if (question === Question.none) break;
      const lengthBytes = question === Question.arp ? this.#askByArp(frame, at) : this.#askByNdp(frame, at);
      if (lengthBytes > 0) return lengthBytes;
    }
    return this.ndp.due(nowMs, random) ? this.ndp.advertise(frame, at, guest.mac) : 0;
  }

  respondArp(packet: Packet, request: DataView, reply: DataView, replyAt: number): number {
    return this.#settings.ipv4 === null ? 0 : this.arp.respond(packet, request, reply, replyAt);
  }

  /** @param request holds the whole message. */
  respondNdp(packet: Packet, request: DataView, reply: DataView, replyAt: number): number {
    return hasNdp(this.#settings) ? this.ndp.respond(packet, request, reply, replyAt) : 0;
  }

  /** @param request holds the whole frame. */
  respondDhcp(packet: Packet, request: DataView, reply: DataView, replyAt: number): number {
    return this.dhcp === null ? 0 : this.dhcp.respond(packet, request, reply, replyAt);
  }

  /** @param request holds the whole frame. */
  respondDhcpv6(packet: Packet, request: DataView, reply: DataView, replyAt: number): number {
    return this.dhcpv6 === null ? 0 : this.dhcpv6.respond(packet, request, reply, replyAt);
  }

  #askByArp(frame: DataView, at: number): number {
    return this.#settings.ipv4 === null ? 0 : this.arp.ask(this.#guest.ipv4, frame, at);
  }

  #askByNdp(frame: DataView, at: number): number {
    if (!hasNdp(this.#settings)) return 0;
    const { ipv6Global, ipv6LinkLocal } = this.#guest;
    return this.ndp.ask(ipv6Global, frame, at) || this.ndp.ask(ipv6LinkLocal, frame, at);
  }

  #configureServers(settings: LinkSettings): void {
    const dhcp = dhcpConfigOf(settings);
    const dhcpv6 = dhcpv6ConfigOf(settings);
    if (dhcp !== null) encodeDhcpOptions(dhcp);
    if (dhcpv6 !== null) encodeDhcpv6Settings(dhcpv6);
    if (dhcp === null) this.dhcp = null;
    else if (this.dhcp === null) this.dhcp = new DhcpServer(dhcp);
    else this.dhcp.configure(dhcp);
    if (dhcpv6 === null) this.dhcpv6 = null;
    else if (this.dhcpv6 === null) this.dhcpv6 = new Dhcpv6Server(dhcpv6);
    else this.dhcpv6.configure(dhcpv6);
  }
}
