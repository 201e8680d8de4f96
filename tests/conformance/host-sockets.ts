// Sockets on the host, for scripts: carries out what a HostAction says, and reports what the sockets see.

import { createSocket, type Socket as DatagramSocket } from "node:dgram";
import { connect, createServer, type Server, type Socket } from "node:net";
import type { HostAction } from "./script.ts";

type Action<Name extends HostAction["act"]> = Extract<HostAction, { act: Name }>;

export class HostSockets {
  /** Told "NAME WHAT" for each event. */
  readonly #report: (event: string) => void;
  readonly #servers = new Map<string, Server>();
  readonly #streams = new Map<string, Socket>();
  readonly #datagrams = new Map<string, DatagramSocket>();

  constructor(report: (event: string) => void) {
    this.#report = report;
  }

  /** Returns when the action was begun. @throws Error when a name is not known, or an address cannot be bound. */
  async run(action: HostAction): Promise<void> {
    if (action.act === "listen") return await this.#listen(action);
    if (action.act === "bind") return await this.#bind(action);
    if (action.act === "connect") this.#connect(action);
    else if (action.act === "send") this.#datagram(action.id).send(action.text, action.port, action.address);
    else if (action.act === "write") this.#stream(action.id).write(action.text);
    else if (action.act === "end") this.#stream(action.id).end();
    else if (action.act === "reset") this.#stream(action.id).resetAndDestroy();
    else this.#close(action.id);
  }

  #stream(id: string): Socket {
    const socket = this.#streams.get(id);
    if (socket === undefined) throw new Error(`no stream ${id}`);
    return socket;
  }

  #datagram(id: string): DatagramSocket {
    const socket = this.#datagrams.get(id);
    if (socket === undefined) throw new Error(`no datagram socket ${id}`);
    return socket;
  }

  #close(id: string): void {
    this.#servers.get(id)?.close();
    this.#streams.get(id)?.destroy();
    this.#datagrams.get(id)?.close();
    for (const sockets of [this.#servers, this.#streams, this.#datagrams]) sockets.delete(id);
  }

  async #listen({ id, address, port }: Action<"listen">): Promise<void> {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      this.#report(`${id} accepted`);
      this.#watch(id, socket);
    });
    this.#servers.set(id, server);
    await new Promise<void>((resolve, reject) => {
      server.on("error", reject);
      server.listen({ host: address, port }, resolve);
    });
  }

  #connect({ id, address, port, localPort }: Action<"connect">): void {
    const socket = connect({
      host: address,
      port,
      localPort,
      localAddress: address,
      allowHalfOpen: true,
      noDelay: true,
    });
    socket.on("connect", () => this.#report(`${id} connected`));
    this.#watch(id, socket);
  }

  #watch(id: string, socket: Socket): void {
    this.#streams.set(id, socket);
    socket.on("data", (data: Buffer) => this.#report(`${id} data ${data.toString("latin1")}`));
    socket.on("end", () => this.#report(`${id} end`));
    socket.on("error", (error) => this.#report(`${id} ${(error as { code?: string }).code ?? error.message}`));
  }

  async #bind({ id, address, port, echo = false }: Action<"bind">): Promise<void> {
    const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
    this.#datagrams.set(id, socket);
    socket.on("message", (message, from) => {
      const shown = message.length > 64 ? `${message.length} bytes` : message.toString("latin1");
      this.#report(`${id} datagram ${shown}`);
      if (echo) socket.send(message, from.port, from.address);
    });
    socket.on("error", (error) => this.#report(`${id} ${(error as { code?: string }).code ?? error.message}`));
    await new Promise<void>((resolve) => void socket.bind(port, address, () => resolve()));
  }
}
