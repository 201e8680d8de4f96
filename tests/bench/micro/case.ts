// One thing that a micro-benchmark measures.

export interface Case {
  readonly name: string;
  /** How many of what the figure is for are done by one call: descriptors, messages. Default 1. */
  readonly units?: number;
  /** Makes what is called again and again; its result is used, so that no compiler leaves the work out. */
  readonly make: () => () => unknown;
}
