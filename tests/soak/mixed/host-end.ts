// The host's side of the soak, inside the namespace: echoes on loopback, and asked by a line "tcp|udp ID SEED BYTES" of its standard
// input it sends so much to the guest's forwarded port, and answers "done ID" when all of it has come back, or "failed ID: WHY". "forget"
// ends all it has under way. Ends with its standard input.

import { createSocket } from "node:dgram";
import { connect, createServer } from "node:net";
import { createInterface } from "node:readline";
import { firstDifference, pattern } from "../../matrix/pattern.ts";
import { echoPort, forwardedPort } from "../../matrix/ports.ts";

const LOOPBACK = "127.0.0.1";
/** A datagram, or its answer, may be lost while the guest's rings stand still: it is sent again. */
const RESEND_MS = 300;

/** What ends each thing that is under way. */
const underWay = new Set<() => void>();

function overTcp(bytes: Uint8Array): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const received: Buffer[] = [];
    const socket = connect({ host: LOOPBACK, port: forwardedPort, noDelay: true });
    const forget = (): void => {
      socket.resetAndDestroy();
      reject(new Error("forgotten"));
    };
    underWay.add(forget);
    socket.on("connect", () => socket.end(bytes));
    socket.on("data", (data: Buffer) => received.push(data));
    socket.on("end", () => resolve(Buffer.concat(received)));
    socket.on("error", reject);
    socket.on("close", () => underWay.delete(forget));
  });
}

function overUdp(bytes: Uint8Array): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const socket = createSocket("udp4");
    const send = (): void => socket.send(bytes, forwardedPort, LOOPBACK);
    const again = setInterval(send, RESEND_MS);
    const end = (): void => {
      clearInterval(again);
      underWay.delete(forget);
      socket.close();
    };
    const forget = (): void => {
      end();
      reject(new Error("forgotten"));
    };
    underWay.add(forget);
    socket.on("error", () => undefined);
    socket.on("message", (message) => {
      end();
      resolve(message);
    });
    send();
  });
}

async function answer(line: string): Promise<void> {
  const [over, id, seed, length] = line.split(" ");
  if (over === "forget") {
    for (const forget of [...underWay]) forget();
    return;
  }
  const bytes = pattern(Number(seed), Number(length));
  try {
    const back = await (over === "tcp" ? overTcp(bytes) : overUdp(bytes));
    const at = firstDifference(back, bytes);
    console.log(
      at < 0 ? `done ${id}` : `failed ${id}: ${back.length} of ${bytes.length} bytes back, other ones from ${at} on`,
    );
  } catch (error) {
    console.log(`failed ${id}: ${(error as Error).message}`);
  }
}

const udp = createSocket("udp4");
udp.on("message", (message, from) => udp.send(message, from.port, from.address));
udp.on("error", () => undefined);
udp.bind(echoPort, LOOPBACK, () => {
  const tcp = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    socket.on("error", () => socket.destroy());
    socket.pipe(socket);
  });
  tcp.listen({ host: LOOPBACK, port: echoPort }, () => console.log("ready"));
});
for await (const line of createInterface({ input: process.stdin })) void answer(line);
process.exit(0);
