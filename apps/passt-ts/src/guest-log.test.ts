import { expect, test } from "bun:test";
import { existsSync, statSync } from "node:fs";
import { AskingGuest } from "./testing/asking-guest.ts";
import { Daemon } from "./testing/daemon.ts";

const LINK: readonly string[] = ["-4", "-a", "10.0.0.2/24", "-g", "10.0.0.1", "-D", "10.0.0.53", "-S", "x.example"];
const GUEST_MAC: readonly string[] = ["--guest-mac", "52:54:00:00:00:09"];
const OFFERED = "DHCP: 10.0.0.2 offered to 52:54:00:00:00:09";

test("the log of a running daemon says what the guest gets, who it is, and what it is answered", async () => {
  await using daemon = await new Daemon([...LINK, ...GUEST_MAC]).ready();
  const lines = daemon.log.split("\n");
  const first = lines.findIndex((line) => line.startsWith("template interface: "));
  expect(lines.slice(first + 1, -1)).toEqual([
    "MAC addresses: ours 9a:55:9a:55:9a:55, offered to the guest 52:54:00:00:00:09; MTU 65520",
    "IPv4 10.0.0.2/24 via 10.0.0.1, name servers 10.0.0.53",
    "search domains: x.example",
    "the host's loopback is for the guest at 10.0.0.1",
    `listening at ${daemon.socketPath}`,
  ]);
  for (let guests = 1; guests <= 2; guests++) {
    const seen = daemon.log.length;
    using guest = new AskingGuest(daemon.socketPath);
    guest.discover();
    await daemon.until(() => daemon.log.slice(seen).includes(OFFERED), "the offer in the log");
    expect(daemon.log.slice(seen)).toContain("the guest's MAC address is 52:54:00:00:00:09\n");
  }
});

test("a guest that asks again and again gets a few lines in the log and the number of the others; --quiet leaves all out", async () => {
  const asked = 100;
  await using daemon = await new Daemon([...LINK, "-d"]).ready();
  await using quiet = new Daemon([...LINK, "-q"]);
  await quiet.until(() => existsSync(quiet.pidPath) && statSync(quiet.pidPath).size > 0, "the daemon to be ready");
  for (const one of [daemon, quiet]) {
    using guest = new AskingGuest(one.socketPath);
    for (let i = 0; i < asked; i++) guest.discover();
  }
  await daemon.until(() => daemon.log.includes("further lines about the guest left out"), "the number of others");
  expect(daemon.log.split("offered to").length - 1).toBeLessThan(asked / 2);
  expect(quiet.log.replace(/^warning: started as root.*\n/, "")).toBe("");
});
