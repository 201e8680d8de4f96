import { equals, isUnspecified } from "@passt-ts/address-map/address";
import { Refused } from "@passt-ts/net-backend/rx-sink";
import { Icmp, IcmpType, icmpCode, icmpSequence, icmpType } from "@passt-ts/wire/icmp";
import { Icmpv6Type } from "@passt-ts/wire/icmpv6";
import { IpProtocol } from "@passt-ts/wire/ipv4";
import { EchoCounter } from "./echo-counter.ts";
import type { EchoFlows } from "./echo-flows.ts";
import type { EchoSlots } from "./echo-slots.ts";
import { REPLY_TOO_LONG, type ReplyWriter, replyHeaderBytes } from "./reply-writer.ts";
import type { EchoSocketPort } from "./socket-port.ts";

export interface EchoReceiverOptions {
  port: EchoSocketPort;
  flows: EchoFlows;
  slots: EchoSlots;
  writer: ReplyWriter;
  counters: Float64Array;
}

/**
 * Host to guest: replies are received into slots first, and each gets a frame of exactly its length afterwards.
 *
 * A receive touches the socket and the slots alone. What finds no room in the ring stays in its slot for the next
 * {@link deliver}, and nothing is received until it is gone.
 */
export class EchoReceiver {
  readonly #port: EchoSocketPort;
  readonly #flows: EchoFlows;
  readonly #slots: EchoSlots;
  readonly #writer: ReplyWriter;
  readonly #counters: Float64Array;
  #flow = -1;
  #next = 0;
  #count = 0;

  constructor(options: EchoReceiverOptions) {
    this.#port = options.port;
    this.#flows = options.flows;
    this.#slots = options.slots;
    this.#writer = options.writer;
    this.#counters = options.counters;
  }

  /** Receives into all slots from the socket of `flow`; nothing may be staged. Returns the port's result. */
  receive(socket: number, flow: number): number {
    const received = this.#port.receiveBatch(socket, this.#slots);
    this.#flow = flow;
    this.#next = 0;
    this.#count = Math.max(0, received);
    return received;
  }

  /** Gives the guest what is staged; false when the ring had no room and some is left. */
  deliver(nowMs: number): boolean {
    while (this.#next < this.#count) {
      if (!this.#deliverSlot(this.#next, nowMs)) return false;
      this.#next++;
    }
    return true;
  }

  /** Drops what is staged for a flow that ends. */
  ended(flow: number): void {
    if (this.#flow !== flow) return;
    this.#counters[EchoCounter.droppedFlowEnded] += this.#count - this.#next;
    this.#next = this.#count;
  }

  /** Drops the oldest staged reply; the length of the frame it would have been, or 0 when none is staged. */
  discard(): number {
    if (this.#next === this.#count) return 0;
    const v4 = this.#flows.table.protocol[this.#flow] === IpProtocol.icmp;
    return replyHeaderBytes(v4) + Math.max(0, this.#slots.lengthBytes[this.#next++] - Icmp.headerBytes);
  }

  /** False when there is no room now; true when the reply is delivered, or dropped and counted. */
  #deliverSlot(slot: number, nowMs: number): boolean {
    const flow = this.#flow;
    if (!this.#isReply(slot, flow)) return this.#drop(EchoCounter.droppedReply);
    const slots = this.#slots;
    const { table } = this.#flows;
    const at = slots.slotAt(slot);
    const result = this.#writer.write(
      table.peerAddress,
      4 * flow,
      table.guestAddress,
      4 * flow,
      table.guestPort[flow],
      icmpSequence(slots.windows.views[slots.window], at),
      slots.window,
      at + Icmp.headerBytes,
      slots.lengthBytes[slot] - Icmp.headerBytes,
    );
    if (result === Refused.noRoom) return false;
    if (result === Refused.notReady) return this.#drop(EchoCounter.droppedNotReady);
    if (result === Refused.tooLong || result === REPLY_TOO_LONG) return this.#drop(EchoCounter.droppedTooLong);
    this.#counters[EchoCounter.repliesToGuest]++;
    this.#flows.seen(flow, nowMs);
    return true;
  }

  /** A connected ping socket hands out replies with its identifier from any source; the guest asked one. */
  #isReply(slot: number, flow: number): boolean {
    const slots = this.#slots;
    if (slots.truncated[slot] !== 0 || slots.lengthBytes[slot] < Icmp.headerBytes) return false;
    if (!isUnspecified(slots.address, 4 * slot)) {
      if (!equals(slots.address, 4 * slot, this.#flows.hostAddress, 4 * flow)) return false;
    }
    const view = slots.windows.views[slots.window];
    const at = slots.slotAt(slot);
    const v4 = this.#flows.table.protocol[flow] === IpProtocol.icmp;
    return icmpType(view, at) === (v4 ? IcmpType.echoReply : Icmpv6Type.echoReply) && icmpCode(view, at) === 0;
  }

  #drop(counter: number): true {
    this.#counters[counter]++;
    return true;
  }
}
