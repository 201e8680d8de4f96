// The daemon's data plane under the engine's sampling profiler; what that saw is its last word.

import { profile } from "bun:jsc";
import { DataPlane } from "../../../apps/passt-ts/src/data-plane.ts";
import type { StartMessage } from "../../../apps/passt-ts/src/worker-messages.ts";

declare const self: Worker;

const intervalUs = 500;

self.onmessage = ({ data }: MessageEvent<{ readonly start: StartMessage }>): void => {
  const dataPlane = new DataPlane(data.start, () => {});
  self.postMessage("ready");
  const { stackTraces } = profile(() => dataPlane.run(), intervalUs);
  dataPlane.close();
  self.postMessage(JSON.stringify(stackTraces));
  self.onmessage = null;
  setTimeout(() => process.exit(), 0);
};
