/** A daemon whose host changes while it runs; for a test that made the namespaces. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ipv4Words } from "@passt-ts/address-map/address";
import { HostUdp } from "@passt-ts/backend-sockets/testing/host-sockets";
import { ip } from "@passt-ts/backend-sockets/testing/namespace";
import { type Advertisement, AskingGuest, type Offer, type Renewal } from "./asking-guest.ts";
import { Daemon } from "./daemon.ts";

/** What a guest was told before and after each change. */
export interface FollowReport {
  readonly offers: readonly Offer[];
  readonly advertisement: Advertisement;
  /** With address, gateway and name server given by options. */
  readonly fixed: readonly Offer[];
  /** Which of the host's resolvers answered. */
  readonly resolvers: readonly string[];
  /** The host was left without any network, then given another one. */
  readonly lost: readonly Offer[];
  readonly routerLifetimes: readonly number[];
  /** From no network at all to one. */
  readonly found: readonly Offer[];
  /** A guest with a lease asks for more time: of the host as it was, with another resolver, and elsewhere. */
  readonly renewals: readonly Renewal[];
  /** The same where options have given all that DHCP tells. */
  readonly fixedRenewal: Renewal;
  /** Where but a route to other guests is left of the host's network, and where its way out has no gateway. */
  readonly kept: readonly Offer[];
}

const RESOLV_CONF = "/etc/resolv.conf";
const HAS_CHANGED = "the host's network has changed";

const HOME = `
  addr add 192.0.2.2/24 dev uplink
  addr add 2001:db8:1::2/64 dev uplink nodad
  route add default via 192.0.2.1
  -6 route add default via 2001:db8:1::1`;

const AWAY = `
  addr add 198.51.100.2/24 dev uplink
  addr add 2001:db8:2::2/64 dev uplink nodad
  route add default via 198.51.100.1
  -6 route add default via 2001:db8:2::1`;

/** Addresses go, and the routes with them: of IPv4 by themselves. */
const leave = (): void => ip("addr flush dev uplink scope global\n-6 route flush exact default");

function resolveBy(...servers: string[]): void {
  writeFileSync(RESOLV_CONF, servers.map((server) => `nameserver ${server}\n`).join(""));
}

function setUp(): void {
  for (const name of ["all", "default"]) writeFileSync(`/proc/sys/net/ipv6/conf/${name}/disable_ipv6`, "0");
  ip(`link set lo up
    link add uplink type veth peer name router
    link set uplink up
    link set router up`);
}

/** A daemon, its guest, and how often the daemon has seen the host change. */
class Rig implements AsyncDisposable {
  readonly daemon: Daemon;
  readonly guest: AskingGuest;

  private constructor(daemon: Daemon) {
    this.daemon = daemon;
    this.guest = new AskingGuest(daemon.socketPath);
  }

  static async start(...args: string[]): Promise<Rig> {
    return new Rig(await new Daemon(args).ready());
  }

  /** Changes the host, and waits until the daemon goes by it: its log says something that `sign` holds for. */
  async change(how: () => void, sign: string): Promise<void> {
    const seen = this.daemon.log.length;
    how();
    const told = () =>
      this.daemon.log
        .slice(seen)
        .split("\n")
        .some((line) => line.includes(HAS_CHANGED) && line.includes(sign));
    await this.daemon.until(told, `"${sign}"`);
    // What the main thread logs it has handed on by then, and messages of a front-end come after that.
    this.guest.frontEnd.settle();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.guest[Symbol.dispose]();
    await this.daemon[Symbol.asyncDispose]();
  }
}

/** Asks again until the answer is another one, or the last one after a while. */
async function nextOffer(rig: Rig, last: Offer): Promise<Offer> {
  for (let attempt = 0; attempt < 50; attempt++) {
    const offer = rig.guest.discover();
    if (JSON.stringify(offer) !== JSON.stringify(last)) return offer;
    await Bun.sleep(20);
  }
  return last;
}

async function followAll(): Promise<Pick<FollowReport, "offers" | "advertisement">> {
  ip(HOME);
  resolveBy("192.0.2.53", "2001:db8:1::53");
  await using rig = await Rig.start();
  const before = rig.guest.discover();
  await rig.change(() => {
    leave();
    ip(AWAY);
    resolveBy("198.51.100.53", "2001:db8:2::53");
  }, "198.51.100.53; IPv6 2001:db8:2::2/64 via 2001:db8:2::1, name servers 2001:db8:2::53");
  let advertisement = rig.guest.advertisement();
  while (advertisement.nameServers.length < 2) advertisement = rig.guest.advertisement();
  return { offers: [before, await nextOffer(rig, before)], advertisement };
}

async function followNothing(): Promise<Offer[]> {
  leave();
  ip(HOME);
  resolveBy("192.0.2.53");
  await using rig = await Rig.start("-a", "10.0.0.2/24", "-g", "10.0.0.1", "-D", "10.0.0.53");
  const before = rig.guest.discover();
  // IPv6 was left open: by it the change shows.
  await rig.change(() => {
    leave();
    ip(AWAY);
    resolveBy("198.51.100.53");
  }, "IPv6 2001:db8:2::2/64");
  return [before, rig.guest.discover()];
}

/** A name server at 127.0.0.x that answers with x. */
class NameServer implements Disposable {
  readonly #socket: HostUdp;
  readonly #name: string;

  constructor(last: number) {
    this.#socket = new HostUdp(ipv4Words(0x7f000000 + last), 53);
    this.#name = `${last}`;
  }

  serve(): void {
    const question = this.#socket.receive();
    if (question === null) return;
    this.#socket.send(new TextEncoder().encode(this.#name), Uint32Array.from(question.address), question.port);
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
  }
}

async function followResolver(): Promise<string[]> {
  using first = new NameServer(53);
  using second = new NameServer(54);
  resolveBy("127.0.0.53");
  await using rig = await Rig.start("-4", "-a", "10.0.0.2/24", "-g", "10.0.0.1", "--dns-forward", "10.0.0.53");
  const resolve = (): string =>
    rig.guest.resolve(ipv4Words(0x0a000002), ipv4Words(0x0a000035), () => {
      first.serve();
      second.serve();
    });
  const answers = [resolve()];
  resolveBy("127.0.0.54");
  for (let attempt = 0; attempt < 100 && answers.at(-1) === answers[0]; attempt++) {
    await Bun.sleep(20);
    answers[1] = resolve();
  }
  return answers;
}

async function followLoss(): Promise<Pick<FollowReport, "lost" | "routerLifetimes">> {
  leave();
  ip(HOME);
  resolveBy("192.0.2.53");
  await using rig = await Rig.start();
  const lost = [rig.guest.discover()];
  await rig.change(leave, "IPv6 2001:db8:1::2/64");
  const routerLifetimes = [rig.guest.advertisement().lifetimeSeconds];
  lost.push(rig.guest.discover());
  await rig.change(() => ip(AWAY), "IPv6 2001:db8:2::2/64");
  let advertisement = rig.guest.advertisement();
  while (advertisement.lifetimeSeconds === 0) advertisement = rig.guest.advertisement();
  routerLifetimes.push(advertisement.lifetimeSeconds);
  lost.push(await nextOffer(rig, lost[1]));
  return { lost, routerLifetimes };
}

async function followFromNothing(): Promise<Offer[]> {
  leave();
  resolveBy("192.0.2.53");
  await using rig = await Rig.start("-4");
  const before = rig.guest.discover();
  await rig.change(() => ip(HOME), "IPv4 192.0.2.2/24");
  return [before, await nextOffer(rig, before)];
}

async function followRenewals(): Promise<Pick<FollowReport, "renewals" | "fixedRenewal">> {
  const [home, gateway] = [0xc0000202, 0xc0000201];
  leave();
  ip(HOME);
  resolveBy("192.0.2.53");
  const given = ["-4", "-a", "192.0.2.2/24", "-g", "192.0.2.1", "-D", "10.0.0.53", "-S", "none"];
  await using fixed = await Rig.start(...given);
  await using rig = await Rig.start("-4");
  const renewals = [rig.guest.renew(home, gateway)];
  await rig.change(() => resolveBy("192.0.2.54"), "192.0.2.54");
  renewals.push(rig.guest.renew(home, gateway));
  await rig.change(() => {
    leave();
    ip(AWAY);
  }, "198.51.100.2/24");
  renewals.push(rig.guest.renew(home, gateway));
  return { renewals, fixedRenewal: fixed.guest.renew(home, gateway) };
}

async function keepLease(): Promise<Offer[]> {
  leave();
  ip(HOME);
  resolveBy("192.0.2.53");
  ip(
    "link add bridge type veth peer name port\naddr add 172.17.0.1/16 dev bridge\nlink set bridge up\nlink set port up",
  );
  await using rig = await Rig.start("-4");
  // What is seen of the resolver was seen of the network, too.
  await rig.change(() => {
    leave();
    resolveBy("192.0.2.54");
  }, "192.0.2.54");
  const kept = [rig.guest.discover()];
  await rig.change(() => {
    ip("route add default dev bridge");
    resolveBy("192.0.2.55");
  }, "192.0.2.55");
  kept.push(rig.guest.discover());
  ip("link del bridge");
  return kept;
}

setUp();
const folder = mkdtempSync(join(tmpdir(), "passt-ts-"));
const copy = join(folder, "resolv.conf");
writeFileSync(copy, "", { mode: 0o644 });
const mounted = Bun.spawnSync(["mount", "--bind", copy, RESOLV_CONF], { stderr: "pipe" });
if (mounted.exitCode !== 0) throw new Error(mounted.stderr.toString());
const report: FollowReport = {
  ...(await followAll()),
  fixed: await followNothing(),
  resolvers: await followResolver(),
  ...(await followLoss()),
  found: await followFromNothing(),
  ...(await followRenewals()),
  kept: await keepLease(),
};
rmSync(folder, { recursive: true });
process.stdout.write(JSON.stringify(report));
process.exit();
