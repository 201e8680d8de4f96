/** Something that fuzzes: one round after the other, in one process. */
export interface Fuzzer {
  /**
   * Plays one round, which the seed and the number of the round decide.
   *
   * @returns things done that the other side had to bear: messages, or frames and changes of a ring.
   * @throws Finding, or whatever the device throws.
   */
  round(seed: number, round: number): number;

  /** Says what is left that should not be; called now and then, between two rounds. */
  checkHeld(): void;
}

/** The device did what it must not do. */
export class Finding extends Error {
  override readonly name = "Finding";
}

/** What says in a log that something went wrong in us, not in the message. */
const OWN_MISTAKE =
  /undefined|\bnull\b|not a function|not an object|cannot take back|detached|out of bounds|no window|registration|Maximum call stack|Invalid array|is not iterable/i;

/** @throws Finding when a line speaks of a mistake of ours. */
export function checkLog(lines: readonly string[]): void {
  const line = lines.find((text) => OWN_MISTAKE.test(text));
  if (line !== undefined) throw new Finding(`logged: ${line}`);
}
