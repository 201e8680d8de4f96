import { describe, expect, test } from "bun:test";
import { Iov, IovPool } from "@passt-ts/iov/iov";
import { WindowTable } from "@passt-ts/iov/windows";
import { DatagramSendBatch } from "@passt-ts/linux/datagram-send-batch";
import { NativeBuffer } from "@passt-ts/linux/native-buffer";
import { SocketAddress } from "@passt-ts/linux/socket-address";
import { GuestFrame } from "@passt-ts/udp-vu/testing/harness";
import { UdpCounter } from "@passt-ts/udp-vu/udp-counter";
import { BackendRig, GATEWAY4, GATEWAY6, GUEST4, GUEST6 } from "./testing/backend-rig.ts";
import { isUdp, pattern, udpFrame } from "./testing/guest-frames.ts";
import { boundSocket, HostUdp, LOOPBACK4, LOOPBACK6, portOf } from "./testing/host-sockets.ts";

const FAMILIES = [
  ["IPv4", GUEST4, GATEWAY4, LOOPBACK4],
  ["IPv6", GUEST6, GATEWAY6, LOOPBACK6],
] as const;

/** Sends `data` from `host` as datagrams of `segmentBytes` with one call (UDP_SEGMENT): loopback keeps them joined. */
function sendJoined(host: HostUdp, data: Uint8Array, segmentBytes: number, to: Uint32Array, port: number): void {
  const windows = new WindowTable();
  const native = new NativeBuffer(data.length);
  native.bytes.set(data);
  const pool = new IovPool(windows, 1);
  pool.append(windows.add(native.bytes, native.address), 0, data.length);
  const batch = new DatagramSendBatch(1);
  batch.add(new Iov(pool, 0, 1), 0, data.length, new SocketAddress().set(to, port));
  batch.setSegmentBytes(0, segmentBytes);
  if (batch.send(host.socket.fd) !== 1) throw new Error("the kernel does not take UDP_SEGMENT");
}

const cut = (data: Uint8Array, size: number): number[][] =>
  Array.from({ length: Math.ceil(data.length / size) }, (_, i) => [...data.subarray(i * size, (i + 1) * size)]);

describe.each(FAMILIES)("datagrams that the kernel joins (UDP_GRO) over %s", (_name, source, gateway, loopback) => {
  test("come with one receive and reach the guest one by one, in order, whatever their length", () => {
    using rig = new BackendRig();
    using host = new HostUdp(loopback);
    rig.send([udpFrame({ source, destination: gateway, destinationPort: host.port, payload: [1] })]);
    const { port } = rig.waitFor(() => host.receive(), "the guest's datagram");
    for (const [length, segmentBytes] of [
      [40_000, 1400],
      [60_000, 1000],
      [2001, 1000],
    ]) {
      const data = pattern(length, segmentBytes);
      const { counters } = rig.engines.udp;
      const callsBefore = counters[UdpCounter.receiveCalls];
      sendJoined(host, data, segmentBytes, loopback, port);
      const expected = cut(data, segmentBytes);
      const got: GuestFrame[] = [];
      rig.until(() => {
        got.push(...rig.take(isUdp).map(({ bytes }) => new GuestFrame(bytes)));
        return got.length >= expected.length;
      }, "all datagrams");
      expect(got.map(({ payload }) => [...payload])).toEqual(expected);
      expect(got.every(({ checksumsRight }) => checksumsRight)).toBe(true);
      expect(counters[UdpCounter.receiveCalls] - callsBefore).toBeLessThanOrEqual(2);
    }
  });

  test("leave in one frame for a driver that takes that, and every byte is there", () => {
    const sink = { partialChecksum: true, udpSegmentationBytesMax4: 65550, udpSegmentationBytesMax6: 65550 };
    using rig = new BackendRig({ sink });
    using host = new HostUdp(loopback);
    rig.send([udpFrame({ source, destination: gateway, destinationPort: host.port, payload: [1] })]);
    const { port } = rig.waitFor(() => host.receive(), "the guest's datagram");
    const data = pattern(30_000);
    sendJoined(host, data, 1200, loopback, port);
    rig.until(() => rig.engines.udp.counters[UdpCounter.datagramsToGuest] === 25, "25 datagrams");
    const [frame, ...rest] = rig.take(isUdp);
    expect([rest, frame.gsoSize, [...new GuestFrame(frame.bytes).payload]]).toEqual([[], 1200, [...data]]);
  });

  test("come in through a forward too, and make one flow", () => {
    const fd = boundSocket("udp", loopback);
    const family = source === GUEST4 ? 4 : 6;
    using rig = new BackendRig({ forwards: [{ protocol: "udp", fd, family, targetPort: 53 }] });
    using host = new HostUdp(loopback);
    const data = pattern(10_000);
    sendJoined(host, data, 900, loopback, portOf(fd));
    const got: number[] = [];
    rig.until(() => {
      for (const { bytes } of rig.take(isUdp)) got.push(...new GuestFrame(bytes).payload);
      return got.length >= data.length;
    }, "all datagrams");
    expect([got, rig.engines.udp.flowCount]).toEqual([[...data], 1]);
  });

  test("and, unlike passt, one too long for a buffer of a driver without mergeable ones is dropped, counted, never cut", () => {
    using rig = new BackendRig({ sink: { mergeable: false, entryBytes: [12, 1514] } });
    using host = new HostUdp(loopback);
    rig.send([udpFrame({ source, destination: gateway, destinationPort: host.port, payload: [1] })]);
    const { port } = rig.waitFor(() => host.receive(), "the guest's datagram");
    host.send(pattern(3000), loopback, port);
    host.send(pattern(900), loopback, port);
    const frame = new GuestFrame(rig.frame(isUdp));
    expect([frame.payload, rig.engines.udp.counters[UdpCounter.droppedTooLong]]).toEqual([pattern(900), 1]);
    expect(rig.take(isUdp)).toEqual([]);
  });
});
