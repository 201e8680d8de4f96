import type { IovPool } from "@passt-ts/iov/iov";
import type { DeviceQueue } from "@passt-ts/virtio-ring/device-queue";
import type { Elements } from "@passt-ts/virtio-ring/elements";

/** A queue around a queue that changes nothing: what observes a queue overrides the methods that it is about. */
export class WrappedQueue implements DeviceQueue {
  protected readonly inner: DeviceQueue;

  constructor(inner: DeviceQueue) {
    this.inner = inner;
  }

  get size(): number {
    return this.inner.size;
  }

  get brokenReason(): number {
    return this.inner.brokenReason;
  }

  get nextAvailable(): number {
    return this.inner.nextAvailable;
  }

  get heldDescriptors(): number {
    return this.inner.heldDescriptors;
  }

  pending(): number {
    return this.inner.pending();
  }

  pop(elements: Elements, pool: IovPool): number {
    return this.inner.pop(elements, pool);
  }

  unpop(elements: Elements, count: number): void {
    this.inner.unpop(elements, count);
  }

  push(head: number, writtenBytes: number): void {
    this.inner.push(head, writtenBytes);
  }

  publish(): void {
    this.inner.publish();
  }

  needsNotification(): boolean {
    return this.inner.needsNotification();
  }

  isNotificationUnheard(): boolean {
    return this.inner.isNotificationUnheard();
  }

  suppressKicks(): void {
    this.inner.suppressKicks();
  }

  allowKicks(): boolean {
    return this.inner.allowKicks();
  }
}
