import { IP_QUOTE_WORDS } from "@passt-ts/wire/ip-quote";
import { type Seq, seq, seqAdd, seqDiff } from "./sequence.ts";

/**
 * States of a connection, and what may be done in each.
 *
 * The names that RFC 9293 has for the states after `established` are two independent facts here: whether the guest has
 * closed ({@link Connection.guestFin}) and whether our FIN was acknowledged ({@link Connection.finAcked}).
 */
export const State = {
  /** The slot is unused. No socket. */
  free: 0,
  /** SYN came from the guest; the socket connects. Nothing was sent to the guest. */
  connecting: 1,
  /** SYN,ACK sent; waits for the guest's ACK. The socket is connected; nothing is read or written. */
  synReceived: 2,
  /** Inbound: SYN sent to the guest; waits for SYN,ACK. The socket is connected; nothing is read or written. */
  synSent: 3,
  /** Data in both directions, until both have ended. */
  established: 4,
  /** The socket is closed, and a RST for the guest waits for room in the ring. */
  resetting: 5,
} as const;

/** First retransmission timeout, and after a lost SYN (RFC 6298 section 5.7), in ms. */
export const RTO_MS = 1000;
export const RTO_AFTER_SYN_LOSS_MS = 3000;

/**
 * Wait for an acknowledgment before the guest is probed with a resend, in ms: the last frames of a burst have nothing
 * behind them that could bring a duplicate acknowledgment when they are lost (RFC 8985 section 7). Above the time for
 * which receivers delay acknowledgments.
 */
export const PROBE_MS = 200;

/**
 * The state of one connection. Objects are made once for each slot and used again; all fields but one are numbers and are set
 * in this order, so that every instance has one shape.
 *
 * Names follow RFC 9293 section 3.3.1; "snd" is towards the guest, "rcv" from the guest.
 */
export class Connection {
  readonly flow: number;
  state: number = State.free;
  socket = -1;
  ipVersion = 4;
  /** 1: the peer is on this host, and what the socket took is acknowledged at once. */
  local = 0;

  /** Our initial sequence number: one for the life of the connection, resends included. */
  isn: Seq = seq(0);
  /** First byte that the guest has not acknowledged: the head of the socket's queue, once consumed up to here. */
  sndUna: Seq = seq(0);
  /** Next byte to send; goes back to {@link Connection.sndUna} to send again. */
  sndNxt: Seq = seq(0);
  /** One behind the highest byte ever sent, FIN included. */
  sndMax: Seq = seq(0);
  /** The guest's window in bytes, from {@link Connection.sndUna} on; the largest it ever was. */
  sndWnd = 0;
  maxWnd = 0;
  /** Sequence and acknowledgment number of the segment that set the window last. */
  sndWl1: Seq = seq(0);
  sndWl2: Seq = seq(0);
  /** Payload of our longest segment, and the shift of the guest's window. */
  mss = 536;
  guestScale = 0;

  /** First byte of the guest's stream. */
  rcvStart: Seq = seq(0);
  /** Next byte of the guest that the socket has not taken. */
  rcvNxt: Seq = seq(0);
  /** The same with what was collected in this batch, a FIN included. */
  rcvQueued: Seq = seq(0);
  /** Last acknowledgment sent, and the end of the window announced with it. */
  ackSent: Seq = seq(0);
  rcvEdge: Seq = seq(0);
  /** The shift of our window: 0 when the guest did not offer the option. */
  ourScale = 0;
  /** The MSS that we offered. */
  offeredMss = 0;

  /** 1: the socket's stream has ended; at {@link Connection.eofSeq} our FIN stands. */
  hostEof = 0;
  eofSeq: Seq = seq(0);
  finAcked = 0;
  /** 1: the guest's FIN was taken and the socket is shut down for writing. */
  guestFin = 0;
  /** 1: a FIN was collected in this batch. */
  finQueued = 0;

  /** 1: the send buffer was full; a writable event will come. */
  blocked = 0;
  /** 1: the window was found small; a writable event, or the timer, has it looked at again. */
  windowLow = 0;
  /** 1: payload in order had to be dropped since the last advance of {@link Connection.rcvNxt}. */
  lost = 0;
  /** 1: the gap at {@link Connection.rcvNxt} was reported with duplicate acknowledgments. */
  gapReported = 0;

  /** 1: of what the guest sent up to {@link Connection.settledAt} nothing waits for a host or an acknowledgment. */
  settled = 0;
  settledAt: Seq = seq(0);

  /** Payload collected in this batch: first and last collected segment, or -1, and their bytes. */
  firstSegment = -1;
  lastSegment = -1;
  /** Bytes acknowledged by the guest and not yet dropped from the socket's queue. */
  consumeBytes = 0;
  /** Where the kernel's peek offset stands. */
  peekedBytes = 0;
  /** 1: the last peek was short, so that the next one most likely finds nothing. */
  drained = 0;
  /**
   * 1: the peer has ended its stream, or sent urgent data, at which a peek stops: a short peek does not tell that
   * nothing is left, and only the end of the stream, or nothing, is an answer.
   */
  readToEnd = 0;
  /** Bytes that may be sent though the window is closed: a probe. */
  probeBytes = 0;

  /** Acknowledgments to send whatever changed: more than one are duplicates. */
  ackDue = 0;
  /** 1: the flow has work at the end of the batch. */
  touched = 0;
  /** Resends without an answer, or handshake segments resent. */
  retries = 0;
  rtoMs: number = RTO_MS;
  firstRtoMs: number = RTO_MS;
  /** 1: what is not acknowledged was sent again once, before the retransmission timeout. */
  probed = 0;
  /** 1 until something behind {@link Connection.recoverSeq} is acknowledged: duplicates before that tell nothing new. */
  recovering = 0;
  recoverSeq: Seq = seq(0);

  /** When the last segment of the guest came, and the last event of the socket. */
  guestMs = 0;
  socketMs = 0;
  /** When what is left of a connection that both sides have closed is given up; Infinity before. */
  closingEndMs: number = Infinity;
  /** Since when challenge acknowledgments are counted, and how many went out. */
  challengeStartMs: number = -Infinity;
  challenges = 0;

  /** What an ICMP error about the guest's SYN has to quote: words of keepIpWords, TTL, and bytes behind the IP header. */
  readonly synIpWords: Uint32Array = new Uint32Array(IP_QUOTE_WORDS);
  synHopLimit = 0;
  synBytes = 0;

  constructor(flow: number) {
    this.flow = flow;
  }

  /** Starts a new connection in this slot. {@link Connection.touched} stays: the flow may be on that list already. */
  open(state: number, ipVersion: number, isn: Seq): void {
    this.state = state;
    this.socket = -1;
    this.ipVersion = ipVersion;
    this.local = 0;
    this.isn = isn;
    this.sndUna = isn;
    this.sndNxt = isn;
    this.sndMax = isn;
    this.sndWnd = 0;
    this.maxWnd = 0;
    this.sndWl1 = seq(0);
    this.sndWl2 = seq(0);
    this.mss = 536;
    this.guestScale = 0;
    this.rcvStart = seq(0);
    this.rcvNxt = seq(0);
    this.rcvQueued = seq(0);
    this.ackSent = seq(0);
    this.rcvEdge = seq(0);
    this.ourScale = 0;
    this.offeredMss = 0;
    this.hostEof = 0;
    this.eofSeq = seq(0);
    this.finAcked = 0;
    this.guestFin = 0;
    this.finQueued = 0;
    this.blocked = 0;
    this.windowLow = 0;
    this.lost = 0;
    this.gapReported = 0;
    this.settled = 0;
    this.settledAt = seq(0);
    this.firstSegment = -1;
    this.lastSegment = -1;
    this.consumeBytes = 0;
    this.peekedBytes = 0;
    this.drained = 0;
    this.readToEnd = 0;
    this.probeBytes = 0;
    this.ackDue = 0;
    this.retries = 0;
    this.rtoMs = RTO_MS;
    this.firstRtoMs = RTO_MS;
    this.probed = 0;
    this.recovering = 0;
    this.recoverSeq = seq(0);
    this.guestMs = 0;
    this.socketMs = 0;
    this.closingEndMs = Infinity;
    this.challengeStartMs = -Infinity;
    this.challenges = 0;
    this.synHopLimit = 0;
    this.synBytes = 0;
  }

  /** Sets everything that the guest's initial sequence number decides. */
  setGuestStart(start: Seq): void {
    this.rcvStart = start;
    this.rcvNxt = start;
    this.rcvQueued = start;
    this.ackSent = start;
    this.rcvEdge = start;
  }
}

/** How long to wait for an acknowledgment from now on, in ms. */
export function acknowledgmentWaitMs(connection: Connection): number {
  const mayProbe = connection.probed === 0 && connection.retries === 0 && connection.sndWnd > 0;
  return mayProbe ? Math.min(PROBE_MS, connection.rtoMs) : connection.rtoMs;
}

/**
 * The sequence number of a segment without payload: behind all that was sent, but never outside of the guest's window,
 * where a probe may have gone, or the guest would not look at the segment.
 */
export function acceptableSequence(connection: Connection): Seq {
  const { sndUna, sndMax, sndWnd } = connection;
  return seqDiff(sndMax, sndUna) <= sndWnd ? sndMax : seqAdd(sndUna, sndWnd);
}

/** Whether our FIN has left, acknowledged or not. */
export function isFinSent(connection: Connection): boolean {
  return connection.hostEof === 1 && connection.sndMax === seqAdd(connection.eofSeq, 1);
}
