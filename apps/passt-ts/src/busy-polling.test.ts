import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { TestFrontEnd } from "@passt-ts/vhost-user-device/testing/front-end";
import { ARP_LINK, ARP_REPLY, ARP_REQUEST, askForGateway } from "./testing/arp-exchange.ts";
import { Daemon } from "./testing/daemon.ts";

/** Processor time of a process so far, in clock ticks. */
function ticksOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

test("a daemon that polls answers without kicks, and sleeps when nothing comes", async () => {
  await using daemon = await new Daemon([...ARP_LINK, "--busy-poll", "500000"]).ready();
  using frontEnd = new TestFrontEnd().connect(daemon.socketPath).boot();
  expect(askForGateway(frontEnd)).toBe(ARP_REPLY);
  frontEnd.sent();
  for (let i = 0; i < 5; i++) {
    frontEnd.tx.send(ARP_REQUEST, []);
    frontEnd.tx.queue.publish();
    expect(frontEnd.tx.queue.needsKick()).toBe(false);
    // Nobody kicks, and the answer comes.
    expect(frontEnd.receiveMany(1)).toHaveLength(1);
    frontEnd.sent();
  }
  // A few spins find nothing, and then it sleeps.
  let ticks = Infinity;
  for (let i = 0; i < 20 && ticks > 3; i++) {
    const before = ticksOf(daemon.pid);
    await Bun.sleep(300);
    ticks = ticksOf(daemon.pid) - before;
  }
  expect(ticks).toBeLessThanOrEqual(3);
  expect(askForGateway(frontEnd)).toBe(ARP_REPLY);
});
