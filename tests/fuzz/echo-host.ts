// The host that guests of the fuzzer talk to: sends back what comes to the echo port, over both families.

import {
  HostListener,
  type HostStream,
  HostUdp,
  LOOPBACK4,
  LOOPBACK6,
} from "@passt-ts/backend-sockets/testing/host-sockets";

const ECHO_PORT = 7001;

export class EchoHost {
  readonly #udp: readonly HostUdp[] = [new HostUdp(LOOPBACK4, ECHO_PORT), new HostUdp(LOOPBACK6, ECHO_PORT)];
  readonly #listeners = [new HostListener(LOOPBACK4, ECHO_PORT), new HostListener(LOOPBACK6, ECHO_PORT)];
  readonly #streams: HostStream[] = [];

  /** Answers what has come, a datagram of each family at most. */
  answer(): void {
    for (const udp of this.#udp) {
      const datagram = udp.receive();
      if (datagram !== null) udp.send(datagram.bytes, Uint32Array.from(datagram.address), datagram.port);
    }
    for (const listener of this.#listeners) {
      const stream = listener.accept();
      if (stream !== null) this.#streams.push(stream);
    }
    for (const stream of this.#streams) {
      const { length } = stream.read().received;
      if (length === 0 || stream.ending !== "") continue;
      stream.write(stream.received.splice(0));
    }
  }

  /** Ends the streams there are. */
  closeStreams(): void {
    for (const stream of this.#streams.splice(0)) stream[Symbol.dispose]();
  }
}
