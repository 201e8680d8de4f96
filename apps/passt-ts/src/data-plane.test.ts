import { expect, test } from "bun:test";
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { TestFrontEnd } from "@passt-ts/vhost-user-device/testing/front-end";
import { ARP_REPLY, askForGateway } from "./testing/arp-exchange.ts";
import { sharedFolder } from "./testing/daemon.ts";
import { POISON_BYTES } from "./testing/faulty-backend.ts";

/** How many unexpected errors within a minute end the data plane. */
const FAULTS_MAX = 10;

test("an exception that nothing foresaw costs the front-end its connection; too many end the data plane with an error", async () => {
  const folder = sharedFolder();
  const path = join(folder, "socket");
  const script = join(import.meta.dir, "testing/faulty-data-plane.ts");
  const child = Bun.spawn([process.execPath, script, path], { stdout: "ignore", stderr: "pipe" });
  const log = new Response(child.stderr).text();
  try {
    while (!existsSync(path)) await Bun.sleep(5);
    for (let fault = 1; fault <= FAULTS_MAX; fault++) {
      using frontEnd = new TestFrontEnd().connect(path).boot();
      expect(askForGateway(frontEnd)).toBe(ARP_REPLY);
      frontEnd.send(new Uint8Array(POISON_BYTES));
      await Promise.race([Bun.sleep(20), child.exited]);
    }
    expect(await child.exited).toBe(1);
  } finally {
    child.kill("SIGKILL");
    rmSync(folder, { recursive: true });
  }
  const text = await log;
  expect(text.split("a fault that nobody foresaw\n").length - 1).toBe(FAULTS_MAX);
  // The stack once, when it is new; and once more when it ends.
  expect(text.match(/error: unexpected: Error: a fault that nobody foresaw\n +at .*send/g)?.length).toBe(1);
  expect(text.match(/error: unexpected, again: a fault/g)?.length).toBe(FAULTS_MAX - 1);
  expect(text.match(/front-end disconnected: something unexpected happened/g)?.length).toBe(FAULTS_MAX - 1);
  expect(text).toContain(`${FAULTS_MAX} unexpected errors within 60 s: giving up`);
});
