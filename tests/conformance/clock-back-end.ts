// Our back-end with real sockets in this process, on a clock that is moved: what the timers of minutes send is there in seconds.

import { BackendRig } from "@passt-ts/backend-sockets/testing/backend-rig";
import { boundSocket } from "@passt-ts/backend-sockets/testing/host-sockets";
import { ETHERNET_BYTES_MIN } from "@passt-ts/wire/ethernet";
import { hexOf } from "@passt-ts/wire/testing/frame-bytes";
import { macOf, wordsOf } from "./address.ts";
import { gateway4, host4, hostLinkLocal, ourMac } from "./host.ts";
import { HostSockets } from "./host-sockets.ts";
import { Learning } from "./learned.ts";
import type { PlayedFrame, PlayedScript, PlayedStep, PlayedSuite, ReceivedFrame } from "./played.ts";
import { type Script, type Step, type Suite, scriptsOf } from "./script.ts";
import { summaryOf } from "./summary.ts";

/** Real time that sockets get to do something in a step. */
const SETTLE_MS = 60;
/** How far the clock moves at once: an error of this size in the times of frames. */
const TICK_MS = 20;

/** The ports that `-t PORT` forwards. */
function forwardedPorts({ options }: Suite): number[] {
  return options.filter((_, i) => options[i - 1] === "-t").map(Number);
}

export class ClockBackEnd {
  readonly #rig: BackendRig;
  readonly #events: string[] = [];
  readonly #host: HostSockets = new HostSockets((event) => void this.#events.push(event));
  readonly #learning: Learning = new Learning();

  constructor(suite: Suite) {
    this.#rig = new BackendRig({
      link: {
        ourMac: macOf(ourMac),
        ourLinkLocal: wordsOf(hostLinkLocal),
        mtu: 65_520,
        ipv4: {
          guestAddress: wordsOf(host4),
          prefixLength: 24,
          gateway: wordsOf(gateway4),
          loopback: wordsOf(gateway4),
          nameServers: [],
        },
        ipv6: null,
      },
      forwards: forwardedPorts(suite).map((port) => ({
        protocol: "tcp",
        fd: boundSocket("tcp", wordsOf("127.0.0.1"), port),
        family: 4,
        targetPort: port,
      })),
    });
  }

  async play(suite: Suite): Promise<PlayedSuite> {
    const scripts: PlayedScript[] = [];
    for (const script of scriptsOf(suite)) scripts.push(await this.#playScript(script));
    return { name: suite.name, options: suite.options, scripts };
  }

  async #playScript(script: Script): Promise<PlayedScript> {
    const steps: PlayedStep[] = [];
    for (const step of script.steps) steps.push(await this.#playStep(step));
    return { name: script.name, steps };
  }

  async #playStep(step: Step): Promise<PlayedStep> {
    for (const action of step.host ?? []) await this.#host.run(action);
    const frames = (step.send ?? []).map((frame) => (frame instanceof Uint8Array ? frame : frame(this.#learning)));
    const beginMs = this.#rig.nowMs;
    if (frames.length > 0) this.#rig.send(frames);
    const received: ReceivedFrame[] = [];
    const settledMs = performance.now() + SETTLE_MS;
    while (performance.now() < settledMs) {
      this.#take(received, beginMs);
      await Bun.sleep(1);
    }
    while (this.#rig.nowMs - beginMs < (step.collectMs ?? 0)) {
      this.#rig.pass(TICK_MS);
      this.#take(received, beginMs);
    }
    await Bun.sleep(1);
    const sent = frames.map((frame): PlayedFrame => ({ summary: summaryOf(frame, this.#learning), hex: hexOf(frame) }));
    return { name: step.name, sent, received, host: this.#events.splice(0) };
  }

  #take(received: ReceivedFrame[], beginMs: number): void {
    for (const { bytes } of this.#rig.take()) {
      // The sink of this rig leaves padding to a real one.
      const frame = new Uint8Array(Math.max(bytes.length, ETHERNET_BYTES_MIN));
      frame.set(bytes);
      this.#learning.take(frame);
      const atMs = Math.round(this.#rig.nowMs - beginMs);
      received.push({ atMs, summary: summaryOf(frame, this.#learning), hex: hexOf(frame) });
    }
  }

  close(): void {
    this.#rig.close();
  }
}
