import { type ChildProcess, spawn } from "node:child_process";
import { createWriteStream } from "node:fs";

/** Names, in the environment of the process that goes to the background, the descriptor on which it says it is ready. */
const READY_FD_VARIABLE = "PASST_TS_READY_FD";
const READY_LINE = "ready\n";

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
  const code = await readyOrEnded(child, readyFd);
  child.unref();
  return code;
}

/** Says to the waiting parent that everything is set up. Does nothing in the foreground. */
export async function sayReady(): Promise<void> {
  const fd = process.env[READY_FD_VARIABLE];
  if (fd === undefined) return;
  const stream = createWriteStream("", { fd: Number(fd) });
  await new Promise<void>((resolve, reject) => stream.on("error", reject).end(READY_LINE, () => resolve()));
}

/** A compiled program is its own executable; from source the runtime needs the script's name. */
function programArguments(): string[] {
  return Bun.main.startsWith("/$bunfs/") ? [] : [Bun.main];
}

function readyOrEnded(child: ChildProcess, readyFd: number): Promise<number> {
  return new Promise((resolve) => {
    const ready = child.stdio[readyFd];
    let text = "";
    ready?.on("data", (chunk: Buffer) => {
      text += chunk.toString();
      if (text === READY_LINE) resolve(0);
    });
    child.on("error", (error) => resolve(failed(`cannot start the process for the background: ${error.message}`)));
    child.on("exit", (code, signal) =>
      resolve(code ?? failed(`the process for the background was ended by ${signal}`)),
    );
  });
}

function failed(why: string): number {
  process.stderr.write(`${why}\n`);
  return 1;
}
