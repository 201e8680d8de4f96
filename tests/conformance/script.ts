// What a script is: data that the player (player.ts) carries out against a daemon, whoever wrote that.

import type { HostKind } from "./host.ts";

/** What the frames of the daemon told us, for frames of ours that must answer them. */
export interface Learned {
  /** The daemon's initial sequence number towards a port of the guest. @throws Error while no SYN came from there. */
  isn(daemonPort: number, guestPort: number): number;
  /** The data of the server identifier that the daemon last sent in DHCPv6. @throws Error before. */
  serverId(): Uint8Array;
}

/** A frame to send: its bytes, or how they follow from what the daemon sent before. */
export type FrameToSend = Uint8Array | ((learned: Learned) => Uint8Array);

/** What host-peer.ts does on the host; `id` names a socket. Addresses and ports are texts such as "127.0.0.1" and numbers. */
export type HostAction =
  /** TCP: accepts connections, one at a time; the connection gets the listener's name. */
  | { readonly act: "listen"; readonly id: string; readonly address: string; readonly port: number }
  /** TCP from a fixed port. */
  | {
      readonly act: "connect";
      readonly id: string;
      readonly address: string;
      readonly port: number;
      readonly localPort: number;
    }
  | { readonly act: "write"; readonly id: string; readonly text: string }
  /** Sends a FIN. */
  | { readonly act: "end"; readonly id: string }
  /** Sends a RST. */
  | { readonly act: "reset"; readonly id: string }
  /** UDP: binds, and reports what comes; with `echo` sends it back. */
  | {
      readonly act: "bind";
      readonly id: string;
      readonly address: string;
      readonly port: number;
      readonly echo?: boolean;
    }
  | {
      readonly act: "send";
      readonly id: string;
      readonly address: string;
      readonly port: number;
      readonly text: string;
    }
  /** Closes whatever it is. */
  | { readonly act: "close"; readonly id: string };

export interface Answer {
  /** How many frames must have come in the step. */
  readonly after: number;
  readonly send: readonly FrameToSend[];
}

/** One step: what happens first on the host, then which frames go out as one batch, and then what comes back is collected. */
export interface Step {
  readonly name: string;
  readonly host?: readonly HostAction[];
  readonly send?: readonly FrameToSend[];
  /** What the guest sends as soon as frames have come, as a guest does that acknowledges: the daemon's timers do not run meanwhile. */
  readonly answers?: readonly Answer[];
  /** Collect for exactly this time, and compare when the frames came too. Otherwise until nothing comes any more. */
  readonly collectMs?: number;
  /** How far apart those times may be. Default 450 ms: a busy machine is late. */
  readonly toleranceMs?: number;
}

/** Steps that follow one another on one link. */
export interface Script {
  readonly name: string;
  readonly steps: readonly Step[];
}

/** Scripts that one daemon plays, in order, with one front-end. */
export interface Suite {
  /** Also the name of the record. */
  readonly name: string;
  /** The daemon's options, beside the socket and the foreground. */
  readonly options: readonly string[];
  /** The host that the daemon sees. Default: one with a gateway. */
  readonly host?: HostKind;
  /** Bytes of a receive buffer, the virtio-net header included. Default: any frame fits. */
  readonly bufferBytes?: number;
  readonly scripts: readonly Script[];
}

/** The scripts of a suite behind the one that all begin with: the guest says nothing, once its rings are ready. */
export function scriptsOf(suite: Suite): readonly Script[] {
  return [{ name: "start", steps: [{ name: "the rings are ready" }] }, ...suite.scripts];
}
