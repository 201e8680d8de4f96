// `npm run demo`: a namespace that plays the host, our daemon in it, a real guest on the daemon, and what the guest gets to see.
// Ends with 0 only if all of it worked; nothing stays behind.

import { streamHash } from "./byte-stream.ts";
import { findKernel } from "./image.ts";
import { gateway4, gateway6 } from "./namespace.ts";
import { httpPort } from "./ports.ts";
import { TestBed } from "./test-bed.ts";

const httpBytes = 100_000_000;
const iperfSeconds = 3;

const say = (what: string, text: string): void =>
  console.log(`${what.padEnd(12)}${text.trim().replaceAll("\n", `\n${" ".repeat(12)}`)}`);

function check(condition: boolean, what: string): void {
  if (!condition) throw new Error(what);
}

/** The line of iperf3's report that the receiver's side sums up. */
function iperfSum(report: string): string {
  const line = report.split("\n").find((text) => /receiver/.test(text)) ?? "";
  const rate = /([\d.]+ [KMG]?bits\/sec)/.exec(line)?.[1];
  check(rate !== undefined && !rate.startsWith("0.00"), `iperf3 measured nothing:\n${report}`);
  return rate as string;
}

async function demo(): Promise<void> {
  const kernel = findKernel("uml-debian");
  if ("missing" in kernel) throw new Error(kernel.missing);
  await using bed = await TestBed.create({ compile: false });
  const iperf = Bun.which("iperf3");
  if (iperf === null) throw new Error("no iperf3");
  bed.start([iperf, "-s"]);
  const daemon = await bed.startDaemon();
  say("daemon", `process ${daemon.program.pid}, no tap device, on ${daemon.socket}`);

  const started = performance.now();
  const guest = await bed.boot(kernel, daemon, { programs: [iperf] });
  say(
    "guest",
    `Linux ${await guest.must("uname -r")} (User-Mode Linux), up after ${Math.round(performance.now() - started)} ms`,
  );
  const lease = await guest.lease();
  say("address", `${lease.ip}/${lease.mask} by DHCP, MTU ${lease.mtu}`);
  say("", `${await guest.waitForIpv6()} by router advertisement`);
  say("gateway", `${lease.router}, name server ${lease.dns}`);
  check(lease.router === gateway4, "the gateway is not the host's");

  for (const [ping, address] of [
    ["ping", gateway4],
    ["ping6", gateway6],
  ]) {
    const answers = await guest.must(`${ping} -c 3 -W 5 ${address}`);
    check(answers.includes(" 0% packet loss"), `pings were lost:\n${answers}`);
    say("ping", `${address}: ${/round-trip.*/.exec(answers)?.[0] ?? "answered"}`);
  }

  const fetchStarted = performance.now();
  const hash = await guest.must(`wget -q -O - http://${gateway4}:${httpPort}/bytes/${httpBytes} | sha256sum`, 120_000);
  const seconds = (performance.now() - fetchStarted) / 1000;
  check(hash.startsWith(streamHash(1, httpBytes)), `what HTTP fetched has another hash: ${hash}`);
  say("HTTP", `${httpBytes / 1e6} MB from the host's loopback in ${seconds.toFixed(1)} s, SHA-256 as it should be`);

  const iperfTimeoutMs = iperfSeconds * 1000 + 30_000;
  const up = iperfSum(await guest.must(`iperf3 -c ${gateway4} -t ${iperfSeconds}`, iperfTimeoutMs));
  say("iperf3", `${up} from guest to host`);
  const down = iperfSum(await guest.must(`iperf3 -c ${gateway4} -t ${iperfSeconds} -R`, iperfTimeoutMs));
  say("", `${down} from host to guest`);

  const errors = await guest.receiveErrors();
  check(Object.keys(errors).length === 0, `the guest's card counted errors: ${JSON.stringify(errors)}`);
  await guest.powerOff();
  const code = await daemon.stop();
  check(code === 0, `the daemon ended with ${code}:\n${daemon.log}`);
  say("daemon", "ended, and nothing is left");
}

try {
  await demo();
} catch (error) {
  console.error(`demo: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
process.exit();
