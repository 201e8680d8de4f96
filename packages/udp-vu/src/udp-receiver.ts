import { copy, isIpv4Mapped } from "@passt-ts/address-map/address";
import type { AddressMap } from "@passt-ts/address-map/address-map";
import { FlowKey } from "@passt-ts/flow/flow-key";
import { Refused, type RxSink } from "@passt-ts/net-backend/rx-sink";
import type { DatagramSlots } from "./datagram-slots.ts";
import { type DatagramWriter, datagramHeaderBytes } from "./datagram-writer.ts";
import type { UdpSocketPort } from "./socket-port.ts";
import { UdpCounter } from "./udp-counter.ts";
import { CONNECTED, Direction, type UdpFlows } from "./udp-flows.ts";
import type { UdpListeners } from "./udp-listeners.ts";

export interface UdpReceiverOptions {
  port: UdpSocketPort;
  sink: RxSink;
  addressMap: AddressMap;
  flows: UdpFlows;
  listeners: UdpListeners;
  slots: DatagramSlots;
  writer: DatagramWriter;
  counters: Float64Array;
}

/**
 * Host to guest: datagrams are received into slots first, and each gets a frame of exactly its length afterwards. Those
 * that the kernel joined in one slot are taken apart again, or leave in one frame where the driver takes that.
 *
 * A receive touches the socket and the slots alone, so there is nothing to undo when it gives nothing. What finds no
 * room in the ring stays in its slot for the next {@link deliver}, and nothing is received until it is gone.
 */
export class UdpReceiver {
  readonly #port: UdpSocketPort;
  readonly #sink: RxSink;
  readonly #addressMap: AddressMap;
  readonly #flows: UdpFlows;
  readonly #listeners: UdpListeners;
  readonly #slots: DatagramSlots;
  readonly #writer: DatagramWriter;
  readonly #counters: Float64Array;
  readonly #key: FlowKey = new FlowKey();
  readonly #hostPeer: Uint32Array = new Uint32Array(4);
  /** Whose datagrams are staged: a connected flow's, or those of a listener. */
  #flow = -1;
  #listener = CONNECTED;
  #next = 0;
  #count = 0;
  /** Bytes of slot {@link UdpReceiver.#next} that are delivered. */
  #done = 0;

  constructor(options: UdpReceiverOptions) {
    this.#port = options.port;
    this.#sink = options.sink;
    this.#addressMap = options.addressMap;
    this.#flows = options.flows;
    this.#listeners = options.listeners;
    this.#slots = options.slots;
    this.#writer = options.writer;
    this.#counters = options.counters;
  }

  /** Datagrams that wait in slots. */
  get staged(): number {
    let datagrams = 0;
    for (let slot = this.#next; slot < this.#count; slot++) {
      datagrams += this.#slots.datagramCount(slot, slot === this.#next ? this.#done : 0);
    }
    return datagrams;
  }

  /**
   * Receives into all slots from the socket of `flow` or, when `listener` is not CONNECTED, of that listener. Nothing
   * may be staged. Returns the port's result.
   */
  receive(socket: number, flow: number, listener: number): number {
    this.#counters[UdpCounter.receiveCalls]++;
    const received = this.#port.receiveBatch(socket, this.#slots);
    this.#flow = flow;
    this.#listener = listener;
    this.#next = 0;
    this.#done = 0;
    this.#count = Math.max(0, received);
    return received;
  }

  /** Gives the guest what is staged; false when the ring had no room and some is left. */
  deliver(nowMs: number): boolean {
    while (this.#next < this.#count) {
      if (!this.#deliverSlot(this.#next, nowMs)) return false;
      this.#next++;
      this.#done = 0;
    }
    return true;
  }

  /** Drops what is staged for a flow or a listener that ends. */
  ended(flow: number, listener: number): void {
    if (this.#next === this.#count || this.#listener !== listener) return;
    if (listener === CONNECTED && this.#flow !== flow) return;
    this.#counters[UdpCounter.droppedFlowEnded] += this.staged;
    this.#next = this.#count;
  }

  /** Drops the oldest staged datagram; the length of the frame it would have been, or 0 when none is staged. */
  discard(): number {
    if (this.#next === this.#count) return 0;
    const slot = this.#next;
    const { address, lengthBytes } = this.#slots;
    const bytes = this.#slots.datagramBytes(slot, this.#done);
    this.#done += bytes;
    if (this.#done >= lengthBytes[slot]) {
      this.#next++;
      this.#done = 0;
    }
    const connected = this.#listener === CONNECTED;
    const v4 = connected
      ? isIpv4Mapped(this.#flows.table.peerAddress, 4 * this.#flow)
      : isIpv4Mapped(address, 4 * slot);
    return datagramHeaderBytes(v4) + bytes;
  }

  /** False when there is no room now; true when each datagram of the slot is delivered, or dropped and counted. */
  #deliverSlot(slot: number, nowMs: number): boolean {
    if (this.#slots.truncated[slot] !== 0) return this.#dropSlot(slot, UdpCounter.droppedTruncated);
    // Before the flow is made: datagrams that no guest gets need none.
    if (!this.#sink.ready) return this.#dropSlot(slot, UdpCounter.droppedNotReady);
    const flow = this.#listener === CONNECTED ? this.#flow : this.#inboundFlow(slot, nowMs);
    if (flow < 0) return true;
    const slots = this.#slots;
    const total = slots.lengthBytes[slot];
    const segmentBytes = slots.segmentBytes[slot];
    let joinedMax = 0;
    if (segmentBytes > 0 && segmentBytes < total) {
      const v4 = isIpv4Mapped(this.#flows.table.peerAddress, 4 * flow);
      joinedMax = this.#writer.joinedBytesMax(v4, segmentBytes);
    }
    do {
      const one = slots.datagramBytes(slot, this.#done);
      const joined = Math.min(joinedMax, total - this.#done);
      const isJoined = joined > one;
      const bytes = isJoined ? joined : one;
      const result = this.#write(flow, slots.slotAt(slot) + this.#done, bytes, isJoined ? segmentBytes : 0);
      if (result === Refused.noRoom) return false;
      if (result === Refused.tooLong && isJoined) {
        // No buffer holds them together: each goes for itself.
        joinedMax = 0;
        continue;
      }
      if (result === Refused.notReady) return this.#dropSlot(slot, UdpCounter.droppedNotReady);
      if (result < 0) this.#counters[UdpCounter.droppedTooLong]++;
      else {
        this.#counters[UdpCounter.datagramsToGuest] += isJoined ? Math.ceil(bytes / segmentBytes) : 1;
        this.#counters[UdpCounter.bytesToGuest] += bytes;
        this.#flows.seen(flow, Direction.toGuest, nowMs);
      }
      this.#done += bytes;
    } while (this.#done < total);
    return true;
  }

  /** A frame of {@link DatagramWriter.write} for `flow`, whose payload lies at `from` of the slots' window. */
  #write(flow: number, from: number, lengthBytes: number, segmentBytes: number): number {
    const { table } = this.#flows;
    return this.#writer.write(
      table.peerAddress,
      4 * flow,
      table.peerPort[flow],
      table.guestAddress,
      4 * flow,
      table.guestPort[flow],
      this.#slots.window,
      from,
      lengthBytes,
      segmentBytes,
    );
  }

  /** The flow of the datagram in `slot`, which came in through a listener: found or made; -1 when it is dropped. */
  #inboundFlow(slot: number, nowMs: number): number {
    const slots = this.#slots;
    const flows = this.#flows;
    const listener = this.#listener;
    const key = this.#key;
    copy(this.#hostPeer, 0, slots.address, 4 * slot);
    if (slots.port[slot] === 0 || !this.#addressMap.toGuest(this.#hostPeer, key.peer)) {
      this.#dropSlot(slot, UdpCounter.droppedRefused);
      return -1;
    }
    if (!this.#listeners.completeKey(listener, slots.port[slot], this.#addressMap, key)) {
      this.#dropSlot(slot, UdpCounter.droppedNoGuestAddress);
      return -1;
    }
    let flow = flows.table.find(key);
    if (flow === -1) {
      flow = flows.insert(key, nowMs);
      if (flow === -1) {
        this.#dropSlot(slot, UdpCounter.droppedFlowTableFull);
        return -1;
      }
      this.#counters[UdpCounter.flowsOpened]++;
    } else if (flows.listener[flow] === CONNECTED) return flow;
    // Replies go where the newest datagram came from: two peers of the host may look the same to the guest.
    flows.listener[flow] = listener;
    flows.socket[flow] = this.#listeners.socket[listener];
    copy(flows.hostAddress, 4 * flow, this.#hostPeer, 0);
    copy(flows.localAddress, 4 * flow, slots.localAddress, 4 * slot);
    flows.scope[flow] = slots.scope[slot];
    return flow;
  }

  /** Drops what is left of the slot. */
  #dropSlot(slot: number, counter: number): true {
    this.#counters[counter] += this.#slots.datagramCount(slot, this.#done);
    return true;
  }
}
