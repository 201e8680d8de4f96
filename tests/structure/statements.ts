import {
  type Contract,
  contract,
  inBackend,
  inChecksum,
  inDevice,
  inIov,
  inNet,
  inRing,
  inSockets,
  inTcp,
  inUdp,
} from "./contracts.ts";

const backPressure = "tests/back-pressure/back-pressure.test.ts";

/** Frames over buffers of any layout, step by step. Numbered 1, 2 ...; tests elsewhere name these numbers. */
export const statements: readonly Contract[] = [
  contract(
    "Taking a chain maps it to the caller's entries and says which; it never writes past them, and says when they are too few.",
    [
      inRing("split-device-queue"),
      "a chain becomes entries in order, readable ones first, and an element that says where they are",
    ],
    [inRing("split-device-queue"), "a chain that does not fit what is left stays available for the next round"],
    [inRing("split-device-queue"), "no room for one more element leaves the chain available"],
  ),
  contract(
    "A batch of chains shares one pool, many entries here and few there; the chain that does not fit comes with the next batch.",
    [inRing("split-device-queue"), "many chains share one pool, many entries here and few there"],
    [
      inNet("tx-queue"),
      "TX batch: N chains whose total fits the pool are all popped, the one that does not fit stays available",
    ],
  ),
  contract(
    "Room for frames comes from one pool at a running offset; two descriptors are two entries of one element; no room gives none.",
    [inNet("rx-queue"), "collect: a 2-descriptor element gives 2 entries with 1 element"],
    [inNet("rx-queue"), "collect: never less than 60 + header bytes, one pool for all elements, at a running offset"],
    [inNet("rx-queue"), "collect: a ring without buffers gives no room and stays as it was"],
    [
      inNet("rx-queue-pool"),
      "collect: a pool without entries for the next frame gives no room, and ring and pool stay as they were",
    ],
  ),
  contract(
    "memset sets exactly its range across entries, is clipped at the end, and does nothing with length 0 or behind the end.",
    [inIov("memset"), "iov_memset: sets exactly [offset, offset + length) across entries, empty ones included"],
    [inIov("memset"), "iov_memset: length is clipped at the end of the list"],
    [inIov("memset"), "iov_memset: length 0, an offset behind the end and an empty list change nothing"],
  ),
  contract(
    "memcopy copies what both sides can hold with any segmentation, says how much, and equals a flat copy.",
    [inIov("memcopy"), "iov_memcopy: any segmentation on either side, empty entries included"],
    [inIov("memcopy"), "iov_memcopy: copies min(length, both remainders) and says how much"],
    [inIov("iov.prop"), "property: memcopy equals a flat copy with any segmentation on either side"],
  ),
  contract(
    "The header is written where frames are handed over; a burst, a repeated acknowledgment or a reply calls the guest once.",
    [inNet("rx-queue"), "flush does not notify: publish stores used.idx once, then one question for the batch"],
    [
      backPressure,
      "the guest is called at most once in a turn: for a burst, for acknowledgments of a gap, for a service's reply",
    ],
    [inDevice("device"), "a burst is one batch and one call for each ring; NO_INTERRUPT is honoured"],
  ),
  contract(
    "Datagrams are received before room is taken: a receive that gives nothing leaves the ring as it was.",
    [inUdp("host-to-guest"), "statement 7: a receive that gives nothing reserves nothing"],
    [
      "packages/icmp-vu/src/echo-engine.test.ts",
      "a receive that gives nothing reserves nothing; what finds no room stays until there is some",
    ],
  ),
  contract(
    "Datagrams of two queues or devices in one process do not disturb each other.",
    [inUdp("host-to-guest"), "statement 8: two engines that take turns do not disturb each other"],
    [
      inSockets("udp-sockets"),
      "two back-ends in one process, interleaved, each give their own guest its own datagrams",
    ],
  ),
  contract(
    "Padding and stale bytes never change a checksum of UDP, TCP or ICMP, over IPv4 or IPv6, at odd lengths and odd splits.",
    [inUdp("host-to-guest"), "statement 9: stale bytes in a slot never alter a checksum, at odd and even lengths"],
    [
      "packages/icmp-vu/src/echo-engine.test.ts",
      "stale bytes of a slot never alter a checksum, and a checksum is complete whatever the driver takes",
    ],
    [inTcp("send-path"), "a short peek ends the last frame, and the sequence goes on by what was really received"],
    [inChecksum("checksum.prop"), "random splits, empty entries included, from any offset with any length"],
  ),
  contract(
    "A record of a capture is as long as the Ethernet frame, without the header in front of it, however large the buffer.",
    [
      "packages/pcap/src/pcap.test.ts",
      "statement 10: a 60-byte frame in a 1526-byte buffer behind a 12-byte header is a record of exactly 60 bytes",
    ],
    [
      "tests/guests/streams.test.ts",
      "tshark finds no malformed packet, wrong length or wrong checksum, and as many frames as the daemon counted",
    ],
  ),
  contract(
    "Used lengths add up to the frame, at least 60 bytes, and its header; the used index advances by every buffer; num_buffers is right.",
    [inNet("rx-queue"), "flush leaks none: used idx advances by all buffers, at any index"],
    [inNet("rx-queue"), "[100,100,100,100] x n"],
    [inNet("rx-queue"), "num_buffers is 1 in a header of 12 bytes without mergeable buffers"],
    [
      inNet("rx-queue"),
      "after a short read the last frame gets its own length, and its surplus buffers are undone before the flush",
    ],
  ),
  contract(
    "A TCP header's lengths and checksum are those of the data, not of the buffers; the last, shorter segment is right.",
    [
      inTcp("send-path"),
      "payload is cut into segments of the guest's MSS, the last one shorter and pushed, with one peek",
    ],
    [inTcp("send-path"), "with an MTU of 65520, frames of 61,440 bytes of payload, in buffers of every layout"],
  ),
  contract(
    "Padding is in one place; the last frame of a burst gets its own length, and what is counted is what was received.",
    [inNet("rx-queue"), "pad zero-fills up to 60 bytes across entries and nothing behind them"],
    [inDevice("device"), "short frames are padded to 60 bytes, long ones merged over buffers"],
    [inTcp("send-path"), "a short peek ends the last frame, and the sequence goes on by what was really received"],
  ),
  contract(
    "Replies, streams and datagrams arrive right in receive buffers of every layout.",
    [inSockets("link-services"), "ARP, with receive buffers of %p bytes"],
    [inSockets("tcp-sockets"), "a SYN,ACK and 3000 bytes arrive right in receive buffers of %p bytes"],
    [inSockets("udp-sockets"), "datagrams of 1000, 3 and 0 bytes arrive right in receive buffers of %p bytes"],
  ),
  contract(
    "What the guest sends may be split at every point.",
    [inSockets("tcp-sockets"), "a chain may be split anywhere: the stream is the same at every split point"],
    [
      inSockets("udp-sockets"),
      "a chain may be split anywhere: the datagram on the host is the same at every split point",
    ],
    [inNet("tx-queue"), "the virtio-net header is read at every split point, one byte an entry included"],
  ),
];

/** Waiting: nothing spins, nothing stalls, nothing is lost meanwhile. Numbered W1, W2 ... */
export const waiting: readonly Contract[] = [
  contract(
    "While the guest's window is closed the stream stays in the socket, and the window is probed.",
    [
      backPressure,
      "while the guest's window is closed the stream waits in the socket and the loop sleeps; afterwards it goes on",
    ],
    [inTcp("send-path"), "window blocked: no peek until the guest acknowledges, and no turn spins"],
    [inTcp("retransmission"), "a closed window is probed with one unit of it after 1, 2, 4 s; nothing else leaves"],
  ),
  contract(
    "While the receive ring is empty the stream waits, and new buffers alone move it.",
    [
      backPressure,
      "while the receive ring is empty the stream waits in the socket and the loop sleeps; afterwards it goes on",
    ],
    [backPressure, "receive buffers alone move a stream that waits for room: the driver is asked to kick for them"],
    [inBackend("contract-receive"), "without room frames wait, room is wanted, no turn spins, and none is lost"],
  ),
  contract(
    "While the receive ring is disabled the stream waits.",
    [
      backPressure,
      "while the receive ring is disabled the stream waits in the socket and the loop sleeps; afterwards it goes on",
    ],
    [inDevice("vring"), "a disabled receive ring gives none of its buffers, and asks for no kick"],
  ),
  contract(
    "While the receive ring is stopped the stream waits.",
    [
      backPressure,
      "while the receive ring is stopped the stream waits in the socket and the loop sleeps; afterwards it goes on",
    ],
    [inBackend("contract-receive"), "without a ring no turn spins, and no frame is left reserved"],
  ),
  contract(
    "A socket that was read empty is looked at again only after an event; its end gives one FIN.",
    [inTcp("retransmission"), "an empty socket and a closed window: looked at once, then no timer runs"],
    [
      inSockets("tcp-sockets"),
      "the end of the host's stream with nothing outstanding gives one FIN, and the guest may go on sending",
    ],
  ),
  contract(
    "A gap in what the guest sends is reported at once with two equal acknowledgments; one of what was never sent changes nothing.",
    [
      inTcp("receive-path"),
      "payload out of order is dropped; the gap is reported once, with two equal acknowledgments",
    ],
    [inTcp("acknowledgment"), "an acknowledgment of what was never sent is answered, and its segment dropped"],
  ),
  contract(
    "A host that does not read closes the guest's window, and opens it again when it reads.",
    [inSockets("tcp-sockets"), "a host that does not read closes the guest's window, and opens it again when it does"],
    [
      inTcp("receive-path"),
      "a send buffer without any room takes nothing: the same acknowledgment, window 0, and nothing is lost",
    ],
  ),
  contract(
    "Datagrams that find no room wait a little, and their sockets are not asked for more meanwhile.",
    [inUdp("host-to-guest"), "what finds no room stays, nothing more is received, and it goes when room comes"],
    [inSockets("udp-sockets"), "a socket that has more than there is room for wakes nobody until there is"],
  ),
  contract(
    "Without free descriptors listeners and clients wait, and nothing spins.",
    [inSockets("out-of-descriptors"), "a forwarded connection waits; the listener rests instead of spinning"],
    [inDevice("connection"), "is said once, tried again after a while, and never makes the loop spin"],
  ),
  contract(
    "Descriptors of a front-end that misbehave neither spin nor block: a kick fd at its end, a call pipe that is full or unread.",
    [
      inDevice("event-fds"),
      "a kick fd that ends, or that holds more than is read at once, neither spins nor stops the ring",
    ],
    [inDevice("device"), "call fds may be pipes that nobody reads"],
  ),
];
