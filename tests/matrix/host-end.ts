// The host's side of the matrix, inside the namespace: echoes on loopback, and asked by a line "tcp|udp SEED BYTES" of its standard
// input it sends so much to the guest's forwarded port, waits until all of it has come back, and answers "done LINE" or "failed
// LINE: WHY". Ends with its standard input.

import { createSocket } from "node:dgram";
import { connect, createServer } from "node:net";
import { createInterface } from "node:readline";
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

async function answer(line: string): Promise<string> {
  const [over, seed, length] = line.split(" ");
  const bytes = pattern(Number(seed), Number(length));
  const late = new Promise<never>((_, reject) => setTimeout(() => reject(new Error("nothing came back")), TIMEOUT_MS));
  try {
    const back = await Promise.race([over === "tcp" ? overTcp(bytes) : overUdp(bytes), late]);
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
