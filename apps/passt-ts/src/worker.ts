/**
 * The data plane's thread. From its one message on it never returns to its event loop until it ends: commands come
 * through the control block, and what it has to say goes out by postMessage.
 */
import { DataPlane } from "./data-plane.ts";
import type { StartMessage, WorkerMessage } from "./worker-messages.ts";

declare const self: Worker;

const say = (message: WorkerMessage): void => self.postMessage(message);

self.onmessage = ({ data }: MessageEvent<StartMessage>): void => {
  self.onmessage = null;
  say({ kind: "ended", failure: runDataPlane(data) });
  process.exit();
};
say({ kind: "loaded" });

/** Runs the data plane to its end; null, or why it ended unasked. */
function runDataPlane(start: StartMessage): string | null {
  try {
    const dataPlane = new DataPlane(start, say);
    try {
      say({ kind: "ready" });
      dataPlane.run();
    } finally {
      dataPlane.close();
    }
    return null;
  } catch (error) {
    return error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
}
