// The host of the matrix: a namespace with somebody to talk to in it, and daemons.

import { spawn } from "node:child_process";
import { join, resolve } from "node:path";
import type { OwnedFd } from "@passt-ts/linux/owned-fd";
import { createSocketPair } from "@passt-ts/linux/unix-socket";
import { createHost } from "../conformance/host.ts";
import { Daemon, removeFolder, temporaryFolder } from "../guests/daemon.ts";
import type { HostNamespace } from "../guests/namespace.ts";
import type { Program } from "../guests/process.ts";
import { forwardedPort } from "./ports.ts";

const root = resolve(import.meta.dir, "../..");
const ports = String(forwardedPort);
const options = ["--offload", "all,packed,in-order", "-t", ports, "-u", ports, "-d"];

export class MatrixHost {
  readonly end: Program;
  readonly #namespace: HostNamespace;
  readonly #folders: string[] = [];

  private constructor(namespace: HostNamespace, end: Program) {
    this.#namespace = namespace;
    this.end = end;
  }

  static async create(): Promise<MatrixHost> {
    const namespace = await createHost();
    const end = namespace.start([process.execPath, join(import.meta.dir, "host-end.ts")]);
    await end.waitFor(/ready\n/, 10_000);
    return new MatrixHost(namespace, end);
  }

  /** A daemon that listens: one front-end after the other. */
  async listeningDaemon(): Promise<Daemon> {
    // A daemon that has become somebody else may not remove its socket.
    const folder = temporaryFolder();
    this.#folders.push(folder);
    return await Daemon.start(this.#namespace, folder, options);
  }

  /** A daemon with one end of a socket pair (-F), which ends with it. Returns the other end, and what it said at last. */
  inheritingDaemon(): { readonly socket: OwnedFd; readonly ended: Promise<string> } {
    const [ours, theirs] = createSocketPair();
    const enter = process.getuid?.() === 0 ? ["-n"] : ["-U", "-n", "--preserve-credentials"];
    const daemon = [process.execPath, join(root, "apps/passt-ts/src/main.ts"), "--vhost-user", "-f", "-F", "3"];
    const child = spawn(
      "setpriv",
      ["--pdeathsig", "KILL", "--", "nsenter", "-t", String(this.end.pid), ...enter, "--", ...daemon, ...options],
      { cwd: root, stdio: ["ignore", "pipe", "pipe", theirs.fd] },
    );
    theirs.close();
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        output += text;
      });
    }
    const ended = new Promise<string>((done) => child.on("close", (code) => done(`${output}exit code ${code}`)));
    return { socket: ours, ended };
  }

  async close(): Promise<void> {
    await this.#namespace.close();
    await this.end.kill();
    for (const folder of this.#folders) removeFolder(folder);
  }
}
