/** A difference between the reference's record and our answers that is meant, and why it is there. */
export interface Difference {
  /** "SUITE/SCRIPT"; a star stands for any text, here and in `frame`. */
  readonly script: string;
  /** "STEP#N", the Nth frame that came in the step; "STEP" for what the host saw. */
  readonly frame: string;
  /** A field as dissect.ts names it, or "absent", "extra", "order", "host". */
  readonly field: string;
  /** What the reference has there, and what ours has; anything where it is left out. */
  readonly reference?: string | RegExp;
  readonly ours?: string | RegExp;
  /** REF-BUG: the reference is wrong. better: ours does what the reference does not do. choice: both are right, and ours has its reason. */
  readonly reason: "REF-BUG" | "better" | "choice";
  readonly why: string;
}
