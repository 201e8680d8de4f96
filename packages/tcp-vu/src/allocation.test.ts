import { expect, test } from "bun:test";
import { ipv4Words } from "@passt-ts/address-map/address";
import { AddressMap } from "@passt-ts/address-map/address-map";
import { GuestIdentity } from "@passt-ts/address-map/guest-identity";
import { Iov, IovPool } from "@passt-ts/iov/iov";
import { WindowTable } from "@passt-ts/iov/windows";
import { Packet } from "@passt-ts/wire/packet";
import { TcpEngine } from "./engine.ts";
import { SCRATCH_BYTES } from "./segment-builder.ts";
import { F, serializeSegment } from "./testing/frames.ts";
import { synOptions } from "./testing/guest-end.ts";
import { NullSink, NullSockets } from "./testing/null-ends.ts";

/** With 12 segments a round, 20 bytes of garbage for each make the engine collect: it does after some 8 to 16 MiB. */
const ROUNDS = 80_000;
const MSS = 1460;
const SEQUENCE_AT = 38;
const ACKNOWLEDGMENT_AT = 42;

/** An engine with one connection, and a frame that continues it without making anything. */
class Rig {
  readonly sockets: NullSockets = new NullSockets();
  readonly sink: NullSink;
  readonly #engine: TcpEngine;
  readonly #packet: Packet = new Packet();
  readonly #frame: Iov;
  readonly #view: DataView;
  readonly #length: number;
  #sequence = 0;
  #acknowledgment = 0;
  #nowMs = 1000;

  constructor() {
    // A table's own copy makes a view for longer pieces; the daemon gives it a native one.
    const windows = new WindowTable((table, to, toOffset, from, fromOffset, lengthBytes) => {
      const target = table.bytes[to];
      const source = table.bytes[from];
      for (let i = 0; i < lengthBytes; i++) target[toOffset + i] = source[fromOffset + i];
    });
    this.sink = new NullSink(windows, 64, 1600);
    const [ipv4, gateway4] = [ipv4Words(0x0a000002), ipv4Words(0x0a000001)];
    const guest = new GuestIdentity({ ourMac: new Uint8Array(6), ipv4, ipv6Global: null });
    const none = { gateway6: null, hostLoopback4: null, hostLoopback6: null, guestHostAddress4: null };
    const maps = { guestHostAddress6: null, mapGuestAddress4: null, mapGuestAddress6: null };
    const addressMap = new AddressMap({ gateway4, ourLinkLocal: new Uint32Array(4), ...none, ...maps, guest });
    const scratch = { scratchWindow: windows.add(new Uint8Array(SCRATCH_BYTES)), scratchOffset: 0 };
    const limits = { secret: new Uint32Array(8), mtu: 65520, nowMs: this.#nowMs, capacity: 4 };
    this.#engine = new TcpEngine({ sink: this.sink, sockets: this.sockets, addressMap, guest, ...scratch, ...limits });
    const bytes = serializeSegment({ flags: F.ack, payload: new Uint8Array(MSS) });
    const pool = new IovPool(windows, 1);
    pool.append(windows.add(bytes), 0, bytes.length);
    this.#frame = new Iov(pool, 0, 1);
    this.#view = new DataView(bytes.buffer);
    this.#length = bytes.length;
    this.#open();
  }

  /** 4 segments from the guest, what they bring, 8 segments to the guest, and their acknowledgment with the next 4. */
  round(): void {
    for (let i = 0; i < 4; i++) {
      this.#view.setUint32(SEQUENCE_AT, this.#sequence);
      this.#view.setUint32(ACKNOWLEDGMENT_AT, this.#acknowledgment);
      this.#packet.parse(this.#view, 0, 54, this.#length);
      this.#engine.input(this.#packet, this.#view, this.#frame, 0, this.#nowMs);
      this.#sequence = (this.#sequence + MSS) >>> 0;
    }
    this.#engine.endBatch(this.#nowMs);
    this.sockets.available = 8 * MSS;
    this.#engine.socketReady(0, 1, this.#nowMs);
    this.#engine.turn(this.#nowMs);
    this.#acknowledgment = (this.#acknowledgment + 8 * MSS) >>> 0;
    this.#nowMs += 1;
  }

  #open(): void {
    this.#handshake(serializeSegment({ flags: F.syn, options: synOptions(MSS, 7) }));
    this.#engine.socketReady(0, 2, this.#nowMs);
    // The SYN,ACK lies in the sink's first frame: behind Ethernet, IPv4 and two ports.
    this.#acknowledgment = (this.sink.firstFrame.getUint32(SEQUENCE_AT) + 1) >>> 0;
    this.#sequence = 1;
    this.#handshake(serializeSegment({ flags: F.ack, sequence: 1, acknowledgment: this.#acknowledgment }));
    this.#engine.turn(this.#nowMs);
  }

  #handshake(bytes: Uint8Array): void {
    const view = new DataView(bytes.buffer);
    this.#packet.parse(view, 0, bytes.length, bytes.length);
    this.#engine.input(this.#packet, view, this.#frame, 0, this.#nowMs);
    this.#engine.endBatch(this.#nowMs);
  }
}

/** Whether garbage was collected while `work` ran: objects that nobody holds are gone then. */
async function collectsDuring(work: () => void): Promise<boolean> {
  Bun.gc(true);
  const canaries = Array.from({ length: 100 }, () => new WeakRef({ weight: 0 }));
  // Until the end of its job a new WeakRef holds its object.
  await Bun.sleep(0);
  work();
  return canaries.some((canary) => canary.deref() === undefined);
}

/** In how many of five runs of `work` the engine collects: now and then it does so, or does not, for reasons of its own. */
async function collections(work: () => void): Promise<number> {
  let count = 0;
  for (let attempt = 0; attempt < 5; attempt++) if (await collectsDuring(work)) count++;
  return count;
}

test("neither way allocates for each segment", async () => {
  const rig = new Rig();
  let rounds = 0;
  const work = (): void => {
    for (let i = 0; i < ROUNDS; i++) rig.round();
    rounds += ROUNDS;
  };
  work();
  expect(await collections(work)).toBeLessThan(3);
  expect(rig.sockets.sentBytes).toBe(rounds * 4 * MSS);
  expect(rig.sockets.consumedBytes).toBe((rounds - 1) * 8 * MSS);
  expect(rig.sink.committedFrames).toBeGreaterThan(rounds * 9);

  // One small object for each segment would show.
  const held: object[] = [];
  const wasteful = (): void => {
    for (let i = 0; i < 12 * ROUNDS; i++) held[0] = { i };
  };
  expect(await collections(wasteful)).toBeGreaterThanOrEqual(3);
});
