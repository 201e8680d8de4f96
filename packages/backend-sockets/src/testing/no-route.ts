/** A back-end in a network namespace without any route but loopback's; for a test that made the namespace. */
import { openFileCount, runtimeFilesClosed } from "@passt-ts/linux/testing/open-files";
import { BackendRig, GUEST6 } from "./backend-rig.ts";
import { isIcmp, udpFrame } from "./guest-frames.ts";
import { GuestStream } from "./guest-stream.ts";

export interface NoRouteReport {
  /** Type and code of the ICMP error that answers a datagram, and a SYN, IPv4 and IPv6. */
  readonly udpErrors: readonly (readonly number[])[];
  readonly tcpErrors: readonly (readonly number[])[];
  readonly flows: number;
  readonly leakedFiles: number;
  readonly leakedRegistrations: number;
}

function errorsTo(rig: BackendRig): number[][] {
  return rig.take(isIcmp).map(({ bytes }) => {
    const at = bytes[12] === 0x86 ? 54 : 34;
    return [bytes[at], bytes[at + 1]];
  });
}

function report(): NoRouteReport {
  using rig = new BackendRig();
  const files = openFileCount();
  const registrations = rig.loop.count;
  const peer4 = Uint32Array.of(0, 0, 0xffff, 0xc0000209);
  const peer6 = Uint32Array.of(0x20010db8, 9, 9, 9);
  rig.send([
    udpFrame({ destination: peer4, destinationPort: 53 }),
    udpFrame({ source: GUEST6, destination: peer6, destinationPort: 53 }),
  ]);
  const udpErrors = errorsTo(rig);
  const streams = [
    new GuestStream(rig, { peer: peer4, peerPort: 80 }),
    new GuestStream(rig, { source: GUEST6, peer: peer6, guestPort: 40001, peerPort: 80 }),
  ];
  for (const stream of streams) stream.sendSyn();
  return {
    udpErrors,
    tcpErrors: errorsTo(rig),
    flows: rig.engines.tcp.flowCount + rig.engines.udp.flowCount,
    leakedFiles: openFileCount() - files,
    leakedRegistrations: rig.loop.count - registrations,
  };
}

Bun.spawnSync(["ip", "link", "set", "lo", "up"]);
await runtimeFilesClosed();
process.stdout.write(JSON.stringify(report()));
