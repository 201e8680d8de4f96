/** What a guest sees of a path with a router on it; for a test that made the namespace. */
import { ipv4Words } from "@passt-ts/address-map/address";
import { addressesOf } from "@passt-ts/icmp-vu/testing/harness";
import { openFileCount, runtimeFilesClosed } from "@passt-ts/linux/testing/open-files";
import { IpProtocol } from "@passt-ts/wire/ipv4";
import { BackendRig, GUEST4, GUEST6 } from "./backend-rig.ts";
import { isIcmp, pattern, pingFrame, udpFrame } from "./guest-frames.ts";
import { GuestStream } from "./guest-stream.ts";
import { FAR4, FAR6, FORBIDDEN4, FORBIDDEN6, RoutedPath, UNREACHABLE4, UNREACHABLE6 } from "./router.ts";

/** One ICMP message to the guest. */
export interface Told {
  readonly type: number;
  readonly code: number;
  readonly source: string;
  /** The quote is the beginning of what the guest sent, byte for byte, and nothing else. */
  readonly isExactQuote: boolean;
}

/** By address family: 4, 6. */
export interface PathReport {
  /** By TTL, from 1 on. */
  readonly udpTrace: readonly (readonly Told[])[];
  readonly pingTrace: readonly (readonly Told[])[];
  /** TCP to a network that the router cannot reach, to one that it may not, and to a closed port. */
  readonly tcpUnreachable: readonly Told[];
  readonly tcpForbidden: readonly Told[];
  readonly tcpClosedPort: readonly { readonly resets: number; readonly errors: number }[];
  readonly udpUnreachable: readonly Told[];
  readonly flowsLeft: number;
  readonly leakedFiles: number;
}

const HOPS = 2;
const PAYLOAD = pattern(40);

const text = (words: readonly number[]): string => words.map((word) => (word >>> 0).toString(16)).join(":");

/** The ICMP message that answers `sent`. */
function told(rig: BackendRig, sent: Uint8Array): Told {
  const frame = rig.frame(isIcmp, "an ICMP message");
  const at = frame[12] === 0x86 ? 54 : 34;
  const quote = frame.subarray(at + 8);
  return {
    type: frame[at],
    code: frame[at + 1],
    source: text(addressesOf(frame)[0]),
    isExactQuote: quote.length > 0 && quote.every((byte, i) => byte === sent[14 + i]),
  };
}

/** Fills in the checksum as a guest without offload does. */
function withChecksum(frame: Uint8Array): Uint8Array {
  const v6 = frame[12] === 0x86;
  const at = v6 ? 54 : 34;
  const protocol = frame[v6 ? 20 : 23];
  let sum = 0;
  const add = (from: number, to: number): void => {
    for (let i = from; i < to; i++) sum += (i - from) % 2 === 0 ? frame[i] * 256 : frame[i];
  };
  // ICMP of IPv4 has no pseudo-header.
  if (protocol !== IpProtocol.icmp) {
    sum = protocol + frame.length - at;
    add(v6 ? 22 : 26, at);
  }
  add(at, frame.length);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  frame.set([(~sum & 0xffff) >>> 8, ~sum & 255], at + (protocol === IpProtocol.udp ? 6 : 2));
  return frame;
}

function traceUdp(rig: BackendRig, source: Uint32Array, destination: Uint32Array): Told[] {
  return Array.from({ length: HOPS }, (_, i) => {
    const fields = { source, destination, hopLimit: i + 1, destinationPort: 33_434 + i, payload: PAYLOAD };
    const sent = withChecksum(udpFrame(fields));
    rig.send([sent]);
    return told(rig, sent);
  });
}

function tracePing(rig: BackendRig, source: Uint32Array, destination: Uint32Array): Told[] {
  return Array.from({ length: HOPS }, (_, i) => {
    const sent = withChecksum(pingFrame({ source, destination, hopLimit: i + 1, sequence: i, payload: PAYLOAD }));
    rig.send([sent]);
    return told(rig, sent);
  });
}

/** Connects to where no connection comes about; what the guest is told. */
function connectInVain(rig: BackendRig, source: Uint32Array, peer: Uint32Array): Told {
  const stream = new GuestStream(rig, { source, peer, peerPort: 80 });
  stream.sendSyn();
  const result = told(rig, stream.synFrame);
  if (stream.poll().resets > 0) throw new Error("a RST as well");
  return result;
}

function connectToClosedPort(rig: BackendRig, source: Uint32Array, peer: Uint32Array): PathReport["tcpClosedPort"][0] {
  const stream = new GuestStream(rig, { source, peer, peerPort: 81 });
  stream.sendSyn();
  rig.until(() => stream.poll().resets > 0, "a RST");
  return { resets: stream.resets, errors: rig.take(isIcmp).length };
}

function report(): PathReport {
  const files = openFileCount();
  const rig = new BackendRig();
  const families = [
    { source: GUEST4, far: ipv4Words(FAR4), unreachable: ipv4Words(UNREACHABLE4), forbidden: ipv4Words(FORBIDDEN4) },
    { source: GUEST6, far: FAR6, unreachable: UNREACHABLE6, forbidden: FORBIDDEN6 },
  ];
  const results = {
    udpTrace: families.map(({ source, far }) => traceUdp(rig, source, far)),
    pingTrace: families.map(({ source, far }) => tracePing(rig, source, far)),
    tcpUnreachable: families.map(({ source, unreachable }) => connectInVain(rig, source, unreachable)),
    tcpForbidden: families.map(({ source, forbidden }) => connectInVain(rig, source, forbidden)),
    tcpClosedPort: families.map(({ source, far }) => connectToClosedPort(rig, source, far)),
    udpUnreachable: families.map(({ source, unreachable }) => {
      const sent = withChecksum(udpFrame({ source, destination: unreachable, destinationPort: 9, payload: PAYLOAD }));
      rig.send([sent]);
      return told(rig, sent);
    }),
  };
  const flowsLeft = rig.engines.tcp.flowCount;
  rig.close();
  return { ...results, flowsLeft, leakedFiles: openFileCount() - files };
}

const path = await RoutedPath.make();
try {
  await runtimeFilesClosed();
  process.stdout.write(JSON.stringify(report()));
} finally {
  path.close();
}
