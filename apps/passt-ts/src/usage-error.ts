/** What the user asked for cannot be done as asked: one line on stderr and exit code 1. */
export class UsageError extends Error {
  readonly code = "USAGE";
}
