// What every case carries: each function returns when all of it has come as it should, and throws when not.

import { ArpOperation } from "@passt-ts/wire/arp";
import { DHCP_COOKIE, Dhcp, DhcpMessageType, DhcpOption, endDhcpOptions, writeDhcpOption } from "@passt-ts/wire/dhcp";
import { ipv4Text, macOf, macText } from "../conformance/address.ts";
import { arp, ping, putBytes, udp } from "../conformance/frames.ts";
import { gateway4, guestMac, host4, ourMac } from "../conformance/host.ts";
import type { Program } from "../guests/process.ts";
import { asked, expectBytes, run } from "./exchange-steps.ts";
import { datagramIn, echoReplyIn, isArp, isTcp } from "./frame-check.ts";
import type { GuestLink } from "./guest-link.ts";
import { GuestStream } from "./guest-stream.ts";
import { takenBy } from "./offload.ts";
import { exchangeCutDatagrams, exchangeJoinedDatagrams, exchangeLargeSegments } from "./offload-exchanges.ts";
import { pattern } from "./pattern.ts";
import { echoPort, forwardedPort } from "./ports.ts";

const toGateway = { to: gateway4 };

export const streamSizes: readonly number[] = [1, 4000, 150_000];
export const datagramSizes: readonly number[] = [1, 3, 1000, 1472, 65_507];

export async function exchangeArp(link: GuestLink): Promise<void> {
  let answer = "";
  link.deliverTo((frame) => {
    const { bytes } = frame;
    if (isArp(frame) && bytes[21] === ArpOperation.reply) answer = `${macText(bytes, 22)} is ${ipv4Text(bytes, 28)}`;
  });
  await link.send({ bytes: arp({ sender: host4, target: gateway4 }) });
  await link.until(() => answer !== "", "an ARP reply");
  if (answer !== `${ourMac} is ${gateway4}`) throw new Error(answer);
}

function dhcpFrame(type: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(600));
  view.setUint32(Dhcp.operation, 0x0101_0600);
  view.setUint32(Dhcp.transaction, 0x1000 + type);
  putBytes(view, Dhcp.clientHardware, macOf(guestMac));
  view.setUint32(Dhcp.cookie, DHCP_COOKIE);
  let at = writeDhcpOption(view, Dhcp.options, DhcpOption.messageType, Uint8Array.of(type));
  if (type === DhcpMessageType.request) {
    at = writeDhcpOption(view, at, DhcpOption.requestedAddress, Uint8Array.from(host4.split(".").map(Number)));
    at = writeDhcpOption(view, at, DhcpOption.serverIdentifier, Uint8Array.from(gateway4.split(".").map(Number)));
  }
  const end = endDhcpOptions(view, at, 0);
  return udp({ from: "0.0.0.0", to: "255.255.255.255" }, 68, 67, new Uint8Array(view.buffer, 0, end));
}

/** The message type option, wherever it stands. */
function dhcpTypeOf(message: Uint8Array): number {
  for (let at: number = Dhcp.options; at + 2 < message.length; at += 2 + message[at + 1]) {
    if (message[at] === DhcpOption.messageType) return message[at + 2];
  }
  return 0;
}

export async function exchangeDhcp(link: GuestLink): Promise<void> {
  const { discover, offer, request, ack } = DhcpMessageType;
  for (const [sent, wanted] of [
    [discover, offer],
    [request, ack],
  ]) {
    let answer = "";
    link.deliverTo((frame) => {
      const datagram = datagramIn(frame);
      if (datagram?.sourcePort !== 67) return;
      const { payload } = datagram;
      answer = `${dhcpTypeOf(payload)} ${ipv4Text(payload, Dhcp.yourAddress)}`;
    });
    await link.send({ bytes: dhcpFrame(sent) });
    await link.until(() => answer !== "", `an answer to DHCP message ${sent}`);
    if (answer !== `${wanted} ${host4}`) throw new Error(`${answer} for DHCP message ${sent}`);
  }
}

export async function exchangePings(link: GuestLink): Promise<void> {
  for (const [i, length] of [1, 56, 1400].entries()) {
    const data = "p".repeat(length);
    let reply: ReturnType<typeof echoReplyIn> = null;
    link.deliverTo((frame) => {
      reply = echoReplyIn(frame) ?? reply;
    });
    await link.send({ bytes: ping(toGateway, 77, i, data) });
    await link.until(() => reply !== null, "an echo reply");
    const { identifier, sequence, data: came } = reply as unknown as NonNullable<typeof reply>;
    if (identifier !== 77 || sequence !== i) throw new Error(`echo reply ${identifier} ${sequence}`);
    expectBytes("echo reply", came, new TextEncoder().encode(data));
  }
}

/** The guest connects, sends, ends; the host sends everything back, and ends. */
export async function exchangeStreamsOut(link: GuestLink): Promise<void> {
  for (const [i, length] of streamSizes.entries()) {
    const stream = new GuestStream({ guestPort: 40_000 + i, peerPort: echoPort });
    link.deliverTo((frame) => void (isTcp(frame) && stream.take(frame)));
    const sent = pattern(i, length);
    stream.connect();
    stream.write(sent);
    stream.end();
    await run(link, stream, () => stream.isClosed, `the end of a stream of ${length} bytes`);
    expectBytes("stream out", stream.received, sent);
  }
}

/** The host connects, sends, ends; the guest sends everything back, and ends. */
export async function exchangeStreamsIn(link: GuestLink, host: Program): Promise<void> {
  for (const [i, length] of streamSizes.entries()) {
    await asked(link, host, `tcp ${i} ${length}`, async () => {
      let stream: GuestStream | null = null;
      link.deliverTo((frame) => {
        if (!isTcp(frame)) return;
        const { bytes } = frame;
        const [peerPort, port] = [bytes[34] * 256 + bytes[35], bytes[36] * 256 + bytes[37]];
        if (port !== forwardedPort) return;
        stream ??= new GuestStream({ guestPort: port, peerPort });
        stream.take(frame);
      });
      await link.until(() => stream !== null, "a SYN of the host");
      const opened = stream as unknown as GuestStream;
      await run(link, opened, () => opened.ended, `a stream of ${length} bytes`);
      opened.write(opened.received);
      opened.end();
      await run(link, opened, () => opened.isClosed, "the end of the stream");
      expectBytes("stream in", opened.received, pattern(i, length));
    });
  }
}

export async function exchangeDatagramsOut(link: GuestLink): Promise<void> {
  for (const [i, length] of datagramSizes.entries()) {
    const sent = pattern(i, length);
    let came: Uint8Array | null = null;
    link.deliverTo((frame) => {
      const datagram = datagramIn(frame);
      if (datagram?.sourcePort === echoPort && datagram.destinationPort === 41_000) came = datagram.payload;
    });
    await link.send({ bytes: udp(toGateway, 41_000, echoPort, sent) });
    await link.until(() => came !== null, `a datagram of ${length} bytes`);
    expectBytes("datagram out", came as unknown as Uint8Array, sent);
  }
}

export async function exchangeDatagramsIn(link: GuestLink, host: Program): Promise<void> {
  for (const [i, length] of datagramSizes.entries()) {
    await asked(link, host, `udp ${i} ${length}`, async () => {
      let came: Uint8Array | null = null;
      link.deliverTo((frame) => {
        const datagram = datagramIn(frame);
        if (datagram?.destinationPort !== forwardedPort) return;
        came = udp({ to: datagram.source }, forwardedPort, datagram.sourcePort, datagram.payload);
        expectBytes("datagram in", datagram.payload, pattern(i, length));
      });
      await link.until(() => came !== null, `a datagram of ${length} bytes`);
      await link.send({ bytes: came as unknown as Uint8Array });
    });
  }
}

/** Everything, in the order in which a guest does it. */
export async function exchangeAll(link: GuestLink, host: Program): Promise<void> {
  await exchangeArp(link);
  await exchangeDhcp(link);
  await exchangePings(link);
  await exchangeStreamsOut(link);
  await exchangeStreamsIn(link, host);
  await exchangeDatagramsOut(link);
  await exchangeDatagramsIn(link, host);
  if (takenBy(link.one).segments) await exchangeLargeSegments(link);
  if (takenBy(link.one).checksums) await exchangeJoinedDatagrams(link, host);
  if (takenBy(link.one).datagrams) await exchangeCutDatagrams(link);
  await link.finish();
}
