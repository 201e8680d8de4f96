import { unlinkSync } from "node:fs";
import { basename } from "node:path";
import { raiseOpenFilesLimit } from "@passt-ts/linux/resource-limits";
import { continueInBackground, isBackgroundProcess, sayReady } from "./background.ts";
import { type CommandLine, parseCommandLine } from "./command-line.ts";
import { type Configuration, configure } from "./configuration.ts";
import { DataPlaneThread } from "./data-plane-thread.ts";
import { openForwards } from "./forward-sockets.ts";
import { type FrontEndSocket, inheritedFd, openFrontEndSocket } from "./front-end-socket.ts";
import { readEphemeralRange, readMachineId, readResolver } from "./host-files.ts";
import { readHostNetwork } from "./host-network.ts";
import { filteredLog, type Log, logToStderr } from "./log.ts";
import { helpText } from "./option-table.ts";
import { openOutputFile, writePidFile } from "./output-file.ts";
import { UsageError } from "./usage-error.ts";
import { VERSION_TEXT } from "./version.ts";

/** Runs the program; the result is its exit code. */
async function main(args: readonly string[]): Promise<number> {
  const line = parseCommandLine(args);
  if (line.has("help")) {
    process.stdout.write(helpText(basename(process.argv[1])));
    return 0;
  }
  if (line.has("version")) {
    process.stdout.write(`${VERSION_TEXT}\n`);
    return 0;
  }
  if (!line.has("foreground") && !isBackgroundProcess()) {
    return continueInBackground(args, inheritedFd(line));
  }
  const frontEnd = openFrontEndSocket(line);
  try {
    return await serve(line, frontEnd);
  } finally {
    if (frontEnd.path !== null) removeSocketPath(frontEnd.path);
  }
}

/** Opens what the options name, runs the data plane until it ends, and says how it went. */
async function serve(line: CommandLine, frontEnd: FrontEndSocket): Promise<number> {
  const warnings: string[] = [];
  const configuration = configure(line, {
    network: readHostNetwork(),
    resolver: readResolver(),
    machineId: readMachineId(),
    socketPath: frontEnd.path ?? "",
    ephemeral: readEphemeralRange(),
    warn: (text) => void warnings.push(text),
  });
  const log = filteredLog(configuration.logLevel, logToStderr);
  for (const text of warnings) log("warning", text);
  raiseOpenFilesLimit();
  const pidPath = line.last("pid");
  const pidFd = pidPath === undefined ? null : openOutputFile(pidPath, "-P");
  const thread = startDataPlane(configuration, frontEnd, log);
  const stop = () => thread.stop();
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  const failedEarly = await Promise.race([thread.ready.then(() => false), thread.ended.then(() => true)]);
  if (!failedEarly) {
    if (frontEnd.path !== null) log("info", `listening at ${frontEnd.path}`);
    if (pidFd !== null) writePidFile(pidFd);
    await sayReady();
  }
  const failure = await thread.ended;
  thread.close();
  if (failure !== null) log("error", failure);
  return failure === null ? 0 : 1;
}

function startDataPlane(configuration: Configuration, frontEnd: FrontEndSocket, log: Log): DataPlaneThread {
  const forwards = openForwards(configuration.forwards, {
    ipv4: configuration.ipv4 !== null,
    ipv6: configuration.ipv6 !== null,
  });
  const pcapFd = configuration.pcapFile === null ? null : openOutputFile(configuration.pcapFile, "-p");
  const fd = frontEnd.socket.take();
  return new DataPlaneThread(
    {
      configuration,
      listenFd: frontEnd.path === null ? null : fd,
      frontEndFd: frontEnd.path === null ? fd : null,
      pcapFd,
      forwards,
    },
    log,
  );
}

function removeSocketPath(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Somebody else removed it, or the directory: there is nothing left to clean up.
  }
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
// Signal handlers and a closed Worker would keep the process; nothing is left to be waited for.
process.exit();
