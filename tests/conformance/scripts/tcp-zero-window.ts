import { gateway4 } from "../host.ts";
import type { Script, Suite } from "../script.ts";
import { TcpFlow } from "../tcp-flow.ts";

/** The guest has no room for what the host writes, and then it has. */
function zeroWindow(name: string, guestPort: number, port: number, windowScale: number | null): Script {
  const flow = new TcpFlow({ to: gateway4 }, guestPort, port);
  return {
    name,
    steps: [
      { name: "listen", host: [{ act: "listen", id: "server", address: "127.0.0.1", port }] },
      { name: "SYN", send: [flow.syn({ windowScale })] },
      { name: "ACK", send: [flow.ack()] },
      { name: "the window closes", send: [flow.ack(1, 1, 0)] },
      { name: "data", host: [{ act: "write", id: "server", text: "x".repeat(300) }], collectMs: 2400 },
      { name: "the window opens", send: [flow.ack()] },
      { name: "all is acknowledged", send: [flow.ack(1, 301)] },
      { name: "the guest gives up", send: [flow.reset()] },
      { name: "end", host: [{ act: "close", id: "server" }] },
    ],
  };
}

/** Two suites, so that they can be played at the same time. */
export const tcpZeroWindowSuite: Suite = {
  name: "tcp-zero-window",
  options: [],
  scripts: [zeroWindow("no window scale", 43401, 7801, null)],
};

export const tcpZeroWindowScaledSuite: Suite = {
  name: "tcp-zero-window-scaled",
  options: [],
  scripts: [zeroWindow("window scale 7", 43402, 7802, 7)],
};
