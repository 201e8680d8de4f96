import { libc } from "./libc.ts";

/** Lets whoever waits for this processor run first (sched_yield(2)): for loops that look for work again and again. */
export function yieldProcessor(): void {
  libc.sched_yield();
}
