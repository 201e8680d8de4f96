import { expect, test } from "bun:test";
import { ECHO_COUNTERS, EchoCounter } from "@passt-ts/icmp-vu/echo-counter";
import { TCP_COUNTERS, TcpCounter } from "@passt-ts/tcp-vu/counters";
import { UDP_COUNTERS, UdpCounter } from "@passt-ts/udp-vu/udp-counter";
import { RefusedFlows } from "./refused-flows.ts";

test("flows refused for want of room or descriptors are warned of: once a minute at most, and only of news", () => {
  const tcp = { counters: new Float64Array(TCP_COUNTERS) };
  const udp = { counters: new Float64Array(UDP_COUNTERS) };
  const icmp = { counters: new Float64Array(ECHO_COUNTERS) };
  const warnings: string[] = [];
  const refused = new RefusedFlows({ tcp, udp, icmp }, (text) => warnings.push(text));
  refused.turn(0);
  expect(warnings).toEqual([]);
  tcp.counters[TcpCounter.tableFull] = 3;
  refused.turn(1000);
  expect(warnings).toEqual(["flows refused so far: 3 for want of room in a table, 0 of a descriptor"]);
  udp.counters[UdpCounter.droppedFlowTableFull] = 1;
  icmp.counters[EchoCounter.droppedNoDescriptor] = 2;
  refused.turn(60_000);
  expect(warnings).toHaveLength(1);
  refused.turn(61_000);
  expect(warnings[1]).toBe("flows refused so far: 4 for want of room in a table, 2 of a descriptor");
  refused.turn(200_000);
  expect(warnings).toHaveLength(2);
});
