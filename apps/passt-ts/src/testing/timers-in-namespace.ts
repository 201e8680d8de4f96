/** A daemon on a host whose TCP gives up early, and a connection to a guest that never answers; for a test that made the namespace. */
import { existsSync, writeFileSync } from "node:fs";
import { HostStream } from "@passt-ts/backend-sockets/testing/host-sockets";
import { ip } from "@passt-ts/backend-sockets/testing/namespace";
import { TestFrontEnd } from "@passt-ts/vhost-user-device/testing/front-end";
import { ARP_LINK, askForGateway } from "./arp-exchange.ts";
import { Daemon } from "./daemon.ts";

/** How the host's side of the connection ended. */
export interface TimersReport {
  readonly ending: string;
  readonly seconds: number;
}

const PORT = 2222;
const SETTINGS = "/proc/sys/net/ipv4";

ip("link set lo up");
writeFileSync(`${SETTINGS}/tcp_syn_retries`, "1");
// Linux has it since 6.5.
if (existsSync(`${SETTINGS}/tcp_syn_linear_timeouts`)) writeFileSync(`${SETTINGS}/tcp_syn_linear_timeouts`, "0");
await using daemon = await new Daemon([...ARP_LINK, "-t", `127.0.0.1/${PORT}:22`]).ready();
using frontEnd = new TestFrontEnd().connect(daemon.socketPath).boot();
askForGateway(frontEnd);
const beginMs = performance.now();
using host = HostStream.connect(PORT);
while (host.read().ending === "") await Bun.sleep(20);
const report: TimersReport = { ending: host.ending, seconds: (performance.now() - beginMs) / 1000 };
process.stdout.write(JSON.stringify(report));
