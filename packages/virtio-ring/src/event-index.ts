/**
 * Says whether an index that moved from `oldIndex` to `newIndex` passed the event index, so that the other side wants
 * to be told: the entry it waits for, `event`, is one of those written in between (virtio 1.3, 2.7.7 and 2.7.10).
 *
 * All are free-running 16-bit indexes; `newIndex` is at most 65535 ahead of `oldIndex`.
 */
export function passedEvent(event: number, newIndex: number, oldIndex: number): boolean {
  return ((newIndex - event - 1) & 0xffff) < ((newIndex - oldIndex) & 0xffff);
}
