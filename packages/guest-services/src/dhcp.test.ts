import { describe, expect, test } from "bun:test";
import { bytesOf, hexOf } from "@passt-ts/wire/testing/frame-bytes";
import { DHCP_REPLY_BYTES_MAX, DhcpCounter, DhcpServer } from "./dhcp.ts";
import type { DhcpConfig } from "./dhcp-config.ts";
import { ask, udp4 } from "./testing/ask.ts";

const plain = (text: string) => text.replaceAll(/[^0-9a-f]/g, "");
const ipv4 = (address: number) => Uint32Array.of(0, 0, 0xffff, address);

const bare: DhcpConfig = {
  ourMac: bytesOf("9a559a559a55"),
  serverAddress: ipv4(0xc000_0201),
  guestAddress: ipv4(0xc000_0202),
  prefixLength: 24,
};
const full: DhcpConfig = {
  ...bare,
  router: ipv4(0xc000_0201),
  dnsServers: [ipv4(0xc000_0235), ipv4(0x0808_0808)],
  searchDomains: ["example.org", "sub.example.org"],
  mtu: 65_520,
  hostName: "vm",
  fqdn: "vm.example.org",
};

/** A request's fixed part, with the broadcast flag and ciaddr to choose, and the options behind the cookie. */
function message(options: string, flags = "0000", clientAddress = "00000000"): string {
  return `01 01 06 00 11223344 0005 ${flags} ${clientAddress} ${"00".repeat(12)} 020000000001 ${"00".repeat(202)}
    63825363 ${options} ff`;
}

const request = (options: string, flags?: string, clientAddress?: string) =>
  udp4(clientAddress ?? "00000000", "ffffffff", "0044 0043", message(options, flags, clientAddress));

/** The reply to expect, checksums as zeros: to whom, ciaddr, yiaddr, flags, options; at least 300 bytes. */
function reply(
  options: string,
  { to = "c0000202", client = "00000000", your = "c0000202", flags = "0000", pad = true } = {},
): string {
  const fixed = `02 01 06 00 11223344 0000 ${flags} ${client} ${your} 00000000 00000000 020000000001 ${"00".repeat(202)}`;
  const payload = plain(`${fixed} 63825363 ${options} ff`).padEnd(pad ? 600 : 0, "0");
  const length = payload.length / 2;
  const hex16 = (value: number) => value.toString(16).padStart(4, "0");
  return plain(
    `020000000001 9a559a559a55 0800 4500 ${hex16(28 + length)} 0000 4000 ff 11 0000 c0000201 ${to}
     0043 0044 ${hex16(8 + length)} 0000 ${payload}`,
  );
}

/** The frame with the IPv4 and UDP checksums, which `ask` has verified, as zeros. */
const withoutSums = (frame: string) => `${frame.slice(0, 48)}0000${frame.slice(52, 80)}0000${frame.slice(84)}`;
const answer = (service: DhcpServer, frame: Uint8Array) => {
  const hex = ask(service, frame);
  return hex === "" ? "" : withoutSums(hex);
};

const LEASE = "33 04 ffffffff";
const SERVER = "36 04 c0000201";
const MASK = "01 04 ffffff00";
const REFUSAL = `38 22 ${hexOf(new TextEncoder().encode("that address is not to be had here"))}`;
const type = (value: number) => `35 01 0${value}`;

describe("what is answered", () => {
  test("DISCOVER: an offer", () => {
    const service = new DhcpServer(bare);
    expect(answer(service, request(type(1)))).toBe(reply(`${MASK} ${LEASE} ${type(2)} ${SERVER}`));
    expect(service.counters[DhcpCounter.offers]).toBe(1);
  });

  test("DISCOVER with rapid commit: an acknowledgment that says so", () => {
    const service = new DhcpServer(bare);
    const expected = reply(`${MASK} ${LEASE} ${type(5)} ${SERVER} 50 00`);
    expect(answer(service, request(`${type(1)} 50 00`))).toBe(expected);
    expect(service.counters[DhcpCounter.acknowledgments]).toBe(1);
  });

  test.each([
    ["selecting", `${type(3)} 36 04 c0000201 32 04 c0000202`, undefined],
    ["rebooting", `${type(3)} 32 04 c0000202`, undefined],
    ["renewing", type(3), "c0000202"],
    ["rapid commit, which counts in DISCOVER only", `${type(3)} 32 04 c0000202 50 00`, undefined],
  ])("REQUEST, %s: an acknowledgment", (_name, options, client) => {
    const expected = reply(`${MASK} ${LEASE} ${type(5)} ${SERVER}`, client === undefined ? {} : { client });
    expect(answer(new DhcpServer(bare), request(options, "0000", client))).toBe(expected);
  });

  test.each([
    ["selecting", `${type(3)} 36 04 c0000201 32 04 c0000209`, undefined],
    ["rebooting", `${type(3)} 32 04 0a000001`, undefined],
    ["renewing", type(3), "c0000209"],
  ])("REQUEST for another address, %s: refused, by broadcast", (_name, options, client) => {
    const service = new DhcpServer(full);
    const expected = reply(`${type(6)} ${SERVER} ${REFUSAL}`, { to: "ffffffff", your: "00000000" });
    expect(answer(service, request(`${options} 37 02 01 03`, "0000", client))).toBe(expected);
    expect(service.counters[DhcpCounter.refusals]).toBe(1);
  });

  test("INFORM: an acknowledgment without a lease, to the address the client has", () => {
    const expected = (client: string) =>
      reply(`${MASK} ${type(5)} ${SERVER}`, { to: client, client, your: "00000000" });
    expect(answer(new DhcpServer(bare), request(type(8), "0000", "c0000207"))).toBe(expected("c0000207"));
    const nameless = udp4("c0000208", "ffffffff", "0044 0043", message(type(8)));
    expect(answer(new DhcpServer(bare), nameless)).toBe(expected("c0000208").replace("0000c0000208", "000000000000"));
  });

  test("BOOTP, with cookie and without: a reply without message type", () => {
    const service = new DhcpServer(bare);
    expect(answer(service, request(""))).toBe(reply(`${MASK} ${LEASE} ${SERVER}`));
    const plainBootp = udp4("00000000", "ffffffff", "0044 0043", message("").replace("63825363", "00000000"));
    expect(answer(service, plainBootp)).toBe(reply(`${MASK} ${LEASE} ${SERVER}`));
    expect(service.counters[DhcpCounter.bootpReplies]).toBe(2);
  });

  test.each([
    ["REQUEST to another server", request(`${type(3)} 36 04 c0000209 32 04 c0000202`), "otherServer"],
    ["DECLINE", request(`${type(4)} 32 04 c0000202`), "declines"],
    ["RELEASE", request(type(7), "0000", "c0000202"), "releases"],
    ["DECLINE to another server", request(`${type(4)} 32 04 c0000202 36 04 c0000209`), "otherServer"],
    ["RELEASE to another server", request(`${type(7)} 36 04 c0000209`, "0000", "c0000202"), "otherServer"],
    ["an unknown message type", request(type(9)), "ignored"],
    ["an empty message type", request("35 00"), "ignored"],
    ["another port", udp4("00000000", "ffffffff", "0044 0045", message(type(1))), "ignored"],
    ["a reply", udp4("00000000", "ffffffff", "0044 0043", message(type(1)).replace("01 01", "02 01")), "malformed"],
    ["an option behind the end", request(`${type(1)} 0c 09`), "malformed"],
    ["half a message", udp4("00000000", "ffffffff", "0044 0043", message("").slice(0, 300)), "malformed"],
  ] as const)("%s: no reply, counted", (_name, frame, counter) => {
    const service = new DhcpServer(bare);
    expect(answer(service, frame)).toBe("");
    expect(service.counters[DhcpCounter[counter]]).toBe(1);
  });
});

describe("where the reply goes", () => {
  test("to everybody when the client asks for it", () => {
    const expected = reply(`${MASK} ${LEASE} ${type(2)} ${SERVER}`, { to: "ffffffff", flags: "8000" });
    expect(answer(new DhcpServer(bare), request(type(1), "8000"))).toBe(expected);
  });

  test("to the client that has its address, whatever it asks for", () => {
    const options = { flags: "8000", client: "c0000202" };
    const expected = reply(`${MASK} ${LEASE} ${type(5)} ${SERVER}`, options);
    expect(answer(new DhcpServer(bare), request(type(3), "8000", "c0000202"))).toBe(expected);
  });
});

describe("options", () => {
  const router = "03 04 c0000201";
  const dns = "06 08 c0000235 08080808";
  const name = "0c 02 766d";
  const mtu = "1a 02 fff0";
  const fqdn = "51 13 04 ff ff 02766d 076578616d706c65 036f7267 00";
  const search = "77 13 076578616d706c65 036f7267 00 03737562 c000";

  test("without a parameter list: in ascending order", () => {
    const options = `${MASK} ${router} ${dns} ${name} ${mtu} ${LEASE} ${type(2)} ${SERVER} ${fqdn} ${search}`;
    expect(answer(new DhcpServer(full), request(type(1)))).toBe(reply(options, { pad: false }));
  });

  test("with one: the message type, what was asked for in its order, the others", () => {
    const options = `${type(2)} ${mtu} ${search} ${router} ${MASK} ${dns} ${name} ${LEASE} ${SERVER} ${fqdn}`;
    const asked = request(`${type(1)} 37 07 1a 77 2a 03 1a 00 ff`);
    expect(answer(new DhcpServer(full), asked)).toBe(reply(options, { pad: false }));
  });

  test("a message type that was asked for stands where it was asked for", () => {
    const options = `${LEASE} ${type(5)} ${MASK} ${SERVER}`;
    expect(answer(new DhcpServer(bare), request(`${type(3)} 37 02 33 35`))).toBe(reply(options));
  });

  test("a router off the subnet comes with its routes", () => {
    const service = new DhcpServer({ ...bare, prefixLength: 32, router: ipv4(0x0a00_0001) });
    const routes = "79 0e 20 0a000001 00000000 00 0a000001";
    const options = `01 04 ffffffff 03 04 0a000001 ${LEASE} ${type(2)} ${SERVER} ${routes}`;
    expect(answer(service, request(type(1)))).toBe(reply(options));
  });

  test("a reply is no longer than the client takes: long names are left out", () => {
    const searchDomains = ["a", "b", "c", "d", "e"].map((label) => `${label.repeat(45)}.${label}`);
    const config = { ...full, searchDomains, fqdn: `${"f".repeat(60)}.${"g".repeat(60)}.${"h".repeat(60)}` };
    const service = new DhcpServer(config);
    const normal = ask(service, request(type(1))).length / 2;
    expect(normal).toBeLessThanOrEqual(14 + 576);
    expect(normal).toBeGreaterThan(14 + 450);
    const large = ask(service, request(`${type(1)} 39 02 ffff`)).length / 2;
    expect(large).toBeGreaterThan(14 + 700);
    expect(large).toBeLessThanOrEqual(DHCP_REPLY_BYTES_MAX);
    expect(ask(service, request(`${type(1)} 39 02 0001`)).length / 2).toBe(normal);
  });

  test.each([
    ["an acknowledgment", `${type(3)} 32 04 c0000202`, `${MASK} ${LEASE} ${type(5)} ${SERVER}`, {}],
    ["a refusal", `${type(3)} 32 04 c0000209`, `${type(6)} ${SERVER} ${REFUSAL}`, { to: "ffffffff", your: "00000000" }],
  ])("%s repeats the client's identifier (RFC 6842)", (_name, asked, options, how) => {
    const id = "3d 07 01020000000001";
    expect(answer(new DhcpServer(bare), request(`${asked} ${id}`))).toBe(reply(`${options} ${id}`, how));
    // Where it was asked for, and once.
    const listed = answer(new DhcpServer(bare), request(`${asked} 37 03 35 3d 3d ${id}`));
    const rest = options.replace(/35 01 0\d ?/, "");
    expect(listed).toBe(reply(`${options.match(/35 01 0\d/)?.[0]} ${id} ${rest}`, how));
  });

  test("long names give way to the client's identifier, and it gives way to what is needed", () => {
    const service = new DhcpServer({ ...full, hostName: "h".repeat(200) });
    const id = `3d b4 ${"ab".repeat(180)}`;
    const hex = ask(service, request(`${type(1)} ${id}`));
    expect(hex).toContain(plain(id));
    expect(hex).not.toContain("0cc8");
    expect(hex.length / 2).toBeLessThanOrEqual(14 + 576);
    const servers = Array.from({ length: 60 }, () => ipv4(0x0808_0808));
    const crowded = ask(new DhcpServer({ ...full, dnsServers: servers }), request(`${type(1)} ${id}`));
    expect(crowded).not.toContain(plain(id));
    expect(crowded).toContain(`06f0${"08080808".repeat(60)}`);
    expect(crowded.length / 2).toBeLessThanOrEqual(14 + 576);
  });

  test("names behind the client's identifier get what room it left", () => {
    const service = new DhcpServer({
      ...full,
      hostName: "",
      fqdn: "",
      searchDomains: [`${"s".repeat(60)}.example.org`],
    });
    const hex = ask(service, request(`${type(1)} 3d 64 ${"ab".repeat(100)}`));
    expect(hex).toContain("ab".repeat(100));
    expect(hex).toContain("73".repeat(60));
  });

  test("RFC 3442: a route is its prefix length, the significant bytes of its target, its router", () => {
    const service = new DhcpServer({ ...bare, router: ipv4(0x0a00_0001) });
    expect(ask(service, request(type(1)))).toContain("790e200a00000100000000000a000001");
  });

  test("another lease time", () => {
    const service = new DhcpServer({ ...bare, leaseSeconds: 3600 });
    expect(answer(service, request(type(1)))).toBe(reply(`${MASK} 33 04 00000e10 ${type(2)} ${SERVER}`));
  });
});

test("another configuration: the next renewal is refused, the next discovery gets the new address", () => {
  const service = new DhcpServer(bare);
  service.configure({ ...bare, guestAddress: ipv4(0xc000_0209) });
  service.counters.fill(0);
  expect(answer(service, request(type(3), "0000", "c0000202"))).not.toBe("");
  expect(service.counters[DhcpCounter.refusals]).toBe(1);
  const expected = reply(`${MASK} ${LEASE} ${type(2)} ${SERVER}`, { to: "c0000209", your: "c0000209" });
  expect(answer(service, request(type(1)))).toBe(expected);
});

test("with another gateway, too: who renews hears the refusal from the server that it asked, by address", () => {
  const service = new DhcpServer(full);
  const [guestAddress, gateway] = [ipv4(0xc633_6402), ipv4(0xc633_6401)];
  service.configure({ ...full, guestAddress, serverAddress: gateway, router: gateway });
  const renewal = udp4("c0000202", "c0000201", "0044 0043", message(type(3), "0000", "c0000202"));
  expect(answer(service, renewal)).toBe(reply(`${type(6)} ${SERVER} ${REFUSAL}`, { to: "ffffffff", your: "00000000" }));
  // Nobody is asked who is still to be found, or found again.
  expect(answer(service, request(type(3), "0000", "c0000202"))).toContain("3604c6336401");
  const offer = answer(service, request(type(1)));
  expect([offer.includes("3604c6336401"), offer.includes("3304ffffffff")]).toEqual([true, true]);
});

test.each([
  { prefixLength: 33 },
  { prefixLength: -1 },
  { mtu: 65_536 },
  { mtu: 1.5 },
  { leaseSeconds: 0 },
  { leaseSeconds: 2 ** 32 },
  { hostName: "a b" },
  { hostName: "x".repeat(256) },
  { fqdn: "a..b" },
])("%p is refused, and what was configured before stays", (change) => {
  const service = new DhcpServer(bare);
  const before = ask(service, request(type(1)));
  expect(() => service.configure({ ...bare, ...change })).toThrow();
  expect(ask(service, request(type(1)))).toBe(before);
});
