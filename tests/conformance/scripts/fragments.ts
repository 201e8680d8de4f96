import { fragment, halves, type Piece } from "../fragments.ts";
import { ping, udp } from "../frames.ts";
import { gateway4, gateway6 } from "../host.ts";
import type { HostAction, Script, Suite } from "../script.ts";

const to4 = { to: gateway4 };
const to6 = { to: gateway6 };
const text = "0123456789abcdef".repeat(4);

/** Fragments of one packet in different orders; those of a step, or of two, have an identification of their own. */
function packet(name: string, frame: Uint8Array, begin: readonly HostAction[], end: readonly HostAction[]): Script {
  const [first, last] = halves(frame);
  const pieces = (identification: number, ...cuts: readonly Piece[]): Uint8Array[] =>
    cuts.map((cut) => fragment(frame, cut, identification));
  return {
    name,
    steps: [
      { name: "whole", host: begin, send: [frame] },
      { name: "both", send: pieces(1, first, last) },
      { name: "the last first", send: pieces(2, last, first) },
      { name: "the first alone", send: pieces(3, first) },
      { name: "the last, later", send: pieces(3, last) },
      { name: "the first twice", send: pieces(4, first, first, last) },
      { name: "overlapping", send: pieces(5, first, { ...last, first: last.first - 8 }) },
      { name: "the last alone", send: pieces(6, last) },
      // With IPv6 a fragment header that says nothing, with IPv4 no fragment at all.
      { name: "the only one", send: pieces(7, { ...last, first: 0 }) },
      { name: "end", host: end },
    ],
  };
}

/** A datagram and a ping of each family. */
export const fragmentsSuite: Suite = {
  name: "fragments",
  options: [],
  scripts: [
    packet(
      "UDP over IPv4",
      udp(to4, 41051, 7141, text),
      [{ act: "bind", id: "echo", address: "127.0.0.1", port: 7141, echo: true }],
      [{ act: "close", id: "echo" }],
    ),
    packet(
      "UDP over IPv6",
      udp(to6, 41052, 7142, text),
      [{ act: "bind", id: "echo", address: "::1", port: 7142, echo: true }],
      [{ act: "close", id: "echo" }],
    ),
    packet("ping over IPv4", ping(to4, 21, 1, text), [], []),
    packet("ping over IPv6", ping(to6, 22, 1, text), [], []),
  ],
};
