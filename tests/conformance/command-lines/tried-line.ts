// What came of a command line: the form of a record.

/** What a program did with a command line. */
export interface TriedLine {
  readonly line: string;
  /** It served, and was asked to end then. */
  readonly started: boolean;
  /** In the end. */
  readonly exitCode: number;
  /** Bytes of standard output, if any: whether, not how many. */
  readonly writesOutput: boolean;
  /** Lines of standard error; of the reference the first. */
  readonly says: readonly string[];
}

/** The file of a record. */
export interface CommandLineRecord {
  /** What the reference's --version says. */
  readonly version: string;
  /** The day it was recorded. */
  readonly date: string;
  readonly kernel: string;
  readonly hostSetUp: readonly string[];
  readonly lines: readonly TriedLine[];
}
