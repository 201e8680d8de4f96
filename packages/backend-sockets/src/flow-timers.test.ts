import { expect, test } from "bun:test";
import { BackendRig } from "./testing/backend-rig.ts";
import { isTcp, udpFrame } from "./testing/guest-frames.ts";
import { boundSocket, HostStream, HostUdp, portOf } from "./testing/host-sockets.ts";

test("flows of datagrams end after the times that the owner gives, one way and both ways", () => {
  const timers = { tcp: {}, udp: { oneWayTimeoutMs: 5000, bothWaysTimeoutMs: 10_000 } };
  using rig = new BackendRig({ timers });
  using host = new HostUdp();
  rig.send([udpFrame({ destinationPort: host.port })]);
  rig.waitFor(() => host.receive(), "the datagram");
  const lives = (ms: number): number => {
    rig.pass(ms);
    rig.pump();
    return rig.engines.udp.flowCount;
  };
  expect([lives(3000), lives(3500)]).toEqual([1, 0]);
  rig.send([udpFrame({ destinationPort: host.port })]);
  const { port, address } = rig.waitFor(() => host.receive(), "the datagram");
  host.send([1], Uint32Array.from(address), port);
  rig.frame(undefined, "the reply");
  expect([lives(6500), lives(5000)]).toEqual([1, 0]);
});

test("a SYN that nobody answers is sent as often, and as long apart, as the owner says", () => {
  const fd = boundSocket("tcp");
  const timers = { tcp: { synLinearTimeouts: 1, synRetries: 1 }, udp: {} };
  using rig = new BackendRig({ timers, forwards: [{ protocol: "tcp", fd, family: 4, targetPort: 22 }] });
  using host = HostStream.connect(portOf(fd));
  rig.frame(isTcp, "a SYN");
  // Again after 1 s and 1 s more, and after 2 s more both sides are reset.
  const counts = [900, 200, 1200, 2200].map((ms) => {
    rig.pass(ms);
    return rig.take(isTcp).length;
  });
  expect(counts).toEqual([0, 1, 1, 1]);
  rig.until(() => host.read().ending !== "", "the reset");
  expect([host.ending, rig.engines.tcp.flowCount]).toEqual(["ECONNRESET", 0]);
});
