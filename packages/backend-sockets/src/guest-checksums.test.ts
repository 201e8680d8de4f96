import { expect, test } from "bun:test";
import { BackendRig } from "./testing/backend-rig.ts";
import { udpFrame } from "./testing/guest-frames.ts";
import { HostUdp } from "./testing/host-sockets.ts";

test("a guest's checksums are its own affair: with wrong ones in its headers a datagram arrives all the same", () => {
  using rig = new BackendRig();
  using host = new HostUdp();
  const frame = udpFrame({ destinationPort: host.port, payload: [1, 2, 3] });
  // Of the IPv4 header and of UDP.
  for (const at of [24, 40]) frame[at] ^= 0x55;
  rig.send([frame]);
  expect([...rig.waitFor(() => host.receive(), "the datagram").bytes]).toEqual([1, 2, 3]);
});
