/** Help for tests: asks a service with a frame written in hexadecimal and checks what every reply must be. */
import { pseudoHeaderOf4, pseudoHeaderOf6 } from "@passt-ts/checksum/pseudo-header";
import { sumBytes } from "@passt-ts/checksum/sum";
import { Packet } from "@passt-ts/wire/packet";
import { bytesOf, viewOf, written } from "@passt-ts/wire/testing/frame-bytes";

/** What all services have in common. */
export interface Responder {
  readonly counters: Float64Array;
  respond(packet: Packet, request: DataView, reply: DataView, replyAt: number): number;
}

/**
 * The reply to `frame`, in hexadecimal, "" when there is none. The service is asked twice, over different poison, and
 * counts once.
 *
 * @throws Error when the frame is dropped before it gets to the service, when not every byte of the reply was written or
 * one beside it was, or when a checksum of the reply is wrong.
 */
export function ask(service: Responder, frame: Uint8Array): string {
  const bytes = new Uint8Array(frame.length + 11).fill(0xa5);
  bytes.set(frame, 5);
  const request = viewOf(bytes);
  const packet = new Packet();
  const reason = packet.parse(request, 5, 5 + frame.length, frame.length);
  if (reason !== 0) throw new Error(`dropped: ${reason}`);
  const counters = service.counters.slice();
  const reply = written((view, at) => {
    service.counters.set(counters);
    return at + service.respond(packet, request, view, at);
  });
  if (reply !== "") checkSums(bytesOf(reply));
  return reply;
}

function checkSums(frame: Uint8Array): void {
  const view = viewOf(frame);
  const packet = new Packet();
  const reason = packet.parse(view, 0, frame.length, frame.length);
  if (reason !== 0) throw new Error(`reply would be dropped: ${reason}`);
  if (packet.ipVersion === 0) return;
  const end = packet.l4At + packet.l4Length;
  if (end !== frame.length) throw new Error(`reply of ${frame.length} bytes has IP length ${end}`);
  const pseudoHeaderOf = packet.ipVersion === 4 ? pseudoHeaderOf4 : pseudoHeaderOf6;
  const pseudoHeader = pseudoHeaderOf(view, packet.ipAt, packet.protocol, packet.l4Length);
  if (sumBytes(view, packet.l4At, end, pseudoHeader) !== 0xffff) throw new Error("reply has a wrong checksum");
  if (packet.ipVersion === 4 && sumBytes(view, packet.ipAt, packet.l4At) !== 0xffff) {
    throw new Error("reply has a wrong IPv4 header checksum");
  }
}

const hex16 = (value: number) => value.toString(16).padStart(4, "0");

/** A guest's UDP datagram over IPv4, its payload in hexadecimal. */
export function udp4(source: string, destination: string, ports: string, payload: string): Uint8Array {
  const length = bytesOf(payload).length;
  return bytesOf(
    `ffffffffffff 020000000001 0800 4500 ${hex16(28 + length)} 0000 0000 40 11 0000 ${source} ${destination}
     ${ports} ${hex16(8 + length)} 0000 ${payload}`,
  );
}

/** A guest's UDP datagram over IPv6, its payload in hexadecimal. */
export function udp6(source: string, destination: string, ports: string, payload: string): Uint8Array {
  const length = hex16(8 + bytesOf(payload).length);
  return bytesOf(
    `333300010002 020000000001 86dd 60000000 ${length} 11 01 ${source} ${destination} ${ports} ${length} 0000 ${payload}`,
  );
}

/** A guest's ICMPv6 message in hexadecimal. */
export function icmp6(source: string, destination: string, message: string, hopLimit = "ff"): Uint8Array {
  const length = hex16(bytesOf(message).length);
  return bytesOf(
    `3333ff000099 020000000001 86dd 60000000 ${length} 3a ${hopLimit} ${source} ${destination} ${message}`,
  );
}
