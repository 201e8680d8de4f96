import { formatAddress, isIpv4 } from "./address-text.ts";
import type { Forward } from "./forward-spec.ts";

/** Ports of the host that follow each other, and lead to ports that do. */
interface Run {
  readonly first: Forward;
  last: Forward;
}

/** A line for each range of forwarded ports, as its user could have written it. */
export function forwardLines(forwards: readonly Forward[]): string[] {
  return runsOf(forwards).map(({ first, last }) => {
    const name = first.protocol.toUpperCase();
    const free = first.bestEffort ? ", those that are free" : "";
    return `forward: ${name} ${bindingOf(first)}${range(first.port, last.port)} to ${targetOf(first, last)}${free}`;
  });
}

function runsOf(forwards: readonly Forward[]): readonly Run[] {
  const runs: Run[] = [];
  // Ports are listened at in several ways, and forwards come in the order of their ports.
  const open = new Map<string, Run>();
  for (const forward of forwards) {
    const key = `${forward.protocol} ${bindingOf(forward)} ${forward.targetAddress?.join()} ${forward.bestEffort}`;
    const run = open.get(key);
    const isNext = run?.last.port === forward.port - 1 && run.last.targetPort === forward.targetPort - 1;
    if (run !== undefined && isNext) run.last = forward;
    else {
      const begun = { first: forward, last: forward };
      open.set(key, begun);
      runs.push(begun);
    }
  }
  return runs;
}

function bindingOf({ address, interfaceName }: Forward): string {
  const host = address === null ? "" : bracketed(address);
  const device = interfaceName === null ? "" : `%${interfaceName}`;
  return `${host}${device}${host + device === "" ? "" : "/"}`;
}

function targetOf(first: Forward, last: Forward): string {
  const address = first.targetAddress === null ? "" : `${bracketed(first.targetAddress)}/`;
  return `${address}${range(first.targetPort, last.targetPort)}`;
}

const range = (first: number, last: number): string => (first === last ? `${first}` : `${first}-${last}`);

const bracketed = (address: Uint32Array): string =>
  isIpv4(address) ? formatAddress(address) : `[${formatAddress(address)}]`;
