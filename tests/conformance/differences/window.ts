// Windows, place by place. host.ts gives every socket a send buffer of 4 MiB whatever the kernel's congestion control does, so that
// ours are known: 65535 in a SYN, that much scaled by 8 (255) until the guest has sent something, and then 7/8 of the send buffer.

import type { Difference } from "../difference.ts";

interface Windows {
  /** Places: a script, and frames in it. */
  readonly at: Readonly<Record<string, readonly string[]>>;
  readonly reference: string;
  readonly ours: string | RegExp;
  readonly reason: Difference["reason"];
  readonly why: string;
}

const lines = ({ at, ...rest }: Windows): Difference[] =>
  Object.entries(at).flatMap(([script, frames]) =>
    frames.map((frame): Difference => ({ script, frame, field: "tcp.window", ...rest })),
  );

/** 7/8 of 4 MiB are 14336 units of 256 bytes; what the socket still holds is a few of them. */
const sendBuffer = /^143(2\d|3[0-6])$/;

const unscaled: Windows = {
  at: {
    "tcp-data-again/data that is not acknowledged": ["data#*"],
    "tcp-data-again/a duplicate acknowledgment": ["data#*"],
    "tcp-data/the host writes and ends at once": ["data and the end#1"],
    "tcp-zero-window-scaled/window scale 7": ["data#1", "the window opens#1"],
    "clock-data/data that is never acknowledged": ["data#1", "data#2", "data#3", "data#4", "data#5"],
  },
  reference: "65483",
  ours: "255",
  reason: "REF-BUG",
  why: "every window but that of a SYN is scaled (RFC 7323 section 2.3): the reference's 65483 bytes become 8 MiB",
};

const scaledUnasked: Windows = {
  at: {
    "tcp-handshake/options: none": ["data#1"],
    "tcp-handshake/options: no window scale": ["data#1"],
    "tcp-forward/the host writes at once": ["SYN,ACK#*", "more than a window#*"],
  },
  reference: "512",
  ours: "65535",
  reason: "REF-BUG",
  why: "no window is scaled for a guest that sent no such option (RFC 7323 section 2.2): of 64 KiB the reference tells 512 bytes",
};

const firstWindow: Windows = {
  at: {
    "tcp-data/the guest ends first": ["*"],
    "tcp-data/the host ends first": ["the host ends#1"],
    "tcp-data/the host writes and ends at once": ["data and the end#2", "the guest ends#1"],
    "clock-data/data that is never acknowledged": ["data#7", "data#9", "data#12"],
    "clock-fin/FIN that is never acknowledged": ["FIN#*"],
  },
  reference: "512",
  ours: "255",
  reason: "choice",
  why: "the SYN's window stays until the guest sends data, and while it has ended; the reference tells that of the host's peer",
};

/** Of a guest that sends: the reference has the peer's 64 KiB, in units of 128 bytes. */
const whileSending: Windows = {
  at: {
    "tcp-syn-again/SYN that is not answered": ["late SYN,ACK#1"],
    "tcp-handshake/options: *": ["data#1"],
    "tcp-data/data both ways, *": ["*"],
    "tcp-data/the host ends first": ["the guest still writes#1", "the guest ends#1"],
    "tcp-data/the host resets": ["data#1"],
    "tcp-data/the guest resets": ["data#1"],
    "tcp-forward/*": ["SYN,ACK#1", "the host writes#1", "the guest answers#1", "the host ends#1", "the guest ends#1"],
    "forward-target/*": ["SYN,ACK#1", "the host writes#1", "the guest answers#1"],
  },
  reference: "512",
  ours: sendBuffer,
  reason: "choice",
  why:
    "ours is what the host's socket takes, so that the guest sends on while the peer is away, and its kernel holds the data; " +
    "the reference goes by the window that the peer last told, and holds little",
};

export const windows: readonly Difference[] = [
  ...[unscaled, scaledUnasked, firstWindow, whileSending].flatMap(lines),
  ...lines({
    ...firstWindow,
    at: { "clock-idle/nothing to say": ["silence#*"] },
    reference: "511",
  }),
  ...lines({
    ...whileSending,
    at: { "tcp-handshake/repeated SYN": ["SYN on the connection#1"] },
    reference: "511",
  }),
  ...lines({
    ...firstWindow,
    at: { "tcp-zero-window/no window scale": ["data#1"] },
    reference: "65483",
    ours: "65535",
  }),
];
