// The headers of frames for the guest, and reading those of frames from it.

import { ipv4Words } from "@passt-ts/address-map/address";
import { checksumBytes } from "@passt-ts/checksum/checksum";
import { pseudoHeader4, pseudoHeader6 } from "@passt-ts/checksum/pseudo-header";
import { EtherType, writeEthernet } from "@passt-ts/wire/ethernet";
import { IpProtocol, writeIpv4 } from "@passt-ts/wire/ipv4";
import { writeIpv6 } from "@passt-ts/wire/ipv6";
import { Packet } from "@passt-ts/wire/packet";
import { setTcpChecksum, Tcp, TcpFlag, writeTcp } from "@passt-ts/wire/tcp";
import { setUdpChecksum, Udp, writeUdp } from "@passt-ts/wire/udp";
import { VIRTIO_NET_HEADER_BYTES, VirtioNetFields, writeVirtioNetHeader } from "@passt-ts/wire/virtio-net-header";
import type { Case } from "./case.ts";

const payloadBytes = 64;
const mac = Uint8Array.of(0x52, 0x54, 0, 0, 0, 9);
const addresses = {
  4: [ipv4Words(0x0a000001), ipv4Words(0x0a000002)],
  6: [Uint32Array.of(0x20010db8, 0, 0, 1), Uint32Array.of(0x20010db8, 0, 0, 2)],
} as const;

const frame = (): DataView => new DataView(new ArrayBuffer(256));

/** Writes Ethernet and IP headers; the offset behind them. */
function writeUpToIp(view: DataView, version: 4 | 6, protocol: number, l4Bytes: number): number {
  const [source, destination] = addresses[version];
  const ipAt = writeEthernet(view, 0, mac, mac, version === 4 ? EtherType.ipv4 : EtherType.ipv6);
  return version === 4
    ? writeIpv4(view, ipAt, l4Bytes, protocol, 64, source, 0, destination, 0)
    : writeIpv6(view, ipAt, l4Bytes, protocol, 64, 0, source, 0, destination, 0);
}

function pseudoOf(version: 4 | 6, protocol: number, l4Bytes: number): number {
  const [source, destination] = addresses[version];
  const sum = version === 4 ? pseudoHeader4 : pseudoHeader6;
  return sum(source, 0, destination, 0, protocol, l4Bytes);
}

function writeTcpFrame(view: DataView, version: 4 | 6): number {
  const l4Bytes = Tcp.headerBytes + payloadBytes;
  const at = writeUpToIp(view, version, IpProtocol.tcp, l4Bytes);
  writeTcp(view, at, 80, 40_000, 1, 2, TcpFlag.ack, 1000);
  setTcpChecksum(view, at, pseudoOf(version, IpProtocol.tcp, l4Bytes));
  return at;
}

function writeUdpFrame(view: DataView, version: 4 | 6): number {
  const l4Bytes = Udp.headerBytes + payloadBytes;
  const at = writeUpToIp(view, version, IpProtocol.udp, l4Bytes);
  writeUdp(view, at, 53, 40_000, payloadBytes);
  setUdpChecksum(view, at, checksumBytes(view, at, at + l4Bytes, pseudoOf(version, IpProtocol.udp, l4Bytes)));
  return at;
}

export const frameCases: readonly Case[] = [
  ...([4, 6] as const).flatMap((version) => [
    {
      name: `headers of a TCP segment over IPv${version}, checksum left partial`,
      make: () => {
        const view = frame();
        return () => writeTcpFrame(view, version);
      },
    },
    {
      name: `headers of a UDP datagram of ${payloadBytes} bytes over IPv${version}, checksum complete`,
      make: () => {
        const view = frame();
        return () => writeUdpFrame(view, version);
      },
    },
    {
      name: `reading the headers of a TCP segment over IPv${version}`,
      make: () => {
        const view = frame();
        const frameBytes = writeTcpFrame(view, version) + Tcp.headerBytes + payloadBytes;
        const packet = new Packet();
        return () => packet.parse(view, 0, frameBytes, frameBytes);
      },
    },
  ]),
  {
    name: "virtio-net header, written and read",
    make: () => {
      const view = frame();
      const fields = new VirtioNetFields();
      return () => {
        writeVirtioNetHeader(view, 0, VIRTIO_NET_HEADER_BYTES, 1, 1, 54, 1460, 34, 16, 1);
        fields.parse(view, 0, VIRTIO_NET_HEADER_BYTES);
        return fields.gsoSize;
      };
    },
  },
];
