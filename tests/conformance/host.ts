// The host that a daemon under test sees: a namespace with fixed addresses and link-layer addresses, fixed socket buffers, and a
// resolv.conf of its own, so that a record made on one machine holds on another.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { HostNamespace } from "../guests/namespace.ts";

export const hostMac = "02:00:5e:00:53:02";
export const host4 = "192.0.2.2";
export const gateway4 = "192.0.2.1";
export const host6 = "2001:db8::2";
export const gateway6 = "2001:db8::1";
export const hostLinkLocal = "fe80::2";
/** The daemon's own MAC address: the default of passt. */
export const ourMac = "9a:55:9a:55:9a:55";
export const guestMac = "52:54:00:00:00:01";
export const guestLinkLocal = "fe80::5054:ff:fe00:1";

/** What a host may lack: the gateway (by default it has one), the gateway's address in its default route, or all but loopback. */
export type HostKind = "gateway" | "no gateway" | "no next hop" | "no interface";

const resolvConf = `nameserver 198.51.100.53
nameserver 2001:db8:53::53
search example.test lab.example.test
`;

const layOut = `
set -e
ip link del uplink
ip link add uplink address ${hostMac} type veth peer name router
ip link set uplink addrgenmode none
ip link set router addrgenmode none
ip addr add ${host4}/24 dev uplink
ip addr add ${host6}/64 dev uplink nodad
ip addr add ${hostLinkLocal}/64 dev uplink nodad
ip link set uplink up
ip link set router up
ip route add default via ${gateway4}
ip -6 route add default via ${gateway6}
echo "4096 131072 6291456" > /proc/sys/net/ipv4/tcp_rmem
echo "4096 4194304 4194304" > /proc/sys/net/ipv4/tcp_wmem
echo 4 > /proc/sys/net/ipv4/tcp_syn_linear_timeouts 2>/dev/null || true
`;

const changes: Readonly<Record<HostKind, string>> = {
  gateway: "",
  "no gateway": `ip route del default
ip -6 route del default
`,
  "no next hop": `ip route replace default dev uplink
ip -6 route del default
ip -6 route add default dev uplink
`,
  "no interface": `ip link del uplink
`,
};

/** What a record says about the host: the commands, and the name servers. */
export function hostSetUp(kind: HostKind = "gateway"): string[] {
  return [layOut, changes[kind], resolvConf].flatMap((text) => text.trim().split("\n")).filter((line) => line !== "");
}

export async function createHost(kind: HostKind = "gateway"): Promise<HostNamespace> {
  const host = await HostNamespace.create();
  try {
    host.run(["sh", "-c", layOut + changes[kind]]);
  } catch (error) {
    await host.close();
    throw error;
  }
  return host;
}

/** The command line that runs `command` with a resolv.conf of its own, which is put into `folder`. */
export function withResolvConf(folder: string, command: readonly string[]): string[] {
  const path = join(folder, "resolv.conf");
  writeFileSync(path, resolvConf);
  const script = `mount --bind ${path} "$(realpath /etc/resolv.conf)" && exec "$@"`;
  return ["unshare", "-m", "sh", "-c", script, "sh", ...command];
}
