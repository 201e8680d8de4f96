// A source of UDP on the loopback address, in the host's namespace: bun datagram-source.ts PORT BYTES. For each line "RATE SECONDS"
// of its standard input it sends that many datagrams a second, evenly, and says "sent N".

import { createInterface } from "node:readline";
import { Iov, IovPool } from "@passt-ts/iov/iov";
import { WindowTable } from "@passt-ts/iov/windows";
import { DatagramSendBatch } from "@passt-ts/linux/datagram-send-batch";
import { connectSocket, openSocket } from "@passt-ts/linux/inet-socket";
import { mapAnonymous } from "@passt-ts/linux/mapped-memory";
import { SocketAddress } from "@passt-ts/linux/socket-address";
import { AF_INET, SOCK_DGRAM } from "@passt-ts/linux/socket-constants";

const BATCH = 32;
const [port, lengthBytes] = process.argv.slice(2).map(Number);

const socket = openSocket(AF_INET, SOCK_DGRAM);
connectSocket(socket, new SocketAddress().set(Uint32Array.of(0, 0, 0xffff, 0x7f000001), port, 0));
const windows = new WindowTable();
const memory = mapAnonymous(65536);
const pool = new IovPool(windows, 1);
pool.append(windows.add(memory.bytes(0, 65536), memory.address), 0, lengthBytes);
const batch = new DatagramSendBatch(BATCH);
const iov = new Iov(pool, 0, 1);
for (let i = 0; i < BATCH; i++) batch.add(iov, 0, lengthBytes);

/** Sends `perSecond` datagrams a second for `seconds`; what the socket's buffer does not take now is tried again. */
function send(perSecond: number, seconds: number): number {
  const start = performance.now();
  const total = Math.round(perSecond * seconds);
  let sent = 0;
  while (sent < total) {
    const due = Math.min(total, ((performance.now() - start) * perSecond) / 1000);
    if (due - sent < BATCH && due < total) Bun.sleepSync(0.2);
    else sent += Math.max(0, batch.send(socket, Math.max(0, BATCH - (total - sent))));
    if (performance.now() - start > 2000 * seconds) break;
  }
  return sent;
}

console.log("ready");
for await (const line of createInterface({ input: process.stdin })) {
  const [perSecond, seconds] = line.split(" ").map(Number);
  console.log(`sent ${send(perSecond, seconds)}`);
}
process.exit();
