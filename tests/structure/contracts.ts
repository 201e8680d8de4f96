// What passt-ts promises, and which tests show it: here explicit lengths, in statements.ts frames over any buffers, and waiting.
// These files are data; contracts.test.ts checks that each test named exists. One named by a template is given with what the
// template makes of it.

/** A test: the path of its file from the root of the workspace, and its exact name. */
export type Shown = readonly [path: string, test: string];

/** A promise, and the tests that would fail if it were broken. */
export interface Contract {
  readonly promise: string;
  readonly shownBy: readonly Shown[];
}

export const contract = (promise: string, ...shownBy: readonly Shown[]): Contract => ({ promise, shownBy });

const guest = "tests/guests/connectivity.test.ts";
export const inIov = (file: string): string => `packages/iov/src/${file}.test.ts`;
export const inChecksum = (file: string): string => `packages/checksum/src/${file}.test.ts`;
export const inRing = (file: string): string => `packages/virtio-ring/src/${file}.test.ts`;
export const inNet = (file: string): string => `packages/virtio-net/src/${file}.test.ts`;
export const inBackend = (file: string): string => `packages/net-backend/src/testing/${file}.ts`;
export const inTcp = (file: string): string => `packages/tcp-vu/src/${file}.test.ts`;
export const inUdp = (file: string): string => `packages/udp-vu/src/${file}.test.ts`;
export const inSockets = (file: string): string => `packages/backend-sockets/src/${file}.test.ts`;
export const inDevice = (file: string): string => `packages/vhost-user-device/src/${file}.test.ts`;
const inLinux = (file: string): string => `packages/linux/src/${file}.test.ts`;
const inDaemon = (file: string): string => `apps/passt-ts/src/${file}.test.ts`;

/** Explicit lengths: how large a buffer is never says how long the frame in it is. Numbered L1, L2 ... */
export const lengths: readonly Contract[] = [
  contract(
    "A frame is entries, an offset and a length; no length comes from the sizes of the entries, and no entry is moved or shortened.",
    [
      inNet("tx-queue"),
      "a frame is (iov, offset, length): the header is skipped by an offset, not by a shortened entry",
    ],
    [inBackend("recording-sink.test"), "records the committed bytes with their own length, over any layout"],
  ),
  contract(
    "memset and memcopy work across entries, empty ones too, touch nothing outside their range, and return what they did.",
    [inIov("iov.prop"), "property: memset sets exactly [offset, offset + length), clipped at the end of the list"],
    [inIov("iov.prop"), "property: memcopy equals a flat copy with any segmentation on either side"],
    [inIov("memcopy"), "iov_memcopy: copies min(length, both remainders) and says how much"],
  ),
  contract(
    "A chain that is taken from a ring appends its entries to the caller's pool, and its element says which they are.",
    [
      inRing("split-device-queue"),
      "a chain becomes entries in order, readable ones first, and an element that says where they are",
    ],
    [inRing("split-device-queue"), "a buffer across a window edge is two entries of one element"],
  ),
  contract(
    "Taking never writes past the pool: a chain that does not fit what is left stays available for the next round.",
    [inRing("split-device-queue"), "a chain that does not fit what is left stays available for the next round"],
    ["packages/guest-memory/src/guest-memory.test.ts", "a pool with too little room stays as it was"],
  ),
  contract(
    "The pool holds a chain as long as the queue with all its splits; a chain that does not fit an empty pool breaks the queue.",
    [inRing("split-device-queue"), "a chain as long as the queue is a chain, direct or not"],
    [inNet("tx-queue"), "pop: a chain that does not fit an empty pool breaks the queue, and the owner can see why"],
    [inDevice("device"), "rings, buffers and batches across window edges, and across regions"],
  ),
  contract(
    "A system call gets at most 1024 entries: a longer stream goes in several calls, a longer datagram is copied once and counted.",
    [inLinux("stream-io"), "a list of more than 1024 entries goes in several calls"],
    [
      inLinux("datagram"),
      "a datagram in more than 1024 entries, or outside its windows, is said to be so and leaves the batch as it was",
    ],
    [inTcp("receive-path"), "more than 1024 entries go in several sends"],
    [
      inUdp("guest-to-host"),
      "a datagram in more pieces than a system call takes is copied once, counted, and in order",
    ],
  ),
  contract(
    "Room for a frame is taken from the ring until it holds the frame, never less than 60 bytes and a header, from one pool.",
    [inNet("rx-queue"), "collect: never less than 60 + header bytes, one pool for all elements, at a running offset"],
    [inNet("rx-queue"), "collect: a 2-descriptor element gives 2 entries with 1 element"],
  ),
  contract(
    "Giving the tail back is one call, and it is the exact undo.",
    [inNet("rx-queue"), "undo of the tail is one call, and it is exact"],
    [
      inRing("split-device-queue"),
      "taking back pops is exact: the same chains come again, and the pool is what it was",
    ],
  ),
  contract(
    "A checksum has a length: stale bytes behind it never count, and odd lengths and odd splits are right.",
    [inChecksum("checksum.prop"), "stale bytes behind the length never change the sum"],
    [inChecksum("checksum.prop"), "every two-way split of a frame of 1500 bytes"],
    [inChecksum("checksum"), "a range of odd length counts as if a zero followed, whatever follows"],
  ),
  contract(
    "A record of a capture is exactly as long as it was said to be, also above 65535 bytes.",
    ["packages/pcap/src/pcap.test.ts", "a frame longer than the staging area passes through in full blocks"],
    [
      "packages/pcap/src/pcap.prop.test.ts",
      "what is written is read back, whatever the segmentation and the size of the staging area",
    ],
    [
      inDaemon("capture"),
      "both directions are recorded, each frame with exactly its own length, whatever its buffers could hold",
    ],
  ),
  contract(
    "TCP, UDP and IP headers get the length of the data as a number.",
    [
      inTcp("send-path"),
      "payload is cut into segments of the guest's MSS, the last one shorter and pushed, with one peek",
    ],
    [inUdp("host-to-guest"), "any length, over any layout of the guest's buffers"],
    [inUdp("guest-to-host"), "the length is that of the UDP header, not of the buffers"],
  ),
  contract(
    "Short frames are filled up with zeros to 60 bytes, in one place, across entries and not behind them.",
    [inNet("rx-queue"), "pad zero-fills up to 60 bytes across entries and nothing behind them"],
    [inNet("rx-queue"), "a frame shortened below 60 bytes keeps the buffers of its padding"],
  ),
  contract(
    "Handing a frame over writes its header, says of each buffer what was used, leaks none, and notifies nobody.",
    [inNet("rx-queue"), "[12,1514] x n"],
    [inNet("rx-queue"), "flush leaks none: used idx advances by all buffers, at any index"],
    [inNet("rx-queue"), "flush does not notify: publish stores used.idx once, then one question for the batch"],
    [guest, "its card has seen no malformed frame"],
  ),
  contract(
    "The virtio-net header tells the truth: a checksum is complete or said to be partial, and gso fields are 0 or negotiated.",
    [inNet("rx-queue"), "the offload columns become the header, little-endian, over [12,1514]"],
    [inTcp("send-path"), "IPv6 segments, with a partial checksum when the driver completes it"],
    [inTcp("segmentation"), "with TSO a frame holds as many whole segments as fit 64 KiB, and says how long each is"],
    [inTcp("segmentation"), "a frame of one segment has no gso_size"],
    [inUdp("host-to-guest"), "a driver that completes checksums gets the pseudo-header's sum and is told where"],
    [inUdp("host-to-guest"), "a driver that does not gets flags 0"],
  ),
  contract(
    "Whether to notify is asked once for a batch, after the used index was stored, so that no wake-up gets lost.",
    [
      inRing("split-device-queue"),
      "without event indexes the driver is notified unless it said NO_INTERRUPT, and only of news",
    ],
    [
      inRing("split-device-queue"),
      "with event indexes the driver is notified when the entry it waits for was published, flags or not",
    ],
    ["tests/memory-order/memory-order.test.ts", "neither mapping's side sleeps through news, with flags"],
  ),
  contract(
    "After a short read the last frame gets its own length, and sequence numbers advance by what was really received.",
    [inTcp("send-path"), "a short peek ends the last frame, and the sequence goes on by what was really received"],
    [
      inNet("rx-queue"),
      "after a short read the last frame gets its own length, and its surplus buffers are undone before the flush",
    ],
    [inSockets("tcp-sockets"), "any sizes of writes on both sides arrive whole: what is counted is what was received"],
  ),
  contract(
    "Nothing is kept at file scope: two devices in one process never disturb each other.",
    [
      "tests/structure/rules.test.ts",
      "our own table points down only, and the whole workspace passes `bun run check:rules`",
    ],
    [inNet("rx-queue-life"), "two devices in one process never disturb each other"],
    [inSockets("tcp-sockets"), "two back-ends in one process, interleaved, do not disturb each other"],
  ),
  contract(
    "Buffers are used in ring order and none is held when a turn ends: the used index is always a right point to restart from.",
    [inNet("rx-queue-life"), "when it stops, used.idx is a correct point to restart from"],
    [inDevice("vring"), "stopped with its base, started again from it: no frame lost or sent twice"],
    [inBackend("recording-sink.test"), "a frame neither committed nor given back fails"],
  ),
  contract(
    "A back-end is done with every buffer of a batch when it returns; only then the batch goes back to the driver.",
    [inBackend("contract-send"), "when send returns, every buffer of the batch is free"],
    [inNet("tx-queue"), "used.idx is stored once for a batch, when it is complete"],
  ),
  contract(
    "Memory is cut into windows of at most 1 GiB, every address is checked with its length, and an old window reaches nothing.",
    ["packages/guest-memory/src/window-cut.test.ts", "unless told otherwise, a window holds 1 GiB"],
    ["packages/guest-memory/src/guest-memory.test.ts", "address plus length does not wrap at 2^32, 2^53 or 2^64"],
    [inLinux("mapped-memory"), "closing detaches every view and leaves no mapping behind"],
    [inDevice("memory-map"), "views and ring queues over an old table throw, and reach nothing of the new one"],
  ),
];
