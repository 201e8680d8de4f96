// Servers on the host's loopback, for guests to talk to. Runs inside the namespace: bun host-services.ts [FOLDER]; HTTP serves
// /bytes/N (stream 1) and the files of FOLDER. Says "ready", ends with its standard input.

import { createHash } from "node:crypto";
import { createSocket } from "node:dgram";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import { streamBlocks } from "./byte-stream.ts";
import { echoPort, httpPort, resetPort, sinkPort, sourcePort } from "./ports.ts";

const loopback = ["127.0.0.1", "::1"];
const folder = process.argv[2] ?? null;

function serveHttp(hostname: string): void {
  Bun.serve({
    hostname,
    port: httpPort,
    idleTimeout: 0,
    fetch(request) {
      const path = new URL(request.url).pathname;
      const bytes = /^\/bytes\/(\d+)$/.exec(path)?.[1];
      if (bytes !== undefined) {
        const blocks = streamBlocks(1, Number(bytes));
        const body = new ReadableStream<Uint8Array>({
          pull(controller) {
            const next = blocks.next();
            if (next.done === true) controller.close();
            else controller.enqueue(next.value);
          },
        });
        return new Response(body, { headers: { "content-length": bytes } });
      }
      if (folder !== null && /^\/[\w.-]+$/.test(path)) return new Response(Bun.file(join(folder, path)));
      return new Response("not found\n", { status: 404 });
    },
  });
}

/** Calls `handle` with the "SEED BYTES" that a client's first line names and with what came after the line. */
function afterRequest(socket: Socket, handle: (seed: number, bytes: number, rest: Buffer) => void): void {
  let received = Buffer.alloc(0);
  const onData = (chunk: Buffer): void => {
    received = Buffer.concat([received, chunk]);
    const end = received.indexOf(10);
    if (end < 0) return;
    socket.off("data", onData);
    const [seed, bytes] = received.toString("latin1", 0, end).split(" ").map(Number);
    handle(seed, bytes, received.subarray(end + 1));
  };
  socket.on("data", onData);
}

async function writeStream(socket: Socket, seed: number, bytes: number): Promise<void> {
  for (const block of streamBlocks(seed, bytes)) {
    if (socket.destroyed) return;
    if (socket.write(block)) continue;
    await new Promise<void>((resolve) => {
      const go = (): void => {
        socket.off("drain", go).off("close", go);
        resolve();
      };
      socket.on("drain", go).on("close", go);
    });
  }
}

function listen(port: number, handle: (socket: Socket) => void): void {
  for (const host of loopback) {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      socket.on("error", () => socket.destroy());
      handle(socket);
    });
    server.listen({ host, port, backlog: 512 });
  }
}

for (const host of loopback) {
  serveHttp(host);
  const udp = createSocket(host.includes(":") ? "udp6" : "udp4");
  udp.on("message", (message, from) => udp.send(message, from.port, from.address));
  udp.on("error", () => undefined);
  udp.bind(echoPort, host);
}
listen(echoPort, (socket) => socket.pipe(socket));
listen(sourcePort, (socket) =>
  afterRequest(socket, async (seed, bytes) => {
    await writeStream(socket, seed, bytes);
    socket.end();
  }),
);
listen(resetPort, (socket) =>
  afterRequest(socket, async (seed, bytes) => {
    await writeStream(socket, seed, bytes);
    socket.resetAndDestroy();
  }),
);
listen(sinkPort, (socket) =>
  afterRequest(socket, (_seed, _bytes, rest) => {
    const hash = createHash("sha256").update(rest);
    let length = rest.length;
    socket.on("data", (chunk: Buffer) => {
      hash.update(chunk);
      length += chunk.length;
    });
    socket.on("end", () => socket.end(`${hash.digest("hex")} ${length}\n`));
  }),
);

process.stdin.on("end", () => process.exit(0));
process.stdin.resume();
console.log("ready");
