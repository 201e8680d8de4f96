/** Sequence number arithmetic (RFC 9293 section 3.4): the only place where it is done. */

declare const unit: unique symbol;

/**
 * A TCP sequence number. Kept as int32, which engines hold in a register; `DataView.setUint32` writes the right bits.
 */
export type Seq = number & { readonly [unit]: "tcp-seq" };

/** The sequence number with the low 32 bits of `value`. */
export function seq(value: number): Seq {
  return (value | 0) as Seq;
}

/** `from` and `bytes` further. */
export function seqAdd(from: Seq, bytes: number): Seq {
  return ((from + bytes) | 0) as Seq;
}

/** How many bytes `a` lies behind `b` in the stream: negative when it lies before. */
export function seqDiff(a: Seq, b: Seq): number {
  return (a - b) | 0;
}

/** The later one of two. */
export function seqMax(a: Seq, b: Seq): Seq {
  return ((a - b) | 0) > 0 ? a : b;
}
