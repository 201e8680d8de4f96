import type { FrameBatch } from "@passt-ts/net-backend/frame-batch";
import { VIRTIO_NET_HEADER_BYTES, writeVirtioNetHeader } from "@passt-ts/wire/virtio-net-header";

/** Writes the virtio-net headers of received frames (virtio 1.3, 5.1.6.4), which may lie across any number of entries. */
export class RxHeader {
  readonly #scratch = new Uint8Array(VIRTIO_NET_HEADER_BYTES);
  readonly #scratchView = new DataView(this.#scratch.buffer);

  /**
   * Writes the header in front of frame `index`, whose entries hold it and are not checked again.
   *
   * @param headerLength 10 or 12.
   * @param buffers the buffers that the frame covers: num_buffers, 1 without mergeable ones (5.1.6.4.1).
   */
  write(frames: FrameBatch, index: number, headerLength: number, buffers: number): void {
    const { windows, window, offset, length } = frames.pool;
    let entry = frames.firstEntry[index];
    if (length[entry] >= headerLength) {
      emit(frames, index, windows.views[window[entry]], offset[entry], headerLength, buffers);
      return;
    }
    const scratch = this.#scratch;
    emit(frames, index, this.#scratchView, 0, headerLength, buffers);
    for (let done = 0; done < headerLength; entry++) {
      const bytes = windows.bytes[window[entry]];
      const to = offset[entry];
      for (let i = 0; i < length[entry] && done < headerLength; i++) bytes[to + i] = scratch[done++];
    }
  }
}

function emit(
  frames: FrameBatch,
  index: number,
  view: DataView,
  at: number,
  headerLength: number,
  buffers: number,
): void {
  writeVirtioNetHeader(
    view,
    at,
    headerLength,
    frames.flags[index],
    frames.gsoType[index],
    frames.headerLength[index],
    frames.gsoSize[index],
    frames.checksumStart[index],
    frames.checksumOffset[index],
    buffers,
  );
}
