// A tap in the host's namespace with an address on it, and the guest behind it, which gets its own by a script.

import type { Guest } from "./guest.ts";
import type { HostNamespace } from "./namespace.ts";

/** Kernel argument of a guest that is not to ask for an address. */
export const noDhcp = "nodhcp";

export const tapName = "guest0";
export const tapHost4 = "10.77.0.1";
export const tapHost6 = "fd77::1";
export const tapGuest4 = "10.77.0.2";
export const tapGuest6 = "fd77::2";

/** Makes an interface that stays, up, for anybody to open. */
export function makeTap(host: HostNamespace, name: string, mtu = 1500): void {
  host.run(["ip", "tuntap", "add", "dev", name, "mode", "tap"]);
  host.run(["ip", "link", "set", name, "mtu", String(mtu), "up"]);
}

/** Gives an interface of the host's the host's addresses. */
export function addressHost(host: HostNamespace, name: string): void {
  host.run(["ip", "addr", "add", `${tapHost4}/24`, "dev", name]);
  host.run(["ip", "addr", "add", `${tapHost6}/64`, "dev", name, "nodad"]);
}

/** Gives the guest its addresses, and waits until the host answers: an interface that was up before its user takes a moment. */
export async function addressGuest(guest: Guest, ip4: string = tapGuest4, ip6: string = tapGuest6): Promise<void> {
  await guest.must(`ip addr add ${ip4}/24 dev eth0
    ip -6 addr add ${ip6}/64 dev eth0
    for i in $(seq 20); do ping -c 1 -W 1 ${tapHost4} && ping6 -c 1 -W 1 ${tapHost6} && exit 0; done; exit 1`);
}
