/** Which way the guest's packets leave a host with two links; for a test that made the namespace. */
import { writeFileSync } from "node:fs";
import { ipv4Words } from "@passt-ts/address-map/address";
import { PacketSocket } from "@passt-ts/linux/testing/packet-socket";
import type { FamilyConfiguration } from "../link-configuration.ts";
import { BackendRig, GATEWAY4, GUEST6, LINK } from "./backend-rig.ts";
import { isIcmp, isTcp, isUdp, pingFrame, udpFrame } from "./guest-frames.ts";
import { GuestStream } from "./guest-stream.ts";
import { HostListener, HostUdp, LOOPBACK4 } from "./host-sockets.ts";
import { ip } from "./namespace.ts";

/** Packets seen on the links, as "link protocol source:port". Ports that the kernel chose are left out. */
export interface OutboundReport {
  readonly byRoute: readonly string[];
  readonly byAddress: readonly string[];
  readonly byInterface: readonly string[];
  /** The way out was changed under flows that there were. */
  readonly changed: readonly string[];
  /** Without the interface: type and code of the ICMP error for a datagram, and packets that leaked out elsewhere. */
  readonly interfaceGone: { readonly errors: readonly number[]; readonly leaked: readonly string[] };
  /** The host's loopback and its own address are reached all the same. */
  readonly ownAddresses: readonly boolean[];
}

const PEER4: Uint32Array = ipv4Words(0xcb007109);
const PEER6: Uint32Array = Uint32Array.of(0x20010db8, 9, 9, 9);
const FIRST4: Uint32Array = ipv4Words(0xc0000201);
const SECOND4: Uint32Array = ipv4Words(0xc0000209);
const SECOND6: Uint32Array = Uint32Array.of(0x20010db8, 0x00010000, 0, 9);
const ETHER_TYPES = [0x0800, 0x86dd];

const PROTOCOLS: Readonly<Record<number, string>> = { 1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6" };

/** Listens at the far ends of both links. */
class Wires implements Disposable {
  readonly #sockets = ["far0", "far1"].flatMap((name) =>
    ETHER_TYPES.map((etherType) => ({ name, socket: new PacketSocket(name, etherType) })),
  );

  /** What passed since the last call, each kind once, sorted. */
  take(): string[] {
    const seen = new Set<string>();
    for (const { name, socket } of this.#sockets) {
      for (let frame = socket.receive(); frame !== null; frame = socket.receive()) {
        const text = describe(frame);
        if (text !== "") seen.add(`${name} ${text}`);
      }
    }
    return [...seen].sort();
  }

  [Symbol.dispose](): void {
    for (const { socket } of this.#sockets) socket[Symbol.dispose]();
  }
}

/** Protocol and source of a packet to one of the peers; "" for what the kernel says by itself. */
function describe(frame: Uint8Array): string {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  const v4 = view.getUint16(12) === 0x0800;
  const destination = v4 ? view.getUint32(30) : view.getUint32(50);
  if (destination !== (v4 ? PEER4[3] : PEER6[3])) return "";
  const protocol = PROTOCOLS[v4 ? frame[23] : frame[20]];
  const source = v4 ? frame.subarray(26, 30).join(".") : `::${view.getUint16(36).toString(16)}`;
  const port = protocol === "udp" ? `:${view.getUint16(v4 ? 34 : 54)}` : "";
  return `${protocol} ${source}${port}`;
}

function setUp(): void {
  for (const name of ["all", "default"]) writeFileSync(`/proc/sys/net/ipv6/conf/${name}/disable_ipv6`, "0");
  writeFileSync("/proc/sys/net/ipv4/ping_group_range", "0 0");
  ip("link set lo up");
  for (const [index, net] of ["192.0.2", "198.51.100"].entries()) {
    const name = `out${index}`;
    ip(`link add ${name} type veth peer name far${index}
      addr add ${net}.1/24 dev ${name}
      addr add 2001:db8:1:${index}::1/64 dev ${name} nodad
      link set ${name} up
      link set far${index} up
      neigh add ${net}.254 lladdr 02:00:00:00:00:01 dev ${name}
      neigh add fe80::fe lladdr 02:00:00:00:00:01 dev ${name}
      route add default via ${net}.254 dev ${name} metric ${10 + index}
      -6 route add default via fe80::fe dev ${name} metric ${10 + index}`);
  }
  // Deprecated, so that the kernel never chooses it by itself.
  ip("addr add 192.0.2.9/24 dev out0\naddr add 2001:db8:1::9/64 dev out0 nodad preferred_lft 0");
}

function linkWith(changes4: Partial<FamilyConfiguration>, changes6: Partial<FamilyConfiguration>) {
  const { ipv4, ipv6 } = LINK;
  return {
    ...LINK,
    ipv4: { ...(ipv4 as FamilyConfiguration), ...changes4 },
    ipv6: { ...(ipv6 as FamilyConfiguration), ...changes6 },
  };
}

const BY_ADDRESS = linkWith({ outboundAddress: SECOND4 }, { outboundAddress: SECOND6 });
const BY_INTERFACE = linkWith({ outboundInterface: "out1" }, { outboundInterface: "out1" });

/** Sends one packet of each protocol and family; the datagrams always from the same ports, the SYNs from `tcpPort`. */
function sendAll(rig: BackendRig, tcpPort = 41000): void {
  rig.send([
    udpFrame({ destination: PEER4, destinationPort: 9, sourcePort: 40009 }),
    udpFrame({ source: GUEST6, destination: PEER6, destinationPort: 9, sourcePort: 40009 }),
    pingFrame({ destination: PEER4 }),
    pingFrame({ source: GUEST6, destination: PEER6 }),
  ]);
  new GuestStream(rig, { peer: PEER4, peerPort: 80, guestPort: tcpPort }).sendSyn();
  new GuestStream(rig, { source: GUEST6, peer: PEER6, peerPort: 80, guestPort: tcpPort }).sendSyn();
  rig.pump(5);
}

function leave(wires: Wires, link: typeof LINK): string[] {
  using rig = new BackendRig({ link });
  sendAll(rig);
  return wires.take();
}

/** Changes the way out while flows are there. */
function change(wires: Wires): string[] {
  using rig = new BackendRig();
  sendAll(rig);
  rig.backend.configure(BY_INTERFACE, rig.nowMs);
  wires.take();
  sendAll(rig, 41001);
  return wires.take();
}

function withoutInterface(wires: Wires): OutboundReport["interfaceGone"] {
  using rig = new BackendRig({ link: linkWith({ outboundInterface: "gone0" }, {}) });
  rig.send([udpFrame({ destination: PEER4, destinationPort: 9 })]);
  const error = rig.frame((bytes) => bytes[23] === 1, "an ICMP error");
  new GuestStream(rig, { peer: PEER4, peerPort: 80 }).sendSyn();
  rig.frame((bytes) => isTcp(bytes) || isIcmp(bytes), "a reset or an ICMP error");
  return { errors: [error[34], error[35]], leaked: wires.take() };
}

/** The guest was given the host's address, and reaches the host there under another one (--map-guest-addr). */
function reachOwn(): boolean[] {
  const mapGuestAddress = ipv4Words(0xc00002f0);
  const ways = { outboundInterface: "out0", outboundAddress: SECOND4 };
  const link = linkWith({ ...ways, guestAddress: FIRST4, mapGuestAddress }, {});
  using rig = new BackendRig({ link });
  return [
    [GATEWAY4, LOOPBACK4],
    [mapGuestAddress, FIRST4],
  ].map(([destination, address], index) => {
    using udp = new HostUdp(address);
    using tcp = new HostListener(address);
    const source = FIRST4;
    rig.send([udpFrame({ source, destination, destinationPort: udp.port, sourcePort: 40100 + index, payload: [7] })]);
    const question = rig.waitFor(() => udp.receive(), "a datagram");
    udp.send([8], Uint32Array.from(question.address), question.port);
    const answer = rig.frame(isUdp, "an answer");
    GuestStream.connect(rig, { source, peer: destination, peerPort: tcp.port, guestPort: 40200 + index });
    return new DataView(answer.buffer, answer.byteOffset).getUint32(26) === destination[3] && !isTcp(answer);
  });
}

function report(): OutboundReport {
  setUp();
  using wires = new Wires();
  return {
    byRoute: leave(wires, LINK),
    byAddress: leave(wires, BY_ADDRESS),
    byInterface: leave(wires, BY_INTERFACE),
    changed: change(wires),
    interfaceGone: withoutInterface(wires),
    ownAddresses: reachOwn(),
  };
}

process.stdout.write(JSON.stringify(report()));
