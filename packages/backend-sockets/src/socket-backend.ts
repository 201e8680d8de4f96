/**
 * Trust: the guest writes every frame that comes in here. The headers are copied out once, checked there and used from
 * there; what nobody wants is dropped and counted by reason.
 */
import { GuestIdentity } from "@passt-ts/address-map/guest-identity";
import { Iov, IovPool } from "@passt-ts/iov/iov";
import { gather } from "@passt-ts/iov/memcopy";
import { type MappedMemory, mapAnonymous } from "@passt-ts/linux/mapped-memory";
import { closeFd } from "@passt-ts/linux/owned-fd";
import { Capability, type NetBackend, type NetHeaderLength } from "@passt-ts/net-backend/backend";
import type { FrameBatch } from "@passt-ts/net-backend/frame-batch";
import { isNetHeaderLength } from "@passt-ts/net-backend/header-length";
import type { RxSink } from "@passt-ts/net-backend/rx-sink";
import { DhcpPort } from "@passt-ts/wire/dhcp";
import { Dhcpv6Port } from "@passt-ts/wire/dhcpv6";
import { EtherType } from "@passt-ts/wire/ethernet";
import { icmpType } from "@passt-ts/wire/icmp";
import { Icmpv6Type } from "@passt-ts/wire/icmpv6";
import { isUnspecifiedIpv6 } from "@passt-ts/wire/ip-address";
import { IpProtocol } from "@passt-ts/wire/ipv4";
import { NeighborSolicitation } from "@passt-ts/wire/ndp";
import { Drop, Packet } from "@passt-ts/wire/packet";
import { checkUdp, udpDestinationPort } from "@passt-ts/wire/udp";
import { BACKEND_COUNTERS, BackendCounter } from "./backend-counter.ts";
import { ENGINE_SCRATCH_BYTES, Engines } from "./engines.ts";
import type { LinkConfiguration } from "./link-configuration.ts";
import { guestAddressesOf } from "./link-mapping.ts";
import type { SocketBackendOptions } from "./socket-backend-options.ts";

/** The most header bytes of a frame that are looked at; a longer chain of headers is dropped. */
const HEADER_BYTES_MAX = 256;
/** The longest frame that a service takes whole. */
const SERVICE_FRAME_BYTES_MAX = 2048;
const SCRATCH_BYTES: number = SERVICE_FRAME_BYTES_MAX + ENGINE_SCRATCH_BYTES;

/** Turns the frames of one guest into ordinary sockets of the host, and what comes back into frames. */
export class SocketBackend implements NetBackend {
  /** Sockets need neither checksums nor segments, so that both are left out wherever the guest's driver agrees. */
  readonly capabilities: number =
    Capability.takesPartialChecksum |
    Capability.takesTso4 |
    Capability.takesTso6 |
    Capability.takesUso |
    Capability.givesPartialChecksum |
    Capability.givesTso4 |
    Capability.givesTso6 |
    Capability.givesUso;
  /** By {@link BackendCounter}. */
  readonly counters: Float64Array = new Float64Array(BACKEND_COUNTERS);
  readonly #options: SocketBackendOptions;
  readonly #scratch: MappedMemory;
  readonly #window: number;
  readonly #view: DataView;
  readonly #packet: Packet = new Packet();
  readonly #guest: GuestIdentity;
  #link: LinkConfiguration;
  #frame: Iov;
  /** The same over datagrams that were put together from fragments. */
  #wholeFrame: Iov;
  #engines: Engines | null = null;

  constructor(options: SocketBackendOptions) {
    const { windows, link } = options;
    this.#options = options;
    this.#link = link;
    this.#scratch = mapAnonymous(SCRATCH_BYTES);
    this.#window = windows.add(this.#scratch.bytes(0, SCRATCH_BYTES), this.#scratch.address);
    this.#view = windows.views[this.#window];
    this.#frame = new Iov(new IovPool(windows, 1));
    this.#wholeFrame = this.#frame;
    this.#guest = new GuestIdentity({ ourMac: link.ourMac, ...guestAddressesOf(link) });
  }

  /** The protocol engines, for their counters; null until a device is attached. */
  get engines(): Engines | null {
    return this.#engines;
  }

  /** What is known of the guest. */
  get guest(): Readonly<GuestIdentity> {
    return this.#guest;
  }

  get deadlineMs(): number {
    return this.#engines === null ? Number.POSITIVE_INFINITY : this.#engines.deadlineMs;
  }

  /** Sockets need no virtio-net header, so every length that one can have will do. */
  setCapabilities(_capabilities: number, headerLength: NetHeaderLength): number {
    return isNetHeaderLength(headerLength) ? 0 : -1;
  }

  attach(sink: RxSink): void {
    if (this.#engines !== null) throw new Error("a device is attached already");
    this.#engines = new Engines({
      ...this.#options,
      link: this.#link,
      sink,
      guest: this.#guest,
      scratchWindow: this.#window,
      scratchOffset: SERVICE_FRAME_BYTES_MAX,
    });
    this.#wholeFrame = new Iov(this.#engines.reassembly.frames.pool);
  }

  send(frames: FrameBatch, count: number, nowMs: number): void {
    const engines = this.#engines;
    if (engines === null) return;
    if (this.#frame.pool !== frames.pool) this.#frame = new Iov(frames.pool);
    this.counters[BackendCounter.frames] += count;
    for (let index = 0; index < count; index++) {
      this.counters[BackendCounter.bytes] += frames.length[index];
      this.#input(engines, frames, index, nowMs);
      if (engines.reassembly.isFull) this.#endBatch(engines, nowMs);
    }
    this.#endBatch(engines, nowMs);
  }

  turn(nowMs: number): boolean {
    return this.#engines?.turn(nowMs) ?? false;
  }

  /**
   * Goes by another link from now on: what the guest is told, what its addresses mean, and how it leaves the host. Our
   * MAC address and the MTU stay. Connections go on; flows of datagrams begin anew when they may have to take another
   * way.
   *
   * @throws RangeError, DomainNameError when something cannot be put into a message; nothing is changed then.
   */
  configure(link: LinkConfiguration, nowMs: number): void {
    const { ourMac, mtu } = this.#link;
    const next = { ...link, ourMac, mtu };
    this.#engines?.configure(next, nowMs);
    this.#link = next;
    this.#guest.configure(guestAddressesOf(next));
  }

  reset(nowMs: number): void {
    this.#guest.reset();
    this.#engines?.reset(nowMs);
  }

  discard(): number {
    return this.#engines?.udp.discard() ?? 0;
  }

  close(): void {
    if (this.#scratch.address === 0) return;
    // The forwards are the engines' once there are any.
    if (this.#engines === null) for (const { fd } of this.#options.forwards) closeFd(fd);
    else this.#engines.close();
    this.#engines = null;
    this.#options.windows.remove(this.#window);
    this.#scratch.close();
  }

  /** Hands on what fragments of the batch made whole, and ends it: then the memory of these datagrams is free again. */
  #endBatch(engines: Engines, nowMs: number): void {
    const { frames } = engines.reassembly;
    if (frames.count > 0) {
      const frame = this.#frame;
      this.#frame = this.#wholeFrame;
      for (let index = 0; index < frames.count; index++) this.#input(engines, frames, index, nowMs);
      this.#frame = frame;
    }
    engines.endBatch(nowMs);
    engines.reassembly.release();
  }

  /** Copies the headers of frame `index` out, checks them and hands the frame to whom it concerns. */
  #input(engines: Engines, frames: FrameBatch, index: number, nowMs: number): void {
    const { counters } = this;
    const packet = this.#packet;
    const view = this.#view;
    const frame = frames.select(index, this.#frame);
    const offset = frames.offset[index];
    const lengthBytes = frames.length[index];
    const gathered = gather(frame, offset, this.#window, 0, Math.min(lengthBytes, HEADER_BYTES_MAX));
    const reason = packet.parse(view, 0, gathered, lengthBytes);
    if (reason !== Drop.none) {
      counters[BackendCounter.dropped + reason]++;
      return;
    }
    const link = this.#link;
    if (packet.ipVersion === 6 ? link.ipv6 === null : link.ipv4 === null) {
      counters[BackendCounter.familyOff]++;
      return;
    }
    this.#guest.observe(view, packet.sourceMacAt, packet.ipVersion, packet.sourceAt);
    if (packet.isFragment) {
      counters[BackendCounter.fragments]++;
      engines.reassembly.input(packet, view, frame, offset, nowMs);
      return;
    }
    if (packet.etherType === EtherType.arp) engines.services.answerArp(packet, view);
    else if (packet.protocol === IpProtocol.tcp) {
      if (link.switches?.tcp === false) counters[BackendCounter.switchedOff]++;
      else engines.tcp.input(packet, view, frame, offset, nowMs);
    } else if (packet.protocol === IpProtocol.udp) this.#inputUdp(engines, frames, index, nowMs);
    else this.#inputIcmp(engines, frame, offset, lengthBytes, nowMs);
  }

  #inputUdp(engines: Engines, frames: FrameBatch, index: number, nowMs: number): void {
    const packet = this.#packet;
    const frame = this.#frame;
    const offset = frames.offset[index];
    const lengthBytes = frames.length[index];
    const isDatagram = checkUdp(this.#view, packet.l4At, packet.end, packet.l4Length) >= 0;
    const port = isDatagram ? udpDestinationPort(this.#view, packet.l4At) : 0;
    if (packet.ipVersion === 4 && port === DhcpPort.server) {
      if (this.#gatherWhole(frame, offset, lengthBytes)) engines.services.answerDhcp(packet, this.#view);
    } else if (packet.ipVersion === 6 && port === Dhcpv6Port.server) {
      if (this.#gatherWhole(frame, offset, lengthBytes)) engines.services.answerDhcpv6(packet, this.#view);
    } else if (this.#link.switches?.udp === false) this.counters[BackendCounter.switchedOff]++;
    else engines.udp.input(packet, this.#view, frame, offset, nowMs, frames.gsoSize[index]);
  }

  #inputIcmp(engines: Engines, frame: Iov, offset: number, lengthBytes: number, nowMs: number): void {
    const packet = this.#packet;
    const isIcmpv6 = packet.ipVersion === 6 && packet.protocol === IpProtocol.icmpv6;
    if (!isIcmpv6 && !(packet.ipVersion === 4 && packet.protocol === IpProtocol.icmp)) {
      this.counters[BackendCounter.protocol]++;
      return;
    }
    if (this.#link.switches?.icmp === false) {
      this.counters[BackendCounter.switchedOff]++;
      return;
    }
    const type = packet.end > packet.l4At ? icmpType(this.#view, packet.l4At) : 0;
    if (!isIcmpv6 || type < Icmpv6Type.routerSolicitation || type > Icmpv6Type.neighborAdvertisement) {
      if (!engines.icmp.input(packet, this.#view, frame, offset, nowMs)) this.counters[BackendCounter.protocol]++;
      return;
    }
    // Neighbor discovery does not come in fragments, nor in the only one (RFC 6980 section 5).
    if (packet.hasFragmentHeader || this.#frame === this.#wholeFrame) {
      this.counters[BackendCounter.protocol]++;
      return;
    }
    if (!this.#gatherWhole(frame, offset, lengthBytes)) return;
    this.#learnFromDuplicateDetection(type);
    engines.services.answerNdp(packet, this.#view);
  }

  /**
   * A guest that asks whether an address is taken (RFC 4862 section 5.4) is about to use it: knowing that before its
   * first packet from there lets inbound flows reach it.
   */
  #learnFromDuplicateDetection(type: number): void {
    const packet = this.#packet;
    const targetAt = packet.l4At + NeighborSolicitation.target;
    if (type !== Icmpv6Type.neighborSolicitation || targetAt + 16 > packet.end) return;
    if (isUnspecifiedIpv6(this.#view, packet.sourceAt)) {
      this.#guest.observe(this.#view, packet.sourceMacAt, 6, targetAt);
    }
  }

  /** Copies out what else there is of a frame for a service and parses again; false when the frame is too long. */
  #gatherWhole(frame: Iov, offset: number, lengthBytes: number): boolean {
    if (lengthBytes > SERVICE_FRAME_BYTES_MAX) {
      this.counters[BackendCounter.serviceTooLong]++;
      return false;
    }
    if (lengthBytes <= HEADER_BYTES_MAX) return true;
    // All of it anew, and parsed anew: the guest may have changed the first bytes in between.
    const gathered = gather(frame, offset, this.#window, 0, lengthBytes);
    return this.#packet.parse(this.#view, 0, gathered, lengthBytes) === Drop.none && !this.#packet.isFragment;
  }
}
