import { openNamedTap } from "@passt-ts/backend-tap/tap-kinds";
import { interfaceHardwareAddress, interfaceMtu } from "@passt-ts/linux/interface-status";
import type { TapDevice } from "@passt-ts/linux/tap-device";
import { type BackendChoice, backendUsage } from "./backend-option.ts";

/** A tap that the main thread opened while it could, for the data plane. */
export interface OpenedTap {
  /** The data plane's from now on. */
  readonly fd: number;
  readonly interfaceName: string;
  /** In bytes; 0: it cannot be known, as the interface is in another network namespace. */
  readonly mtu: number;
}

/** Opens the tap of a back-end; null for one without. @throws UsageError when it cannot be opened. */
export function openTapOf({ name, tap }: BackendChoice): OpenedTap | null {
  if (tap === null) return null;
  const opened = backendUsage(() => openNamedTap(name));
  const mtu = mtuOf(opened);
  return { interfaceName: opened.name, mtu, fd: opened.take() };
}

function mtuOf(tap: TapDevice): number {
  const address = tap.hardwareAddress();
  const here = interfaceHardwareAddress(tap.name);
  // An interface of the same name may be another one: the tap's may be in another network namespace.
  if (address === null || here === null || !address.every((byte, i) => byte === here[i])) return 0;
  return Math.max(0, interfaceMtu(tap.name));
}
