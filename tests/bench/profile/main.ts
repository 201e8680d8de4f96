// `bun run profile`: where the time of the daemon's data plane goes while a driver of ours keeps it busy. See README.md beside the bench.

import { parseArgs } from "node:util";
import { RingDriver } from "../memory/ring-driver.ts";
import { WorkerDaemon } from "../memory/worker-daemon.ts";
import { linkOptions, loads } from "./loads.ts";
import { sharesOf } from "./samples.ts";

const usage = `Usage: bun run profile -- [OPTION]...

  --load NAME      one of ${Object.keys(loads).join(", ")} (default: tcp-in)
  --seconds N      how long (default: 5)
  --mtu N          the guest's MTU (default: 65520)
  --top N          functions shown (default: 25)
  -- OPTION...     more options of the daemon
`;

const { values, positionals } = parseArgs({
  options: {
    load: { type: "string", default: "tcp-in" },
    seconds: { type: "string", default: "5" },
    mtu: { type: "string", default: "65520" },
    top: { type: "string", default: "25" },
    help: { type: "boolean", short: "h" },
  },
  allowPositionals: true,
});
const queueSize = 256;

async function profile(): Promise<void> {
  const { load } = values;
  if (!Object.hasOwn(loads, load)) throw new Error(`--load: '${load}' is none of ${Object.keys(loads).join(", ")}`);
  const mtu = Number(values.mtu);
  const script = new URL("./profiled.worker.ts", import.meta.url);
  await using daemon = await WorkerDaemon.start(script, [...linkOptions(mtu), ...positionals]);
  using driver = new RingDriver(daemon.path, queueSize, 0n);
  const work = loads[load](driver, mtu);
  const endMs = performance.now() + Number(values.seconds) * 1000;
  while (performance.now() < endMs) work();
  const { waiting, shares } = sharesOf(String(await daemon.stop()));
  const percent = (share: number): string => `${(100 * share).toFixed(1).padStart(5)} %`;
  console.log(`${percent(waiting)}  of the time waiting or looking for events; of the rest:`);
  for (const { name, share } of shares.slice(0, Number(values.top))) console.log(`${percent(share)}  ${name}`);
}

if (values.help) process.stdout.write(usage);
else await profile();
process.exit();
