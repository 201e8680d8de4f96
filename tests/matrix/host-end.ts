// The host's side of the matrix, inside the namespace: echoes on loopback, and asked by a line "tcp|udp SEED BYTES" or "joined SEED BYTES
// DATAGRAM-BYTES" of its standard input it sends so much to the guest's forwarded port, waits until all of it has come back, and answers
// "done LINE" or "failed LINE: WHY". Ends with its standard input.

import { createSocket } from "node:dgram";
import { connect, createServer } from "node:net";
import { createInterface } from "node:readline";
import { HostUdp, LOOPBACK4 } from "@passt-ts/backend-sockets/testing/host-sockets";
import { Iov, IovPool } from "@passt-ts/iov/iov";
import { WindowTable } from "@passt-ts/iov/windows";
import { DatagramSendBatch } from "@passt-ts/linux/datagram-send-batch";
import { NativeBuffer } from "@passt-ts/linux/native-buffer";
import { SocketAddress } from "@passt-ts/linux/socket-address";
import { inPieces } from "./offload.ts";
import { firstDifference, pattern } from "./pattern.ts";
import { echoPort, forwardedPort } from "./ports.ts";

const LOOPBACK = "127.0.0.1";
const TIMEOUT_MS = 5000;

function overTcp(bytes: Uint8Array): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const received: Buffer[] = [];
    const socket = connect({ host: LOOPBACK, port: forwardedPort, noDelay: true });
    socket.on("connect", () => socket.end(bytes));
    socket.on("data", (data: Buffer) => received.push(data));
    socket.on("end", () => resolve(Buffer.concat(received)));
    socket.on("error", reject);
  });
}

function overUdp(bytes: Uint8Array): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const socket = createSocket("udp4");
    socket.on("error", reject);
    socket.on("message", (message) => {
      socket.close();
      resolve(message);
    });
    socket.send(bytes, forwardedPort, LOOPBACK);
  });
}

/** Sends bytes as datagrams with one call; on loopback they stay together. */
function sendJoined(from: HostUdp, bytes: Uint8Array, datagramBytes: number): void {
  const windows = new WindowTable();
  const native = new NativeBuffer(bytes.length);
  native.bytes.set(bytes);
  const pool = new IovPool(windows, 1);
  pool.append(windows.add(native.bytes, native.address), 0, bytes.length);
  const batch = new DatagramSendBatch(1);
  batch.add(new Iov(pool, 0, 1), 0, bytes.length, new SocketAddress().set(LOOPBACK4, forwardedPort));
  batch.setSegmentBytes(0, datagramBytes);
  if (batch.send(from.socket.fd) !== 1) throw new Error("the kernel sends no datagrams with one call");
}

/** The datagrams one after the other, once each has come back with its own length. */
async function overUdpJoined(bytes: Uint8Array, datagramBytes: number): Promise<Uint8Array> {
  using socket = new HostUdp();
  sendJoined(socket, bytes, datagramBytes);
  const received: Uint8Array[] = [];
  for (const sent of inPieces(bytes, datagramBytes)) {
    let datagram = socket.receive();
    for (const endMs = performance.now() + TIMEOUT_MS; datagram === null && performance.now() < endMs; ) {
      await Bun.sleep(0);
      datagram = socket.receive();
    }
    if (datagram?.bytes.length !== sent.length) throw new Error(`datagram ${received.length} came back as another one`);
    received.push(datagram.bytes);
  }
  return Buffer.concat(received);
}

function send(over: string, bytes: Uint8Array, datagramBytes: number): Promise<Uint8Array> {
  if (over === "joined") return overUdpJoined(bytes, datagramBytes);
  return over === "tcp" ? overTcp(bytes) : overUdp(bytes);
}

async function answer(line: string): Promise<string> {
  const [over, seed, length, datagramBytes] = line.split(" ");
  const bytes = pattern(Number(seed), Number(length));
  const late = new Promise<never>((_, reject) => setTimeout(() => reject(new Error("nothing came back")), TIMEOUT_MS));
  try {
    const back = await Promise.race([send(over, bytes, Number(datagramBytes)), late]);
    const at = firstDifference(back, bytes);
    return at < 0 ? `done ${line}` : `failed ${line}: ${back.length} bytes came back, other ones from ${at} on`;
  } catch (error) {
    return `failed ${line}: ${(error as Error).message}`;
  }
}

const udp = createSocket("udp4");
udp.on("message", (message, from) => udp.send(message, from.port, from.address));
udp.bind(echoPort, LOOPBACK, () => {
  const tcp = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    socket.on("error", () => socket.destroy());
    socket.pipe(socket);
  });
  tcp.listen({ host: LOOPBACK, port: echoPort }, () => console.log("ready"));
});
for await (const line of createInterface({ input: process.stdin })) console.log(await answer(line));
process.exit(0);
