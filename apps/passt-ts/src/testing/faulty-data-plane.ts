// `bun faulty-data-plane.ts PATH`: a data plane whose back-end has a fault, listening at PATH, on a thread of its own.

import { createEventFd } from "@passt-ts/linux/eventfd";
import { listenUnix } from "@passt-ts/linux/unix-socket";
import { parseCommandLine } from "../command-line.ts";
import { configure } from "../configuration.ts";
import { ControlBlock } from "../control-block.ts";
import { DataPlane } from "../data-plane.ts";
import type { WorkerMessage } from "../worker-messages.ts";
import { ARP_LINK } from "./arp-exchange.ts";
import { FaultyBackend } from "./faulty-backend.ts";

const [socketPath] = process.argv.slice(2);
const configuration = configure(parseCommandLine(ARP_LINK), {
  network: { ipv4: null, ipv6: null, linkLocal: null, scopeId: 0, defaultRoutes: [] },
  resolver: { nameServers: [], searchDomains: [] },
  machineId: "",
  socketPath,
  ephemeral: { first: 32768, last: 60999 },
  warn: () => {},
});
const control = new ControlBlock(createEventFd().take());
const say = (message: WorkerMessage): void => {
  if (message.kind === "log") process.stderr.write(`${message.level}: ${message.text}\n`);
};
const dataPlane = new DataPlane(
  {
    configuration,
    backendName: "sockets",
    tapFd: null,
    listenFd: listenUnix({ path: socketPath, backlog: 8 }).take(),
    frontEndFd: null,
    pcapFd: null,
    forwards: [],
    timers: { tcp: {}, udp: {} },
    watchedFds: [],
    control: { shared: control.shared, eventFd: control.eventFd },
  },
  say,
  (backend) => new FaultyBackend(backend),
);
dataPlane.run();
