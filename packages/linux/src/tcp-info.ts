import type { NativeBuffer } from "./native-buffer.ts";

/** struct tcp_info (linux/tcp.h): append-only, one layout on every architecture. */
const FIELD = {
  state: 0,
  retransmits: 2,
  windowScales: 6,
  rtoUs: 8,
  sendMss: 16,
  receiveMss: 20,
  unacknowledgedSegments: 24,
  rttUs: 68,
  rttVarianceUs: 72,
  congestionWindowSegments: 80,
  receiveSpace: 96,
  bytesAcknowledged: 120,
  bytesReceived: 128,
  unsentBytes: 144,
  minimumRttUs: 148,
  sendWindowBytes: 228,
} as const;

/** Room for what this file reads; the kernel cuts its answer to it. */
export const TCP_INFO_BYTES = 240;

/** TCP states as the kernel numbers them. */
export const TcpState = {
  established: 1,
  synSent: 2,
  synReceived: 3,
  finWait1: 4,
  finWait2: 5,
  timeWait: 6,
  close: 7,
  closeWait: 8,
  lastAck: 9,
  listen: 10,
  closing: 11,
} as const;

/** What the kernel says about a TCP connection; made once and filled again. */
export class TcpInfo {
  /** A number of {@link TcpState}. */
  state = 0;
  /** Retransmissions of the segment now in flight. */
  retransmits = 0;
  /** Shift counts for the peer's window and for ours. */
  sendWindowScale = 0;
  receiveWindowScale = 0;
  rtoUs = 0;
  rttUs = 0;
  rttVarianceUs = 0;
  minimumRttUs = 0;
  sendMss = 0;
  receiveMss = 0;
  unacknowledgedSegments = 0;
  congestionWindowSegments = 0;
  receiveSpace = 0;
  /** Modulo 2^53. Starts at 1 on a socket that connected, at 0 on one that was accepted; a FIN adds 1. */
  bytesAcknowledged = 0;
  bytesReceived = 0;
  unsentBytes = 0;
  /** The window that the peer offers, in bytes; -1 on a kernel before 5.4, which does not say. */
  sendWindowBytes = 0;

  /** Fills the fields from the `lengthBytes` bytes that the kernel wrote. */
  fill(native: NativeBuffer, lengthBytes: number): void {
    const { view } = native;
    this.state = view.getUint8(FIELD.state);
    this.retransmits = view.getUint8(FIELD.retransmits);
    const scales = view.getUint8(FIELD.windowScales);
    this.sendWindowScale = scales & 15;
    this.receiveWindowScale = scales >>> 4;
    this.rtoUs = view.getUint32(FIELD.rtoUs, true);
    this.sendMss = view.getUint32(FIELD.sendMss, true);
    this.receiveMss = view.getUint32(FIELD.receiveMss, true);
    this.unacknowledgedSegments = view.getUint32(FIELD.unacknowledgedSegments, true);
    this.rttUs = view.getUint32(FIELD.rttUs, true);
    this.rttVarianceUs = view.getUint32(FIELD.rttVarianceUs, true);
    this.congestionWindowSegments = view.getUint32(FIELD.congestionWindowSegments, true);
    this.receiveSpace = view.getUint32(FIELD.receiveSpace, true);
    this.bytesAcknowledged = longAt(view, FIELD.bytesAcknowledged);
    this.bytesReceived = longAt(view, FIELD.bytesReceived);
    this.unsentBytes = view.getUint32(FIELD.unsentBytes, true);
    this.minimumRttUs = view.getUint32(FIELD.minimumRttUs, true);
    const saysWindow = lengthBytes >= FIELD.sendWindowBytes + 4;
    this.sendWindowBytes = saysWindow ? view.getUint32(FIELD.sendWindowBytes, true) : -1;
  }
}

function longAt(view: DataView, at: number): number {
  return view.getUint32(at, true) + (view.getUint32(at + 4, true) & 0x1f_ffff) * 0x1_0000_0000;
}
