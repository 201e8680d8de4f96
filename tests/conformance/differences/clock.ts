import type { Difference } from "../difference.ts";

const resends = [2, 3, 4, 5, 6, 7, 8];

/** Of timers that take minutes. All resends come when those of the reference come, from 1 s on doubled to 127 s, and the end after 247 s. */
export const clock: readonly Difference[] = [
  ...["data", "FIN"].map(
    (what): Difference => ({
      script: `clock-${what.toLowerCase()}/${what} that is never acknowledged`,
      frame: `${what}#2`,
      field: "extra",
      ours: /^TCP 770[23]>4330[12] (PSH|FIN),ACK: .* sequence isn\+1, /,
      reason: "better",
      why: "a probe for a lost tail after 200 ms (RFC 8985 section 7)",
    }),
  ),
  ...["data", "FIN"].map(
    (what): Difference => ({
      script: `clock-${what.toLowerCase()}/${what} that is never acknowledged`,
      frame: `${what}#*`,
      field: "absent",
      reference: /^TCP 770[23]>4330[12] ACK: .* window 512, at \d+ ms$/,
      reason: "REF-BUG",
      why: "keepalives are sent only while nothing is outstanding (RFC 9293 section 3.8.4); the reference sends them every 30 s",
    }),
  ),
  ...resends.map(
    (n): Difference => ({
      script: "clock-syn/SYN that is never answered",
      frame: `SYN#${n}`,
      field: "tcp.sequence",
      ours: "isn+0",
      reason: "REF-BUG",
      why: "one initial sequence number for a connection; the reference adds 1 each time",
    }),
  ),
  {
    script: "clock-syn/SYN that is never answered",
    frame: "SYN#9",
    field: "tcp.sequence",
    ours: "isn+1",
    reason: "REF-BUG",
    why: "the same",
  },
  ...[
    ["clock-syn/SYN that is never answered", "SYN#9"],
    ["clock-data/data that is never acknowledged", "data#17"],
    ["clock-fin/FIN that is never acknowledged", "FIN#17"],
  ].map(
    ([script, frame]): Difference => ({
      script,
      frame,
      field: "tcp.window",
      ours: "0",
      reason: "better",
      why: "a reset offers no window",
    }),
  ),
];
