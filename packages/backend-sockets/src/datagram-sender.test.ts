import { expect, test } from "bun:test";
import { WindowTable } from "@passt-ts/iov/windows";
import { bindSocket, connectSocket, openSocket } from "@passt-ts/linux/inet-socket";
import { type MappedMemory, mapAnonymous } from "@passt-ts/linux/mapped-memory";
import { OwnedFd } from "@passt-ts/linux/owned-fd";
import { SocketAddress } from "@passt-ts/linux/socket-address";
import { AF_INET, SOCK_DGRAM, SOL_SOCKET } from "@passt-ts/linux/socket-constants";
import { SocketOptions } from "@passt-ts/linux/socket-options";
import { DatagramBatch } from "@passt-ts/udp-vu/datagram-batch";
import { DatagramSender } from "./datagram-sender.ts";
import { pattern } from "./testing/guest-frames.ts";
import { HostUdp, LOOPBACK4 } from "./testing/host-sockets.ts";

/** Without a checksum the kernel refuses to cut datagrams, with the error of a device that cannot. */
const SO_NO_CHECK = 11;
const MEMORY_BYTES = 1 << 20;

/** A batch whose datagrams lie one behind the other, and a socket connected to a host's. */
class SenderRig implements Disposable {
  readonly host: HostUdp = new HostUdp(LOOPBACK4);
  readonly sender: DatagramSender = new DatagramSender();
  readonly #memory: MappedMemory = mapAnonymous(MEMORY_BYTES);
  readonly #windows: WindowTable = new WindowTable();
  readonly batch: DatagramBatch = new DatagramBatch(this.#windows, 256);
  readonly socket: OwnedFd;
  readonly #window: number;
  #used = 0;

  constructor() {
    this.#window = this.#windows.add(this.#memory.bytes(0, MEMORY_BYTES), this.#memory.address);
    this.socket = new OwnedFd(openSocket(AF_INET, SOCK_DGRAM));
    bindSocket(this.socket.fd, new SocketAddress().set(LOOPBACK4, 0, 0));
    connectSocket(this.socket.fd, new SocketAddress().set(LOOPBACK4, this.host.port, 0));
    this.sender.opened(this.socket.fd);
  }

  add(bytes: Uint8Array): void {
    const { batch } = this;
    const index = batch.count++;
    this.#windows.bytes[this.#window].set(bytes, this.#used);
    batch.firstEntry[index] = batch.pool.count;
    if (bytes.length > 0) batch.pool.append(this.#window, this.#used, bytes.length);
    batch.entryCount[index] = batch.pool.count - batch.firstEntry[index];
    batch.lengthBytes[index] = bytes.length;
    this.#used += bytes.length + 1;
  }

  /** Sends all of the batch; what arrived, in its order. */
  sendAll(): Uint8Array[] {
    for (let from = 0; from < this.batch.count; ) {
      const sent = this.sender.send(this.socket.fd, this.batch, from);
      if (sent <= 0) throw new Error(`send: ${sent}`);
      from += sent;
    }
    const arrived: Uint8Array[] = [];
    for (let got = this.host.receive(); got !== null; got = this.host.receive()) arrived.push(got.bytes);
    return arrived;
  }

  [Symbol.dispose](): void {
    this.host[Symbol.dispose]();
    this.socket.close();
    this.#memory.close();
  }
}

const LENGTHS = [100, 100, 100, 40, 40, 0, 0, 7, 8, 1400, 1400, 1399, 1400, 1, 1, 1];

test("datagrams of any lengths arrive as they were, whatever runs they form", () => {
  using rig = new SenderRig();
  const datagrams = LENGTHS.map((length, i) => pattern(length).map((byte) => byte ^ i));
  for (const datagram of datagrams) rig.add(datagram);
  expect(rig.sendAll()).toEqual(datagrams);
});

test("a run of equally long datagrams, the last one shorter, is one message of one call", () => {
  using rig = new SenderRig();
  for (let i = 0; i < 20; i++) rig.add(pattern(i === 19 ? 3 : 50));
  expect(rig.sender.send(rig.socket.fd, rig.batch, 0)).toBe(20);
  expect(rig.sender.messages).toBe(1);
});

test("a run is no longer than the kernel cuts: 64 datagrams, 65,507 bytes", () => {
  using rig = new SenderRig();
  for (let i = 0; i < 150; i++) rig.add(pattern(10));
  expect(rig.sender.send(rig.socket.fd, rig.batch, 0)).toBe(150);
  expect(rig.sender.messages).toBe(3);
  using large = new SenderRig();
  for (let i = 0; i < 5; i++) large.add(pattern(30_000));
  expect(large.sender.send(large.socket.fd, large.batch, 0)).toBe(5);
  expect(large.sender.messages).toBe(3);
});

test("a socket for which the kernel cannot cut gets its datagrams one by one, and nothing is lost", () => {
  using rig = new SenderRig();
  new SocketOptions().set(rig.socket.fd, SOL_SOCKET, SO_NO_CHECK, 1);
  const datagrams = LENGTHS.map((length) => pattern(length));
  for (const datagram of datagrams) rig.add(datagram);
  expect(rig.sendAll()).toEqual(datagrams);
  expect(rig.sender.messages).toBe(LENGTHS.length);
});

test("another socket with the same descriptor is tried anew", () => {
  using rig = new SenderRig();
  new SocketOptions().set(rig.socket.fd, SOL_SOCKET, SO_NO_CHECK, 1);
  for (let i = 0; i < 4; i++) rig.add(pattern(10));
  expect(rig.sendAll().length).toBe(4);
  new SocketOptions().set(rig.socket.fd, SOL_SOCKET, SO_NO_CHECK, 0);
  rig.sender.opened(rig.socket.fd);
  expect(rig.sendAll().length).toBe(4);
  expect(rig.sender.messages).toBe(1);
});
