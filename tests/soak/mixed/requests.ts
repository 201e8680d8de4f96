// What a guest asks and gets an answer to: a frame, and what its answer has to be.

import type { ReceivedFrame } from "@passt-ts/vhost-user-device/testing/test-ring";
import { ArpOperation } from "@passt-ts/wire/arp";
import { DHCP_COOKIE, Dhcp, DhcpMessageType, DhcpOption, endDhcpOptions, writeDhcpOption } from "@passt-ts/wire/dhcp";
import { ipv4Text, macOf, macText } from "../../conformance/address.ts";
import { arp, ping, putBytes, udp } from "../../conformance/frames.ts";
import { gateway4, guestMac, host4, ourMac } from "../../conformance/host.ts";
import { datagramIn, echoReplyIn, isArp } from "../../matrix/frame-check.ts";
import { firstDifference, pattern } from "../../matrix/pattern.ts";
import { echoPort } from "../../matrix/ports.ts";

const ICMP_TYPE_AT = 34;
const IDENTIFIER = 77;
const DHCP_SERVER_PORT = 67;
const DHCP_CLIENT_PORT = 68;
const toGateway = { to: gateway4 };

export interface Request {
  readonly text: string;
  readonly frame: Uint8Array;
  /** Says whether a frame is the answer. @throws Error when it is, and wrong. */
  readonly isAnswer: (frame: ReceivedFrame) => boolean;
  /** Payload that is to come back. */
  readonly lengthBytes: number;
}

/** @throws Error that says where bytes that came back differ from those that were sent. */
export function expectBytes(what: string, received: ArrayLike<number>, sent: ArrayLike<number>): void {
  const at = firstDifference(received, sent);
  if (at >= 0) throw new Error(`${what}: ${received.length} bytes instead of ${sent.length}, other ones from ${at} on`);
}

export function arpRequest(): Request {
  const isAnswer = (frame: ReceivedFrame): boolean => {
    const { bytes } = frame;
    if (!isArp(frame) || bytes[21] !== ArpOperation.reply) return false;
    const answer = `${macText(bytes, 22)} is ${ipv4Text(bytes, 28)}`;
    if (answer !== `${ourMac} is ${gateway4}`) throw new Error(answer);
    return true;
  };
  return { text: "ARP", frame: arp({ sender: host4, target: gateway4 }), isAnswer, lengthBytes: 0 };
}

/** A DHCP DISCOVER, whose number its OFFER repeats. */
export function dhcpRequest(number: number): Request {
  const view = new DataView(new ArrayBuffer(300));
  view.setUint32(Dhcp.operation, 0x0101_0600);
  view.setUint32(Dhcp.transaction, number);
  putBytes(view, Dhcp.clientHardware, macOf(guestMac));
  view.setUint32(Dhcp.cookie, DHCP_COOKIE);
  const at = writeDhcpOption(view, Dhcp.options, DhcpOption.messageType, Uint8Array.of(DhcpMessageType.discover));
  const message = new Uint8Array(view.buffer, 0, endDhcpOptions(view, at, 0));
  const isAnswer = (frame: ReceivedFrame): boolean => {
    const datagram = datagramIn(frame);
    if (datagram?.sourcePort !== DHCP_SERVER_PORT) return false;
    const { payload } = datagram;
    if (new DataView(payload.buffer, payload.byteOffset).getUint32(Dhcp.transaction) !== number) return false;
    const address = ipv4Text(payload, Dhcp.yourAddress);
    if (address !== host4) throw new Error(`DHCP offers ${address}`);
    return true;
  };
  const way = { from: "0.0.0.0", to: "255.255.255.255" };
  return { text: "DHCP", frame: udp(way, DHCP_CLIENT_PORT, DHCP_SERVER_PORT, message), isAnswer, lengthBytes: 0 };
}

export function pingRequest(sequence: number, lengthBytes: number): Request {
  const data = "p".repeat(lengthBytes);
  const isAnswer = (frame: ReceivedFrame): boolean => {
    // An error, such as that somebody has gone who was answered twice.
    if (frame.bytes[ICMP_TYPE_AT] !== 0) return false;
    const reply = echoReplyIn(frame);
    if (reply?.identifier !== IDENTIFIER || reply.sequence !== sequence) return false;
    expectBytes("echo reply", reply.data, new TextEncoder().encode(data));
    return true;
  };
  return { text: "ping", frame: ping(toGateway, IDENTIFIER, sequence, data), isAnswer, lengthBytes };
}

/** A datagram to the host's echo. */
export function datagramRequest(seed: number, guestPort: number, lengthBytes: number): Request {
  const sent = pattern(seed, lengthBytes);
  const isAnswer = (frame: ReceivedFrame): boolean => {
    const datagram = datagramIn(frame);
    if (datagram?.sourcePort !== echoPort || datagram.destinationPort !== guestPort) return false;
    expectBytes("datagram out", datagram.payload, sent);
    return true;
  };
  const text = `datagram out of ${lengthBytes} bytes`;
  return { text, frame: udp(toGateway, guestPort, echoPort, sent), isAnswer, lengthBytes };
}
