// Plays a suite against a daemon: starts it in the namespace, is its front-end and the driver of its guest, and collects what
// comes back.

import { chmodSync } from "node:fs";
import { join } from "node:path";
import type { OwnedFd } from "@passt-ts/linux/owned-fd";
import { connectUnix } from "@passt-ts/linux/unix-socket";
import { sleepPump } from "@passt-ts/vhost-user-device/testing/control-socket";
import { TestFrontEnd } from "@passt-ts/vhost-user-device/testing/front-end";
import { featureMask, VirtioFeature } from "@passt-ts/vhost-user-proto/features";
import { hexOf } from "@passt-ts/wire/testing/frame-bytes";
import { removeFolder, temporaryFolder } from "../guests/daemon.ts";
import type { HostNamespace } from "../guests/namespace.ts";
import type { Program } from "../guests/process.ts";
import { withResolvConf } from "./host.ts";
import { HostPeerClient } from "./host-peer-client.ts";
import { Learning } from "./learned.ts";
import type { PlayedFrame, PlayedScript, PlayedStep, PlayedSuite, ReceivedFrame } from "./played.ts";
import { type FrameToSend, type Script, type Step, type Suite, scriptsOf } from "./script.ts";
import { summaryOf } from "./summary.ts";

const START_MS = 20_000;
/** A frame that is expected and has not come after this time does not come. */
const DEADLINE_MS = 2000;
/** How long nothing must come for a step to be over, with all frames there that are expected. */
const QUIET_MS = 60;
/** The same where nobody knows what to expect. */
const QUIET_UNKNOWN_MS = 400;
/** Big enough for every frame: 64 KiB and headers. */
const BUFFER_BYTES = 65_600;
const BUFFERS = 64;

/** How many frames a step is expected to give, so that it need not wait for others; null: unknown. */
export type Expectation = (script: Script, step: Step) => number | null;

export interface PlayOptions {
  readonly host: HostNamespace;
  /** The daemon's command line, to which socket and options are added. */
  readonly command: readonly string[];
  readonly suite: Suite;
  readonly expected: Expectation;
}

export async function playSuite(options: PlayOptions): Promise<PlayedSuite> {
  const { host, suite, expected } = options;
  const folder = temporaryFolder();
  chmodSync(folder, 0o777);
  const peer = await HostPeerClient.start(host);
  const socket = join(folder, "vhost.sock");
  const command = [...options.command, "--vhost-user", "-f", "-s", socket, ...suite.options];
  const daemon = host.start(withResolvConf(folder, command));
  try {
    const link = new Link(await connected(daemon, socket), suite.bufferBytes ?? BUFFER_BYTES, peer);
    try {
      const scripts: PlayedScript[] = [];
      for (const script of scriptsOf(suite)) {
        scripts.push(await link.play(script, (step) => expected(script, step)));
        if (daemon.exitCode !== null) throw new Error(`the daemon ended with ${daemon.exitCode}:\n${daemon.output}`);
      }
      return { name: suite.name, options: suite.options, scripts };
    } finally {
      link.close();
    }
  } finally {
    await daemon.kill();
    await peer.stop();
    removeFolder(folder);
  }
}

/** Connects as soon as the daemon listens. */
async function connected(daemon: Program, path: string): Promise<OwnedFd> {
  const endMs = performance.now() + START_MS;
  for (;;) {
    try {
      return connectUnix(path);
    } catch (error) {
      if (daemon.exitCode !== null || performance.now() > endMs) {
        throw new Error(`the daemon did not open its socket:\n${daemon.output}`, { cause: error });
      }
      await Bun.sleep(10);
    }
  }
}

/** The guest's end of the link. */
class Link {
  readonly #frontEnd: TestFrontEnd;
  readonly #peer: HostPeerClient;
  #learning: Learning = new Learning();
  #booted = false;

  constructor(socket: OwnedFd, bufferBytes: number, peer: HostPeerClient) {
    this.#peer = peer;
    // While frames flow the pump must not block, for other suites are played in this thread.
    this.#frontEnd = new TestFrontEnd({
      memoryBytes: 64 * 1024 * 1024,
      pump: () => {
        if (!this.#booted) sleepPump();
      },
    });
    // Whole frames, complete checksums: neither offloads nor mergeable buffers.
    const features = featureMask(VirtioFeature.VERSION_1, VirtioFeature.PROTOCOL_FEATURES);
    const frontEnd = this.#frontEnd.connect(socket);
    frontEnd.negotiate({ features });
    frontEnd.shareMemory();
    frontEnd.startRing(frontEnd.rx);
    frontEnd.offerBuffers(BUFFERS, [bufferBytes]);
    frontEnd.startRing(frontEnd.tx);
    frontEnd.settle();
    this.#booted = true;
  }

  async play(script: Script, expected: (step: Step) => number | null): Promise<PlayedScript> {
    this.#learning = new Learning();
    const steps: PlayedStep[] = [];
    for (const step of script.steps) {
      try {
        steps.push(await this.#playStep(step, expected(step)));
      } catch (error) {
        throw new Error(`${script.name}, ${step.name}: ${(error as Error).message}`, { cause: error });
      }
    }
    return { name: script.name, steps };
  }

  async #playStep(step: Step, expected: number | null): Promise<PlayedStep> {
    if (step.host !== undefined) await this.#peer.run(step.host);
    const beginMs = performance.now();
    const sent = this.#send(step.send ?? []);
    const received = await this.#collect(step, sent, beginMs, expected);
    return { name: step.name, sent, received, host: this.#peer.takeEvents() };
  }

  /** Sends the frames as one batch. */
  #send(frames: readonly FrameToSend[]): PlayedFrame[] {
    if (frames.length === 0) return [];
    const { tx } = this.#frontEnd;
    const built = frames.map((frame) => (frame instanceof Uint8Array ? frame : frame(this.#learning)));
    tx.reapSent();
    for (const frame of built) tx.send(frame, []);
    tx.kick();
    return built.map((frame) => ({ summary: summaryOf(frame, this.#learning), hex: hexOf(frame) }));
  }

  async #collect(step: Step, sent: PlayedFrame[], beginMs: number, expected: number | null): Promise<ReceivedFrame[]> {
    const received: ReceivedFrame[] = [];
    const { collectMs: forMs = null } = step;
    const answers = [...(step.answers ?? [])];
    let lastMs = beginMs;
    for (;;) {
      for (const { bytes } of this.#frontEnd.receive()) {
        lastMs = performance.now();
        this.#learning.take(bytes);
        const atMs = Math.round(lastMs - beginMs);
        received.push({ atMs, summary: summaryOf(bytes, this.#learning), hex: hexOf(bytes) });
      }
      while (answers.length > 0 && received.length >= answers[0].after)
        sent.push(...this.#send(answers.shift()?.send ?? []));
      const nowMs = performance.now();
      if (forMs !== null ? nowMs - beginMs >= forMs : this.#isOver(received.length, expected, beginMs, lastMs, nowMs)) {
        return received;
      }
      await Bun.sleep(1);
    }
  }

  #isOver(count: number, expected: number | null, beginMs: number, lastMs: number, nowMs: number): boolean {
    if (expected === null) return nowMs - lastMs >= QUIET_UNKNOWN_MS;
    if (count >= expected) return nowMs - lastMs >= QUIET_MS;
    return nowMs - beginMs >= DEADLINE_MS;
  }

  close(): void {
    this.#frontEnd[Symbol.dispose]();
  }
}
