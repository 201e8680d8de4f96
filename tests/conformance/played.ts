// What came of playing a suite: the form of a record.

/** A frame in hexadecimal, and what it is, for readers. */
export interface PlayedFrame {
  readonly summary: string;
  readonly hex: string;
}

export interface ReceivedFrame extends PlayedFrame {
  /** Milliseconds since the step began. */
  readonly atMs: number;
}

export interface PlayedStep {
  readonly name: string;
  readonly sent: readonly PlayedFrame[];
  readonly received: readonly ReceivedFrame[];
  /** What sockets of the host saw. */
  readonly host: readonly string[];
}

export interface PlayedScript {
  readonly name: string;
  readonly steps: readonly PlayedStep[];
}

export interface PlayedSuite {
  readonly name: string;
  readonly options: readonly string[];
  readonly scripts: readonly PlayedScript[];
}

/** The file of a record. */
export interface RecordFile {
  /** What the reference's --version says. */
  readonly version: string;
  /** The day it was recorded. */
  readonly date: string;
  readonly kernel: string;
  readonly hostSetUp: readonly string[];
  readonly suite: PlayedSuite;
}
