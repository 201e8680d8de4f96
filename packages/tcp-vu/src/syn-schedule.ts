/** However many SYNs the host's own settings allow, the guest gets no more than so many again. */
const RESENDS_MAX = 7;

/**
 * Waits between SYNs, in ms, the last one before it is over: `linear` times one second, then doubled each time (as
 * net.ipv4.tcp_syn_linear_timeouts and tcp_syn_retries say).
 *
 * With Linux's own 4 and 6 they leave at 0, 1, 2, 3, 4, 5, 7 and 11 s, and at 19 s it is over.
 */
export function synWaitsMs(linear: number, retries: number): number[] {
  const resends = Math.min(RESENDS_MAX, linear + retries);
  return Array.from({ length: resends + 1 }, (_, i) => 1000 * 2 ** Math.max(0, i - linear));
}
