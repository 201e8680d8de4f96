import { afterEach, expect, test } from "bun:test";
import type { ForwardSocket } from "@passt-ts/backend-sockets/listeners";
import { bindSocket, connectSocket, listenSocket, localAddress, openSocket } from "@passt-ts/linux/inet-socket";
import { closeFd } from "@passt-ts/linux/owned-fd";
import { SocketAddress } from "@passt-ts/linux/socket-address";
import { AF_INET, AF_INET6, SOCK_STREAM } from "@passt-ts/linux/socket-constants";
import { Errno } from "@passt-ts/linux/system-error";
import { openFileCount } from "@passt-ts/linux/testing/open-files";
import { parseAddress } from "./address-text.ts";
import { type Families, openForwards } from "./forward-sockets.ts";
import { type Forward, parseForwards } from "./forward-spec.ts";

const BOTH: Families = { ipv4: true, ipv6: true };
const EPHEMERAL = { first: 32768, last: 60999 };
const LOOPBACK4 = parseAddress("127.0.0.1", "");
const LOOPBACK6 = parseAddress("::1", "");

let opened: ForwardSocket[] = [];
const extra: number[] = [];
afterEach(() => {
  for (const { fd } of opened) closeFd(fd);
  for (const fd of extra.splice(0)) closeFd(fd);
  opened = [];
});

/** A port that listens on 127.0.0.1: taken. */
function takenPort(): number {
  const fd = openSocket(AF_INET, SOCK_STREAM);
  extra.push(fd);
  bindSocket(fd, new SocketAddress().set(LOOPBACK4, 0));
  listenSocket(fd, 1);
  return portOf(fd);
}

function portOf(fd: number): number {
  const local = new SocketAddress();
  localAddress(fd, local);
  return local.port;
}

/** A port that was free a moment ago. */
function freePort(): number {
  const port = takenPort();
  closeFd(extra.pop() as number);
  return port;
}

function isReached(address: Uint32Array, port: number): boolean {
  const fd = openSocket(address === LOOPBACK4 ? AF_INET : AF_INET6, SOCK_STREAM);
  extra.push(fd);
  const result = connectSocket(fd, new SocketAddress().set(address, port));
  return result === 0 || result === -Errno.EINPROGRESS;
}

const forwardsOf = (...texts: string[]): Forward[] => parseForwards("tcp", texts, EPHEMERAL);

test("a forward without address is one socket that both families reach", () => {
  const port = freePort();
  opened = openForwards(forwardsOf(`${port}:22`), BOTH);
  expect(opened).toMatchObject([{ protocol: "tcp", family: 6, targetPort: 22 }]);
  expect([isReached(LOOPBACK4, port), isReached(LOOPBACK6, port)]).toEqual([true, true]);
});

test.each([
  ["IPv4 only", { ipv4: true, ipv6: false }, 4, [true, false]],
  ["IPv6 only", { ipv4: false, ipv6: true }, 6, [false, true]],
] as const)("with %s the other family does not reach it", (_name, families, family, reached) => {
  const port = freePort();
  opened = openForwards(forwardsOf(String(port)), families);
  expect(opened.map((socket) => socket.family)).toEqual([family]);
  const tried: boolean[] = [LOOPBACK4, LOOPBACK6].map((address) => {
    const fd = openSocket(address === LOOPBACK4 ? AF_INET : AF_INET6, SOCK_STREAM);
    extra.push(fd);
    connectSocket(fd, new SocketAddress().set(address, port));
    // Loopback answers within the call, with a connection or a refusal.
    return connectSocket(fd, new SocketAddress().set(address, port)) !== -Errno.ECONNREFUSED;
  });
  expect(tried).toEqual([...reached]);
});

test("bound to one address, TCP and UDP", () => {
  const port = freePort();
  const udp = parseForwards("udp", [`127.0.0.1/${port}:53`], EPHEMERAL);
  opened = openForwards([...forwardsOf(`[::1]/${port}`), ...udp], BOTH);
  expect(opened).toMatchObject([
    { protocol: "tcp", family: 6, targetPort: port },
    { protocol: "udp", family: 4, targetPort: 53 },
  ]);
  expect(opened.map(({ fd }) => portOf(fd))).toEqual([port, port]);
});

test("a port asked for by number that is taken: refused with one line, and what was opened is closed again", () => {
  const port = takenPort();
  const before = openFileCount();
  const forwards = forwardsOf(`127.0.0.1/${freePort()}`, `127.0.0.1/${port}`).sort((a) => (a.port === port ? 1 : -1));
  expect(() => openForwards(forwards, BOTH)).toThrow(
    new RegExp(`^-t: cannot listen for 127\\.0\\.0\\.1/${port}:${port}: [^\\n]+$`),
  );
  expect(openFileCount()).toBe(before);
});

test("of ports that are best effort those that are taken are passed over; none at all is refused", () => {
  const taken = takenPort();
  const free = freePort();
  const one = (port: number): Forward => ({ ...forwardsOf(`127.0.0.1/${port}`)[0], bestEffort: true });
  opened = openForwards([one(taken), one(free)], BOTH);
  expect(opened.map(({ targetPort }) => targetPort)).toEqual([free]);
  expect(() => openForwards([one(taken)], BOTH)).toThrow("-t: no port could be bound");
  expect(openForwards([], BOTH)).toEqual([]);
});

test("an interface that does not exist is named in the refusal", () => {
  expect(() => openForwards(forwardsOf(`127.0.0.1%nonesuch/${freePort()}`), BOTH)).toThrow(/nonesuch/);
});

test("a forward of a family that is off is refused", () => {
  expect(() => openForwards(forwardsOf(`127.0.0.1/${freePort()}`), { ipv4: false, ipv6: true })).toThrow(/^-t: /);
});

test("with --freebind a forward listens at an address that the host does not have, without it is refused", () => {
  for (const text of ["192.0.2.77/0", "[2001:db8:77::1]/0"]) {
    const forward = { ...forwardsOf(text.replace("/0", "/1"))[0], port: freePort() };
    expect(() => openForwards([forward], BOTH)).toThrow(/^-t: cannot listen for /);
    opened = openForwards([forward], { ...BOTH, freebind: true });
    expect(opened.map(({ fd }) => portOf(fd))).toEqual([forward.port]);
    for (const { fd } of opened.splice(0)) closeFd(fd);
  }
});

test("the address behind the guest goes with the socket", () => {
  opened = openForwards(forwardsOf(`127.0.0.1/${freePort()}:10.0.0.5/80`), BOTH);
  expect(opened).toMatchObject([{ targetPort: 80, targetAddress: parseAddress("10.0.0.5", "") }]);
});
