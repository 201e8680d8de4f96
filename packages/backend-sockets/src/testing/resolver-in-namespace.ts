/** Name servers of the host behind addresses of the guest's link; for a test that made the namespace. */
import { ipv4Words } from "@passt-ts/address-map/address";
import { GuestFrame } from "@passt-ts/udp-vu/testing/harness";
import type { FamilyConfiguration } from "../link-configuration.ts";
import { BackendRig, GATEWAY4, GUEST4, GUEST6, LINK } from "./backend-rig.ts";
import { isUdp, udpFrame } from "./guest-frames.ts";
import { GuestStream } from "./guest-stream.ts";
import { HostListener, HostUdp, LOOPBACK4, LOOPBACK6 } from "./host-sockets.ts";
import { ip } from "./namespace.ts";

const RESOLVER4: Uint32Array = ipv4Words(0x7f000035);
const FORWARD4: Uint32Array = ipv4Words(0x0a000035);
const FORWARD6: Uint32Array = Uint32Array.of(0x20010db8, 0, 0, 0x35);

/** What became of one question and its answer. */
export interface Exchange {
  /** What the resolver was asked. */
  readonly asked: readonly number[];
  /** What the guest got, and from which address and port. */
  readonly answered: readonly number[];
  readonly from: readonly number[];
}

export interface ResolverReport {
  readonly udp4: readonly Exchange[];
  readonly udp6: readonly Exchange[];
  /** Bytes that the guest got over TCP from ports 53 and 853, of both families. */
  readonly tcp: readonly (readonly number[])[];
  /** What reached the resolver's other port. */
  readonly otherPort: number;
  /** With one address for resolver and loopback: who heard port 53, and who another port. */
  readonly shared: readonly string[];
}

const link = {
  ipv4: { ...LINK.ipv4, loopback: null, dnsForward: FORWARD4, dnsHost: RESOLVER4 } as FamilyConfiguration,
  ipv6: { ...LINK.ipv6, loopback: null, dnsForward: FORWARD6, dnsHost: LOOPBACK6 } as FamilyConfiguration,
};

function askByUdp(rig: BackendRig, resolver: Uint32Array, destination: Uint32Array, port: number): Exchange {
  using server = new HostUdp(resolver, port);
  const source = resolver === RESOLVER4 ? GUEST4 : GUEST6;
  rig.send([
    udpFrame({ source, destination, destinationPort: port, sourcePort: 40000 + port, payload: [1, port & 255] }),
  ]);
  const question = rig.waitFor(() => server.receive(), "a question");
  server.send([2, port & 255], Uint32Array.from(question.address), question.port);
  const answer = new GuestFrame(rig.frame(isUdp, "an answer"));
  return {
    asked: [...question.bytes],
    answered: [...answer.payload],
    from: [...answer.source, answer.view.getUint16(answer.l4At)],
  };
}

function askByTcp(rig: BackendRig, resolver: Uint32Array, peer: Uint32Array, peerPort: number): number[] {
  using server = new HostListener(resolver, peerPort);
  const source = resolver === RESOLVER4 ? GUEST4 : GUEST6;
  const stream = GuestStream.connect(rig, { source, peer, peerPort, guestPort: 41000 + peerPort });
  using host = rig.waitFor(() => server.accept(), "a connection");
  host.write([3, peerPort & 255]);
  rig.until(() => stream.poll().received.length === 2, "an answer");
  return stream.received;
}

/** Ports of name servers alone are mapped: another one is that of the address itself, which nobody here has. */
function askElsewhere(rig: BackendRig): number {
  using server = new HostUdp(RESOLVER4, 5353);
  rig.send([udpFrame({ destination: FORWARD4, destinationPort: 5353 })]);
  for (let i = 0; i < 10; i++) rig.pump(1);
  return server.receive() === null ? 0 : 1;
}

function askSharedAddress(): string[] {
  const ipv4 = { ...LINK.ipv4, dnsForward: GATEWAY4, dnsHost: RESOLVER4 } as FamilyConfiguration;
  using rig = new BackendRig({ link: { ipv4 } });
  const heard: string[] = [];
  for (const port of [53, 54]) {
    using resolver = new HostUdp(RESOLVER4, port);
    using loopback = new HostUdp(LOOPBACK4, port);
    rig.send([udpFrame({ destination: GATEWAY4, destinationPort: port })]);
    rig.until(() => {
      if (resolver.receive() !== null) heard.push("resolver");
      else if (loopback.receive() !== null) heard.push("loopback");
      return heard.length === port - 52;
    }, "a datagram");
  }
  return heard;
}

function report(): ResolverReport {
  using rig = new BackendRig({ link });
  return {
    udp4: [53, 853].map((port) => askByUdp(rig, RESOLVER4, FORWARD4, port)),
    udp6: [53, 853].map((port) => askByUdp(rig, LOOPBACK6, FORWARD6, port)),
    tcp: [
      ...[53, 853].map((port) => askByTcp(rig, RESOLVER4, FORWARD4, port)),
      ...[53, 853].map((port) => askByTcp(rig, LOOPBACK6, FORWARD6, port)),
    ],
    otherPort: askElsewhere(rig),
    shared: askSharedAddress(),
  };
}

ip("link set lo up");
process.stdout.write(JSON.stringify(report()));
