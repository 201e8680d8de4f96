// A sink for UDP on the loopback address, in the host's namespace: bun datagram-sink.ts PORT. Says "ready", and when its standard
// input ends how many datagrams came in how many seconds. It joins datagrams (UDP_GRO) so that it is not what is measured.

import { WindowTable } from "@passt-ts/iov/windows";
import { DatagramReceiveBatch } from "@passt-ts/linux/datagram-receive-batch";
import { EpollEvent, EventLoop } from "@passt-ts/linux/event-loop";
import { bindSocket, openSocket } from "@passt-ts/linux/inet-socket";
import { mapAnonymous } from "@passt-ts/linux/mapped-memory";
import { SocketAddress } from "@passt-ts/linux/socket-address";
import { AF_INET, SOCK_DGRAM, SOL_SOCKET, SOL_UDP, UDP_GRO } from "@passt-ts/linux/socket-constants";
import { SocketOptions } from "@passt-ts/linux/socket-options";

const SO_RCVBUFFORCE = 33;
const SLOTS = 32;
const SLOT_BYTES = 65536;

const socket = openSocket(AF_INET, SOCK_DGRAM);
const options = new SocketOptions();
options.set(socket, SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20);
options.set(socket, SOL_UDP, UDP_GRO, 1);
const address = new SocketAddress().set(Uint32Array.of(0, 0, 0xffff, 0x7f000001), Number(process.argv[2]), 0);
if (bindSocket(socket, address) < 0) throw new Error("the port is taken");

const windows = new WindowTable();
const memory = mapAnonymous(SLOTS * SLOT_BYTES);
const window = windows.add(memory.bytes(0, SLOTS * SLOT_BYTES), memory.address);
const batch = new DatagramReceiveBatch({ windows, window, offset: 0, slots: SLOTS, slotBytes: SLOT_BYTES });
const loop = new EventLoop();
let received = 0;
let firstMs = 0;
let lastMs = 0;
let isOpen = true;

loop.add(
  socket,
  EpollEvent.readable,
  {
    onEvent() {
      const messages = batch.receive(socket);
      if (messages <= 0) return;
      lastMs = performance.now();
      if (received === 0) firstMs = lastMs;
      for (let slot = 0; slot < messages; slot++) {
        const segmentBytes = batch.segmentBytes(slot);
        received += segmentBytes === 0 ? 1 : Math.ceil(batch.length(slot) / segmentBytes);
      }
    },
  },
  0,
);
const input = {
  onEvent(): void {
    isOpen = false;
  },
};
loop.add(0, EpollEvent.readable, input, 0);
console.log("ready");
while (isOpen) loop.wait(1000);
// What waits in the socket's buffer arrived, too.
for (let more = true; more; ) {
  const before = received;
  loop.wait(0);
  more = received > before;
}
console.log(`received ${received} seconds ${((lastMs - firstMs) / 1000).toFixed(3)}`);
process.exit();
