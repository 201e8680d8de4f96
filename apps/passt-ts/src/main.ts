import { SystemError } from "@passt-ts/linux/system-error";
import { backendChoiceOf } from "./backend-option.ts";
import { continueInBackground, isBackgroundProcess } from "./background.ts";
import { capabilitiesText } from "./capabilities.ts";
import { type CommandLine, parseCommandLine } from "./command-line.ts";
import { logLevelOf } from "./configuration.ts";
import { Daemon } from "./daemon.ts";
import { inheritedFd, openFrontEndSocket } from "./front-end-socket.ts";
import { helpText } from "./help-text.ts";
import { identityFor, readStarter } from "./identity.ts";
import { numberOption } from "./number-option.ts";
import { ProgramLog } from "./program-log.ts";
import { UsageError } from "./usage-error.ts";
import { PROGRAM, VERSION_TEXT } from "./version.ts";

const LOG_BYTES_DEFAULT = 1 << 20;
/** Five pages of the larger of the usual buffers: less would be cut all the time. */
const LOG_BYTES_MIN = 40960;
const LOG_BYTES_MAX = 0xffff_ffff_ffff;

/** Runs the program; the result is its exit code. */
async function main(args: readonly string[]): Promise<number> {
  const line = parseCommandLine(args);
  const information = informationOf(line);
  if (information !== null) {
    process.stdout.write(information);
    return 0;
  }
  checkRepairPath(line);
  const backend = backendChoiceOf(line);
  const fd = inheritedFd(line);
  if (!line.has("foreground") && !isBackgroundProcess()) {
    const tapFd = backend.tap !== null && "fd" in backend.tap ? backend.tap.fd : null;
    return continueInBackground(
      args,
      [fd, tapFd].filter((one) => one !== null),
    );
  }
  const identity = identityFor(line.last("runas"), readStarter());
  using log = new ProgramLog({
    level: logLevelOf(line),
    path: line.last("log-file") ?? null,
    sizeMaxBytes: numberOption(line, "log-size", {
      otherwise: LOG_BYTES_DEFAULT,
      min: LOG_BYTES_MIN,
      max: LOG_BYTES_MAX,
    }),
    program: PROGRAM,
    version: VERSION_TEXT,
  });
  if (line.has("stderr")) log.write("warning", "--stderr has no effect");
  try {
    using frontEnd = openFrontEndSocket(line);
    return await new Daemon({ line, frontEnd, backend, identity, log }).run();
  } catch (error) {
    log.record(error instanceof Error ? error.message : String(error));
    throw error;
  }
}

/** What the options that only ask for information are answered, or null. */
function informationOf(line: CommandLine): string | null {
  if (line.has("help")) return helpText(PROGRAM);
  if (line.has("version")) return `${VERSION_TEXT}\n`;
  return line.has("print-capabilities") ? capabilitiesText() : null;
}

/** There is no helper to be reached, and 'none' asks for none. @throws UsageError */
function checkRepairPath(line: CommandLine): void {
  const path = line.last("repair-path");
  if (path !== undefined && path !== "none")
    throw new UsageError("--repair-path: live migration is not supported yet; 'none' is accepted");
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof UsageError || error instanceof SystemError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
// Signal handlers and a closed Worker would keep the process; nothing is left to be waited for.
process.exit();
