import { ipv4Words } from "@passt-ts/address-map/address";
import { udpFrame } from "@passt-ts/backend-sockets/testing/guest-frames";
import { TestFrontEnd } from "@passt-ts/vhost-user-device/testing/front-end";
import { bytesOf, hexOf } from "@passt-ts/wire/testing/frame-bytes";

const MAC = "525400000009";
const ETHERNET_BYTES = 14;
const OFFER_OPTIONS_AT: number = ETHERNET_BYTES + 20 + 8 + 240;
const ADVERTISEMENT_AT: number = ETHERNET_BYTES + 40;

/** What DHCP offers, as text. */
export interface Offer {
  readonly address: string;
  readonly router: string;
  readonly nameServers: string;
}

/** What comes of asking for more time with an address. */
export interface Renewal {
  readonly answer: "ACK" | "NAK" | "other";
  /** Whom the answer is from. */
  readonly server: string;
  readonly nameServers: string;
  /** 0 where none is given. */
  readonly leaseSeconds: number;
}

/** What a router advertisement says. */
export interface Advertisement {
  readonly lifetimeSeconds: number;
  /** First 64 bits and preferred lifetime. */
  readonly prefixes: readonly (readonly [prefix: string, lifetimeSeconds: number])[];
  /** The second and the last 32 bits of each address, and the lifetime. */
  readonly nameServers: readonly (readonly [address: string, lifetimeSeconds: number])[];
}

/** A guest with a real front-end that asks what its link is like. */
export class AskingGuest implements Disposable {
  readonly frontEnd: TestFrontEnd;
  readonly #frames: Uint8Array[] = [];

  constructor(socketPath: string) {
    this.frontEnd = new TestFrontEnd().connect(socketPath).boot();
    this.frontEnd.offerBuffers(32);
  }

  /** Waits for a frame that `wanted` holds for; what came before it is lost. `meanwhile` is called again and again. */
  frame(wanted: (bytes: Uint8Array) => boolean, meanwhile: () => void = () => {}): Uint8Array {
    const frames = this.#frames;
    this.frontEnd.until(() => {
      meanwhile();
      frames.push(...this.frontEnd.receive().map(({ bytes }) => bytes));
      return frames.some(wanted);
    }, "a frame to the guest");
    const index = frames.findIndex(wanted);
    return frames.splice(0, index + 1)[index];
  }

  /** Asks DHCP for an address. */
  discover(): Offer {
    const offer = this.#askDhcp(1, 0, 0xffff_ffff);
    const address = offer.subarray(58, 62).join(".");
    return { address, router: addressesIn(offer, 3), nameServers: addressesIn(offer, 6) };
  }

  /** Asks the server that gave `address` for more time with it (RFC 2131 section 4.4.5); addresses as 32 bits. */
  renew(address: number, server: number): Renewal {
    const reply = this.#askDhcp(3, address, server);
    const [type] = optionOf(reply, 53);
    const lease = optionOf(reply, 51);
    return {
      answer: type === 5 ? "ACK" : type === 6 ? "NAK" : "other",
      server: addressesIn(reply, 54),
      nameServers: addressesIn(reply, 6),
      leaseSeconds: lease.reduce((sum, byte) => sum * 256 + byte, 0),
    };
  }

  #askDhcp(type: number, client: number, server: number): Uint8Array {
    const address = client.toString(16).padStart(8, "0");
    const fixed = `01 01 06 00 11223344 0000 0000 ${address} ${"00".repeat(12)} ${MAC} ${"00".repeat(202)}`;
    const payload = bytesOf(`${fixed} 63825363 35010${type} ff`);
    const [source, destination] = [ipv4Words(client), ipv4Words(server)];
    this.frontEnd.send(udpFrame({ source, destination, sourcePort: 68, destinationPort: 67, payload }));
    return this.frame((bytes) => isUdp4(bytes) && bytes[34] === 0 && bytes[35] === 67);
  }

  /** Waits for a router advertisement. */
  advertisement(): Advertisement {
    return parseAdvertisement(this.frame((bytes) => isIcmpv6(bytes) && bytes[ADVERTISEMENT_AT] === 134));
  }

  /**
   * Asks a name server a question that is none, always from the same port; the text of the answer.
   *
   * @param source the guest's address. @param destination the server's. @param serve lets the server answer.
   */
  resolve(source: Uint32Array, destination: Uint32Array, serve: () => void): string {
    this.frontEnd.send(udpFrame({ source, destination, destinationPort: 53, payload: [0x3f] }));
    const answer = this.frame((bytes) => isUdp4(bytes) && bytes[35] === 53, serve);
    const length = answer[38] * 256 + answer[39] - 8;
    return new TextDecoder().decode(answer.subarray(42, 42 + length));
  }

  [Symbol.dispose](): void {
    this.frontEnd[Symbol.dispose]();
  }
}

const isUdp4 = (bytes: Uint8Array): boolean => bytes[12] === 8 && bytes[13] === 0 && bytes[23] === 17;
const isIcmpv6 = (bytes: Uint8Array): boolean => bytes[12] === 0x86 && bytes[20] === 58;

const shortOf = (bytes: Uint8Array, at: number): string =>
  `${hexOf(bytes.subarray(at + 4, at + 8))} ${hexOf(bytes.subarray(at + 12, at + 16))}`;

/** The addresses in a DHCP option. */
function addressesIn(offer: Uint8Array, code: number): string {
  const data = optionOf(offer, code);
  return Array.from({ length: data.length / 4 }, (_, i) => data.subarray(4 * i, 4 * i + 4).join(".")).join(" ");
}

/** The data of a DHCP option, empty where there is none. */
function optionOf(offer: Uint8Array, code: number): Uint8Array {
  for (let at = OFFER_OPTIONS_AT; offer[at] !== 255; at += offer[at] === 0 ? 1 : 2 + offer[at + 1]) {
    if (offer[at] === code) return offer.subarray(at + 2, at + 2 + offer[at + 1]);
  }
  return new Uint8Array(0);
}

function parseAdvertisement(frame: Uint8Array): Advertisement {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  const end = ADVERTISEMENT_AT + view.getUint16(18);
  const prefixes: [string, number][] = [];
  const nameServers: [string, number][] = [];
  for (let at = ADVERTISEMENT_AT + 16; at < end; at += 8 * frame[at + 1]) {
    if (frame[at] === 3) prefixes.push([hexOf(frame.subarray(at + 16, at + 24)), view.getUint32(at + 8)]);
    if (frame[at] !== 25) continue;
    for (let server = at + 8; server < at + 8 * frame[at + 1]; server += 16)
      nameServers.push([shortOf(frame, server), view.getUint32(at + 4)]);
  }
  return { lifetimeSeconds: view.getUint16(ADVERTISEMENT_AT + 6), prefixes, nameServers };
}
