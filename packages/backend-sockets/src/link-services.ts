import type { GuestIdentity } from "@passt-ts/address-map/guest-identity";
import { GuestServices, SERVICE_FRAME_BYTES_MAX } from "@passt-ts/guest-services/guest-services";
import type { LinkSettings } from "@passt-ts/guest-services/link-settings";
import type { WindowTable } from "@passt-ts/iov/windows";
import { Refused, type RxSink } from "@passt-ts/net-backend/rx-sink";
import type { Packet } from "@passt-ts/wire/packet";
import { FrameSender } from "./frame-sender.ts";

/** Bytes of scratch that the services need for their replies. */
export const SERVICE_SCRATCH_BYTES: number = (SERVICE_FRAME_BYTES_MAX + 7) & ~7;

/** The shortest Ethernet frame, its checksum left out. */
const FRAME_BYTES_MIN = 60;

export interface LinkServicesOptions {
  readonly windows: WindowTable;
  readonly sink: RxSink;
  /** {@link SERVICE_SCRATCH_BYTES} bytes that the services own. */
  readonly scratchWindow: number;
  readonly scratchOffset: number;
  readonly guest: GuestIdentity;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/** The services that the guest finds on its link, with the way to the guest: they begin and end with its ring. */
export class LinkServices {
  readonly responders: GuestServices;
  /**
   * The ring is there and its driver has not filled it yet: the owner asks {@link RxSink.wantRoom} for a turn when it
   * has. What is sent before that is lost.
   */
  waitsForRoom = false;
  readonly #sink: RxSink;
  readonly #sender: FrameSender;
  readonly #window: number;
  readonly #at: number;
  readonly #frame: DataView;
  readonly #random: () => number;
  #started = false;

  /** @throws RangeError, DomainNameError when something of `settings` cannot be put into a message. */
  constructor(settings: LinkSettings, options: LinkServicesOptions) {
    this.responders = new GuestServices(settings, options.guest);
    this.#sink = options.sink;
    this.#sender = new FrameSender(options.sink);
    this.#window = options.scratchWindow;
    this.#at = options.scratchOffset;
    this.#frame = options.windows.views[options.scratchWindow];
    this.#random = options.random;
  }

  /** Frames that found no room on their way to the guest. */
  get dropped(): number {
    return this.#sender.dropped;
  }

  /** When {@link LinkServices.turn} has something to send. */
  get deadlineMs(): number {
    return this.responders.deadlineMs;
  }

  /**
   * Goes by `settings` from now on.
   *
   * @throws RangeError, DomainNameError when something cannot be put into a message; all old settings then stay.
   */
  configure(settings: LinkSettings, nowMs: number): void {
    this.responders.configure(settings, nowMs);
  }

  answerArp(packet: Packet, request: DataView): void {
    this.#send(this.responders.respondArp(packet, request, this.#frame, this.#at));
  }

  /** @param request holds the whole message. */
  answerNdp(packet: Packet, request: DataView): void {
    this.#send(this.responders.respondNdp(packet, request, this.#frame, this.#at));
  }

  /** @param request holds the whole frame. */
  answerDhcp(packet: Packet, request: DataView): void {
    this.#send(this.responders.respondDhcp(packet, request, this.#frame, this.#at));
  }

  /** @param request holds the whole frame. */
  answerDhcpv6(packet: Packet, request: DataView): void {
    this.#send(this.responders.respondDhcpv6(packet, request, this.#frame, this.#at));
  }

  /** Sees whether the ring came or went, and sends what nobody asked for when it is due. */
  turn(nowMs: number): void {
    if (!this.#sink.ready) this.#stop();
    else if (!this.#started) this.#start(nowMs);
    while (nowMs >= this.responders.deadlineMs) {
      const lengthBytes = this.responders.writeDue(nowMs, this.#random(), this.#frame, this.#at);
      if (lengthBytes === 0) return;
      this.#send(lengthBytes);
    }
  }

  /** The guest is a new one: what the last one did is forgotten. */
  reset(nowMs: number): void {
    this.#stop();
    if (this.#sink.ready) this.#start(nowMs);
  }

  /** Begins when a frame can be sent: a driver is there before its ring has buffers. */
  #start(nowMs: number): void {
    const index = this.#sink.reserve(FRAME_BYTES_MIN);
    this.waitsForRoom = index === Refused.noRoom;
    if (this.waitsForRoom) return;
    if (index >= 0) this.#sink.giveBack(index);
    this.#started = true;
    this.responders.start(nowMs, this.#random());
  }

  #stop(): void {
    this.waitsForRoom = false;
    if (!this.#started) return;
    this.#started = false;
    this.responders.stop();
  }

  #send(lengthBytes: number): void {
    if (lengthBytes > 0) this.#sender.send(this.#window, this.#at, lengthBytes);
  }
}
