import { type ChildProcess, spawn } from "node:child_process";
import { READY_LINE, ReadyChannel } from "./ready-channel.ts";

/** Names, in the environment of the process that goes to the background, the descriptor on which it says it is ready. */
const READY_FD_VARIABLE = "PASST_TS_READY_FD";
/** Signals that mean both processes, as long as there are two. */
const HANDED_ON = ["SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP"] as const;

/** True in the process that was started to run in the background. */
export const isBackgroundProcess = (): boolean => process.env[READY_FD_VARIABLE] !== undefined;

/**
 * Starts this program again as a detached process and waits until it says that its socket is open and its pid file
 * written, or ends. Forking is no choice: the child of a fork has none of the runtime's threads.
 *
 * @param inheritedFds descriptors to hand on under the same numbers.
 * @returns the exit code for this process.
 */
export async function continueInBackground(args: readonly string[], inheritedFds: readonly number[]): Promise<number> {
  let readyFd = 3;
  while (inheritedFds.includes(readyFd)) readyFd++;
  const stdio: ("ignore" | "inherit" | "pipe" | number)[] = ["ignore", "ignore", "inherit"];
  for (let fd = 3; fd <= Math.max(readyFd, ...inheritedFds); fd++) {
    stdio[fd] = fd === readyFd ? "pipe" : inheritedFds.includes(fd) ? fd : "ignore";
  }
  const child = spawn(process.execPath, [...programArguments(), ...args], {
    detached: true,
    stdio,
    env: { ...process.env, [READY_FD_VARIABLE]: String(readyFd) },
  });
  const asked = handSignalsOn(child);
  const ended = endOf(child, asked);
  let code = await Promise.race([readyLine(child, readyFd), ended]);
  // Whatever it said before, it ends now; and so do we, as if we were one.
  if (asked.signal !== null) code = await ended;
  for (const signal of HANDED_ON) process.removeAllListeners(signal);
  if (asked.signal !== null) process.kill(process.pid, asked.signal);
  child.unref();
  return code;
}

/**
 * The way to the process that waits for this one to be ready; null in the foreground.
 *
 * @param onAbandoned called when that process has gone first.
 */
export async function openReadyChannel(onAbandoned: () => void): Promise<ReadyChannel | null> {
  const fd = process.env[READY_FD_VARIABLE];
  return fd === undefined ? null : await ReadyChannel.open(Number(fd), onAbandoned);
}

/** A compiled program is its own executable; from source the runtime needs the script's name. */
function programArguments(): string[] {
  return Bun.main.startsWith("/$bunfs/") ? [] : [Bun.main];
}

/** The signal by which the program was asked to end while it started, or null. */
interface Asked {
  readonly signal: NodeJS.Signals | null;
}

/** Until the program is in the background whoever stops it knows the first process only. */
function handSignalsOn(child: ChildProcess): Asked {
  const asked: { signal: NodeJS.Signals | null } = { signal: null };
  for (const signal of HANDED_ON) {
    process.on(signal, () => {
      asked.signal = signal;
      // A daemon has no terminal to lose: SIGHUP would end it without its clearing up.
      child.kill(signal === "SIGHUP" ? "SIGTERM" : signal);
    });
  }
  return asked;
}

function readyLine(child: ChildProcess, readyFd: number): Promise<number> {
  return new Promise((resolve) => {
    let text = "";
    child.stdio[readyFd]?.on("data", (chunk: Buffer) => {
      text += chunk.toString();
      if (text === READY_LINE) resolve(0);
    });
  });
}

function endOf(child: ChildProcess, asked: Asked): Promise<number> {
  return new Promise((resolve) => {
    child.on("error", (error) => resolve(failed(`cannot start the process for the background: ${error.message}`)));
    child.on("exit", (code, signal) =>
      resolve(code ?? (asked.signal === null ? failed(`the process for the background was ended by ${signal}`) : 1)),
    );
  });
}

function failed(why: string): number {
  process.stderr.write(`${why}\n`);
  return 1;
}
