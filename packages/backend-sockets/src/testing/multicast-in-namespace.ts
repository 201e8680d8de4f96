/** Multicasts of the guest on the host's link; for a test that made the namespace. */
import { writeFileSync } from "node:fs";
import { ipv4Words } from "@passt-ts/address-map/address";
import { interfaceIndex } from "@passt-ts/linux/interface-status";
import { PacketSocket } from "@passt-ts/linux/testing/packet-socket";
import { BackendRig, GUEST6 } from "./backend-rig.ts";
import { udpFrame } from "./guest-frames.ts";
import { ip } from "./namespace.ts";

/** A datagram to a group as it was on the link. */
export interface SeenMulticast {
  readonly group: string;
  /** The Ethernet address that the group stands for. */
  readonly mac: string;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly hopLimit: number;
  readonly payload: readonly number[];
}

export interface MulticastReport {
  readonly seen: readonly SeenMulticast[];
  /** Frames that the guest got: nothing comes back in. */
  readonly toGuest: number;
}

const GROUPS: readonly { readonly source?: Uint32Array; readonly group: Uint32Array; readonly hopLimit: number }[] = [
  { group: ipv4Words(0xe00000fb), hopLimit: 255 },
  { group: ipv4Words(0xeffffffa), hopLimit: 4 },
  { source: GUEST6, group: Uint32Array.of(0xff020000, 0, 0, 0xfb), hopLimit: 255 },
  { source: GUEST6, group: Uint32Array.of(0xff150000, 0, 0, 0x1234), hopLimit: 3 },
];

function describe(frame: Uint8Array): SeenMulticast | null {
  const v4 = frame[12] === 8;
  const at = v4 ? 34 : 54;
  if (frame[v4 ? 23 : 20] !== 17) return null;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  const address = [...frame.subarray(v4 ? 30 : 38, at)];
  return {
    group: v4 ? address.join(".") : Buffer.from(address).toString("hex"),
    mac: Buffer.from(frame.subarray(0, 6)).toString("hex"),
    sourcePort: view.getUint16(at),
    destinationPort: view.getUint16(at + 2),
    hopLimit: frame[v4 ? 22 : 21],
    payload: [...frame.subarray(at + 8, at + view.getUint16(at + 4))],
  };
}

function report(): MulticastReport {
  const sockets = [0x0800, 0x86dd].map((etherType) => new PacketSocket("far", etherType));
  using rig = new BackendRig({ link: { scopeId: interfaceIndex("out") } });
  rig.pump();
  rig.take();
  for (const [i, { source, group, hopLimit }] of GROUPS.entries()) {
    const packet = { destination: group, hopLimit, destinationPort: 5353, sourcePort: 40_100 + i, payload: [i, 7] };
    rig.send([udpFrame(source === undefined ? packet : { ...packet, source })]);
  }
  const seen: SeenMulticast[] = [];
  rig.until(() => {
    for (const socket of sockets) {
      for (let frame = socket.receive(); frame !== null; frame = socket.receive()) {
        const multicast = describe(frame);
        if (multicast !== null) seen.push(multicast);
      }
    }
    return seen.length >= GROUPS.length;
  }, "the multicasts");
  for (const socket of sockets) socket[Symbol.dispose]();
  const isFromPort5353 = (frame: Uint8Array): boolean => frame[frame[12] === 8 ? 23 : 20] === 17;
  return { seen, toGuest: rig.take(isFromPort5353).length };
}

for (const name of ["all", "default"]) writeFileSync(`/proc/sys/net/ipv6/conf/${name}/disable_ipv6`, "0");
writeFileSync("/proc/sys/net/ipv6/conf/default/accept_dad", "0");
ip(`link set lo up
  link add out type veth peer name far
  addr add 192.0.2.1/24 dev out
  addr add 2001:db8:1::1/64 dev out nodad
  link set out up`);
// The far end is no way out.
writeFileSync("/proc/sys/net/ipv6/conf/far/disable_ipv6", "1");
ip(`link set far up
  route add default via 192.0.2.254 dev out
  -6 route add default via fe80::fe dev out`);
process.stdout.write(JSON.stringify(report()));
