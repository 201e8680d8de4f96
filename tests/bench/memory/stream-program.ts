// `bun stream-program.ts SOCKET to-host|to-guest SECONDS MSS GUEST GATEWAY`: one TCP stream through the daemon at SOCKET, from memory to
// memory. Says "begin" after a second, and then how many bytes arrived in how many seconds.

import { GuestTcp } from "./guest-tcp.ts";
import { HostStream } from "./host-stream.ts";
import { RingDriver } from "./ring-driver.ts";

const [path, direction, secondsText, mssText, guestText, gatewayText] = process.argv.slice(2);
const toHost = direction === "to-host";
const queueSize = 256;
const warmUpMs = 1000;
const seconds = Number(secondsText);
const addressOf = (text: string): number => text.split(".").reduce((word, byte) => word * 256 + Number(byte), 0);

using host = new HostStream();
using driver = new RingDriver(path, queueSize, 0n);
const guest = new GuestTcp(driver, {
  guest: addressOf(guestText),
  gateway: addressOf(gatewayText),
  port: host.port,
  guestPort: 40_000,
  segmentBytes: Number(mssText),
  sendBytes: Number(mssText),
});

/** One round of both ends. */
function round(): void {
  if (toHost) {
    host.sink();
    guest.receive();
    guest.send(performance.now());
  } else {
    host.feed();
    guest.receive();
  }
  driver.flush();
}

const patienceMs = performance.now() + 5000;
guest.connect();
while (!(guest.isOpen && host.accept())) {
  if (performance.now() > patienceMs) throw new Error("no connection within 5 s");
  guest.receive();
  driver.flush();
}
const arrived = (): number => (toHost ? host.receivedBytes : guest.receivedBytes);
const warmMs = performance.now() + warmUpMs;
while (performance.now() < warmMs) round();
console.log("begin");
const before = arrived();
const beginMs = performance.now();
const endMs = beginMs + seconds * 1000;
while (performance.now() < endMs) round();
const elapsed = (performance.now() - beginMs) / 1000;
console.log(`bytes ${arrived() - before} seconds ${elapsed.toFixed(3)} again ${guest.retransmissions}`);
process.exit();
