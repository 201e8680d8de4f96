// Datagrams between a driver of ours and a socket of the host, each way, as fast as they go.

import { ipv4Words } from "@passt-ts/address-map/address";
import { Iov, IovPool } from "@passt-ts/iov/iov";
import { WindowTable } from "@passt-ts/iov/windows";
import { DatagramReceiveBatch } from "@passt-ts/linux/datagram-receive-batch";
import { DatagramSendBatch } from "@passt-ts/linux/datagram-send-batch";
import { bindSocket, localAddress, openSocket } from "@passt-ts/linux/inet-socket";
import { NativeBuffer } from "@passt-ts/linux/native-buffer";
import { closeFd } from "@passt-ts/linux/owned-fd";
import { SocketAddress } from "@passt-ts/linux/socket-address";
import { AF_INET, SOCK_DGRAM } from "@passt-ts/linux/socket-constants";
import { Ethernet, EtherType, writeEthernet } from "@passt-ts/wire/ethernet";
import { IpProtocol, Ipv4, writeIpv4 } from "@passt-ts/wire/ipv4";
import { Udp, writeUdp } from "@passt-ts/wire/udp";
import { netHeaderBytes, type RingDriver } from "../bench/memory/ring-driver.ts";

const payloadBytes = 64;
const receiveSlots = 64;
const receiveSlotBytes = 2048;
/** Datagrams of one send, which the kernel cuts and joins again. */
const joined = 16;
const sends = 4;
const l4Bytes = Udp.headerBytes + payloadBytes;
const frameBytes = Ethernet.headerBytes + Ipv4.headerBytes + l4Bytes;
const ourMac = Uint8Array.of(0x9a, 0x55, 0x9a, 0x55, 0x9a, 0x55);
const guestMac = Uint8Array.of(0x52, 0x54, 0, 0, 0, 9);

function ok(result: number, what: string): number {
  if (result < 0) throw new Error(`${what}: ${result}`);
  return result;
}

export class Datagrams implements Disposable {
  readonly #driver: RingDriver;
  readonly #guest: Uint32Array;
  readonly #gateway: Uint32Array;
  readonly #fd: number;
  readonly #port: number;
  readonly #receive: DatagramReceiveBatch;
  readonly #send = new DatagramSendBatch(sends);
  readonly #payload: Iov;
  readonly #native = new NativeBuffer(receiveSlots * receiveSlotBytes + joined * payloadBytes);
  /** Datagrams that the host's socket got. */
  received = 0;

  /** @param guest "a.b.c.d" as a number; so for `gateway`. */
  constructor(driver: RingDriver, guest: number, gateway: number) {
    this.#driver = driver;
    this.#guest = ipv4Words(guest);
    this.#gateway = ipv4Words(gateway);
    this.#fd = ok(openSocket(AF_INET, SOCK_DGRAM), "socket");
    const address = new SocketAddress();
    ok(bindSocket(this.#fd, address.set(ipv4Words(0x7f000001), 0)), "bind");
    ok(localAddress(this.#fd, address), "getsockname");
    this.#port = address.port;
    const windows = new WindowTable();
    const window = windows.add(this.#native.bytes, this.#native.address);
    const slots = { slots: receiveSlots, slotBytes: receiveSlotBytes };
    this.#receive = new DatagramReceiveBatch({ windows, window, offset: 0, ...slots });
    const pool = new IovPool(windows, 1);
    pool.append(window, receiveSlots * receiveSlotBytes, joined * payloadBytes);
    this.#payload = new Iov(pool, 0, 1);
  }

  /** The guest sends as much as its ring has room for; the host's socket is emptied. */
  toHost(): void {
    const driver = this.#driver;
    while (driver.room > 0) this.#write();
    driver.flush();
    let count = this.#receive.receive(this.#fd);
    for (; count > 0; count = this.#receive.receive(this.#fd)) this.received += count;
    this.#drain();
  }

  /** The host sends to the socket that the guest's datagrams come from. {@link Datagrams.toHost} comes first. */
  toGuest(): void {
    this.#send.send(this.#fd);
    this.#drain();
  }

  /** Makes the batch of {@link Datagrams.toGuest}: for the source of the datagram received last. */
  answer(): void {
    while (this.#receive.receive(this.#fd, 1) !== 1) {
      if (this.#driver.room > 0) this.#write();
      this.#driver.flush();
    }
    const source = new Uint32Array(4);
    this.#receive.source(0, source);
    const peer = new SocketAddress().set(source, this.#receive.sourcePort(0));
    this.#send.clear();
    for (let i = 0; i < sends; i++) {
      this.#send.add(this.#payload, 0, joined * payloadBytes, peer);
      this.#send.setSegmentBytes(i, payloadBytes);
    }
  }

  #drain(): void {
    while (this.#driver.receive() >= 0);
    this.#driver.refill();
  }

  #write(): void {
    const { view, nextAt } = this.#driver;
    const at = nextAt + netHeaderBytes;
    const ipAt = writeEthernet(view, at, ourMac, guestMac, EtherType.ipv4);
    const udpAt = writeIpv4(view, ipAt, l4Bytes, IpProtocol.udp, 64, this.#guest, 0, this.#gateway, 0);
    writeUdp(view, udpAt, 50_000, this.#port, payloadBytes);
    this.#driver.send(netHeaderBytes + frameBytes);
  }

  [Symbol.dispose](): void {
    closeFd(this.#fd);
  }
}
