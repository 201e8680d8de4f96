// Our daemon on a tap beside our daemon with sockets: what a guest loses or wins when its frames pass as they are. Both are ours, so
// each has rows of its own; their turns alternate. Then the same tap beside QEMU's own.

import { gateway4 } from "../guests/namespace.ts";
import { addressGuest, addressHost, makeTap, noDhcp, tapHost4, tapName } from "../guests/tap-link.ts";
import { rowsBeside, type Side, type Sides, streamsBeside } from "./beside.ts";
import { Contestant, type Link } from "./contestant.ts";
import { modes, transactions } from "./latency.ts";
import { inTurns, type Plan } from "./plan.ts";
import { qemuTapRows } from "./qemu-tap.ts";
import type { Row } from "./report.ts";

/** The MTU that a guest is told by default with sockets, and the usual one of an interface. */
const mtus = [65_520, 1500] as const;

const tapLink = (mtu: number): Link => ({
  arguments: [noDhcp],
  prepare(host) {
    makeTap(host, tapName, mtu);
    addressHost(host, tapName);
  },
  settle: (guest) => addressGuest(guest),
});

/** A guest on each, both at one MTU; gone at the end. */
class TapAndSockets implements AsyncDisposable {
  readonly sides: Sides;
  readonly #tap: Contestant;
  readonly #sockets: Contestant;

  private constructor(tap: Contestant, sockets: Contestant) {
    this.#tap = tap;
    this.#sockets = sockets;
    this.sides = [sideOf(tap, tapHost4), sideOf(sockets, gateway4)];
  }

  static async start({ kernel, placement }: Plan, mtu: number): Promise<TapAndSockets> {
    const options = ["-m", String(mtu)];
    const onTap = [...options, "--backend", `tap:${tapName}`];
    const tap = await Contestant.start({ name: "tap", command: null }, kernel, onTap, placement, tapLink(mtu));
    try {
      const sockets = await Contestant.start({ name: "sockets", command: null }, kernel, options, placement);
      return new TapAndSockets(tap, sockets);
    } catch (error) {
      await tap[Symbol.asyncDispose]();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tap[Symbol.asyncDispose]();
    await this.#sockets[Symbol.asyncDispose]();
  }
}

const sideOf = (contestant: Contestant, address: string): Side => ({
  name: contestant.name,
  guest: contestant.guest,
  cpuSeconds: () => contestant.cpuSeconds(),
  address,
});

async function latencies(plan: Plan, sides: Sides): Promise<Row[]> {
  const rows: Row[] = [];
  for (const mode of modes) {
    const samples = await inTurns(plan.pairs, sides, (side) => transactions(side, mode, plan.seconds, side.address));
    rows.push(...rowsBeside(sides, { name: mode, unit: "1/s", higherIsBetter: true }, samples));
  }
  return rows;
}

/** Streams each way at two MTUs, transactions at the smaller one, and streams beside QEMU's own tap. */
export async function tapRows(plan: Plan): Promise<Row[]> {
  const rows: Row[] = [];
  for (const mtu of mtus) {
    await using both = await TapAndSockets.start(plan, mtu);
    rows.push(...(await streamsBeside(plan, both.sides, mtu)));
    if (mtu === mtus[1]) rows.push(...(await latencies(plan, both.sides)));
  }
  return [...rows, ...(await qemuTapRows(plan))];
}
