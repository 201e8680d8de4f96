import { isUnspecified } from "@passt-ts/address-map/address";
import { Iov } from "@passt-ts/iov/iov";
import { DatagramSendBatch } from "@passt-ts/linux/datagram-send-batch";
import { SocketAddress } from "@passt-ts/linux/socket-address";
import { AF_INET6, SO_DOMAIN, SOL_SOCKET } from "@passt-ts/linux/socket-constants";
import { SocketOptions } from "@passt-ts/linux/socket-options";
import { Errno } from "@passt-ts/linux/system-error";
import type { DatagramBatch } from "@passt-ts/udp-vu/datagram-batch";

/** Messages of one sendmmsg. */
const MESSAGES_MAX = 128;
/** Datagrams that the kernel cuts out of one message (UDP_MAX_SEGMENTS before Linux 6.9), and their bytes. */
const SEGMENTS_MAX = 64;
const SEGMENTED_BYTES_MAX = 65_507;
const ENTRIES_MAX = 1024;

/**
 * Sends batches of datagrams. A run of equally long ones to the same peer, of which the last may be shorter, is one
 * message that the kernel cuts up again (UDP_SEGMENT): its way through the host's stack is paid for once.
 */
export class DatagramSender {
  readonly #batch: DatagramSendBatch = new DatagramSendBatch(MESSAGES_MAX);
  readonly #options: SocketOptions = new SocketOptions();
  readonly #address: SocketAddress = new SocketAddress();
  readonly #words: Uint32Array = new Uint32Array(4);
  /** Datagrams in each message of the batch. */
  readonly #run: Int32Array = new Int32Array(MESSAGES_MAX);
  /** By descriptor: 1 when the kernel refused to cut for this socket. */
  readonly #plain: number[] = [];
  #iov: Iov | null = null;

  /** Messages of the last call. */
  get messages(): number {
    return this.#batch.count;
  }

  /** The descriptor belongs to another socket from now on. */
  opened(socket: number): void {
    if (socket < this.#plain.length) this.#plain[socket] = 0;
  }

  /** Sends the datagrams from index `from` on: how many went, at least one, or -errno of the first. */
  send(socket: number, batch: DatagramBatch, from: number): number {
    const isPlain = batch.addressed || this.#plain[socket] === 1;
    this.#fill(socket, batch, from, isPlain);
    if (this.#batch.count === 0) return -Errno.EMSGSIZE;
    const sent = this.#batch.send(socket);
    if (sent < 0 && this.#run[0] > 1 && isRefusedSegmentation(sent)) {
      // The path has a smaller MTU than these datagrams need, or the device cannot compute checksums: one by one.
      while (this.#plain.length <= socket) this.#plain.push(0);
      this.#plain[socket] = 1;
      return this.send(socket, batch, from);
    }
    let datagrams = sent;
    for (let i = 0; i < sent; i++) datagrams += this.#run[i] - 1;
    return datagrams;
  }

  /** Makes messages of as many datagrams as fit one call. */
  #fill(socket: number, batch: DatagramBatch, from: number, isPlain: boolean): void {
    const messages = this.#batch;
    messages.clear();
    if (this.#iov === null || this.#iov.pool !== batch.pool) this.#iov = new Iov(batch.pool);
    const iov = this.#iov;
    const dualStack = batch.addressed && this.#options.get(socket, SOL_SOCKET, SO_DOMAIN) === AF_INET6;
    for (let first = from; first < batch.count; ) {
      const next = isPlain ? first + 1 : endOfRun(batch, first);
      const last = next - 1;
      const entries = batch.firstEntry[last] + batch.entryCount[last] - batch.firstEntry[first];
      const segmentBytes = batch.lengthBytes[first];
      const bytes = segmentBytes * (last - first) + batch.lengthBytes[last];
      iov.select(batch.firstEntry[first], entries);
      const message = messages.add(iov, 0, bytes, batch.addressed ? this.#destination(batch, first, dualStack) : null);
      if (message < 0) return;
      if (last > first) messages.setSegmentBytes(message, segmentBytes);
      if (batch.addressed && !isUnspecified(batch.localAddress, 4 * first)) {
        messages.setSource(message, batch.localAddress, 4 * first);
      }
      this.#run[message] = next - first;
      first = next;
    }
  }

  #destination(batch: DatagramBatch, index: number, dualStack: boolean): SocketAddress {
    const words = this.#words;
    for (let i = 0; i < 4; i++) words[i] = batch.address[4 * index + i];
    const port = batch.port[index];
    return dualStack
      ? this.#address.setIpv6(words, port, batch.scope[index])
      : this.#address.set(words, port, batch.scope[index]);
  }
}

/** The index behind the run of datagrams that begins at `first`: all of one length but the last, lying side by side. */
function endOfRun(batch: DatagramBatch, first: number): number {
  const { lengthBytes, firstEntry, entryCount } = batch;
  const segmentBytes = lengthBytes[first];
  if (segmentBytes === 0) return first + 1;
  let bytes = segmentBytes;
  let end = firstEntry[first] + entryCount[first];
  let next = first + 1;
  while (next < batch.count && next - first < SEGMENTS_MAX) {
    const length = lengthBytes[next];
    if (length === 0 || length > segmentBytes || bytes + length > SEGMENTED_BYTES_MAX) break;
    if (firstEntry[next] !== end || end + entryCount[next] - firstEntry[first] > ENTRIES_MAX) break;
    bytes += length;
    end += entryCount[next];
    next++;
    if (length < segmentBytes) break;
  }
  return next;
}

function isRefusedSegmentation(result: number): boolean {
  return result === -Errno.EINVAL || result === -Errno.EMSGSIZE || result === -Errno.EIO;
}
