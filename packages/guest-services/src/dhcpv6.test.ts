import { describe, expect, test } from "bun:test";
import { bytesOf } from "@passt-ts/wire/testing/frame-bytes";
import { DHCPV6_REPLY_BYTES_MAX, Dhcpv6Server } from "./dhcpv6.ts";
import type { Dhcpv6Config } from "./dhcpv6-config.ts";
import { Dhcpv6Counter } from "./dhcpv6-counter.ts";
import { ask, udp6 } from "./testing/ask.ts";

const plain = (text: string) => text.replaceAll(/[^0-9a-f]/g, "");
const hex16 = (value: number) => value.toString(16).padStart(4, "0");

const GUEST_LL = "fe80000000000000 0000000000000099";
const OUR_LL = "fe80000000000000 0000000000000001";
const ALL_SERVERS = "ff02000000000000 0000000000010002";
const ADDRESS = "20010db800000000 0000000000000002";
const NEIGHBOR = "20010db800000000 0000000000000003";
const ELSEWHERE = "20010db800000001 0000000000000002";

const bare: Dhcpv6Config = {
  ourMac: bytesOf("9a559a559a55"),
  ourLinkLocal: Uint32Array.of(0xfe80_0000, 0, 0, 1),
  guestAddress: Uint32Array.of(0x2001_0db8, 0, 0, 2),
  duidSeconds: 0x3015_0abc,
};

const CLIENT = "0001 000a 00030001020000000001";
const SERVER = "0002 000e 00010001 30150abc 9a559a559a55";
const OTHER_SERVER = "0002 000e 00010001 30150abc 9a559a559a56";
const FOREVER = "ffffffff ffffffff";

const option = (code: string, data: string) => `${code} ${hex16(plain(data).length / 2)} ${data}`;
const address = (value: string, lifetimes = FOREVER) => option("0005", `${value} ${lifetimes}`);
const status = (code: string, text: string) =>
  option("000d", code + Array.from(text, (character) => character.charCodeAt(0).toString(16)).join(""));
const ia = (inner: string, times = FOREVER, identifier = "deadbeef") =>
  option("0003", `${identifier} ${times} ${inner}`);
const asked = (inner = "") => ia(inner, "00000000 00000000");

const request = (type: string, options: string) =>
  udp6(GUEST_LL, ALL_SERVERS, "0222 0223", `${type} c0ffee ${options}`);

/** The reply to expect: the flow label is the low 20 bits of the transaction, the UDP checksum, which `ask` has verified, as zeros. */
function reply(type: string, options: string): string {
  const payload = plain(`${type} c0ffee ${options}`);
  const length = hex16(8 + payload.length / 2);
  return plain(
    `020000000001 9a559a559a55 86dd 6000ffee ${length} 11 ff ${OUR_LL} ${GUEST_LL} 0223 0222 ${length} 0000 ${payload}`,
  );
}

function answer(service: Dhcpv6Server, frame: Uint8Array): string {
  const hex = ask(service, frame);
  return hex === "" ? "" : `${hex.slice(0, 120)}0000${hex.slice(124)}`;
}

describe("what is answered", () => {
  test("SOLICIT: an advertisement, whatever address the client hints at", () => {
    const service = new Dhcpv6Server(bare);
    const options = `${SERVER} ${ia(address(ADDRESS))} ${CLIENT}`;
    expect(answer(service, request("01", `${CLIENT} ${asked()}`))).toBe(reply("02", options));
    expect(answer(service, request("01", `${CLIENT} ${asked(address(NEIGHBOR))}`))).toBe(reply("02", options));
    expect([service.counters[Dhcpv6Counter.advertisements], service.counters[Dhcpv6Counter.leases]]).toEqual([2, 0]);
  });

  test("SOLICIT with rapid commit: a reply that says so", () => {
    const options = `${SERVER} ${ia(address(ADDRESS))} ${CLIENT} 000e 0000`;
    expect(answer(new Dhcpv6Server(bare), request("01", `000e 0000 ${CLIENT} ${asked()}`))).toBe(reply("07", options));
  });

  test.each([
    ["REQUEST", "03", SERVER],
    ["RENEW", "05", SERVER],
    ["REBIND", "06", ""],
  ])("%s for the address there is, or for any: a reply", (_name, type, server) => {
    const service = new Dhcpv6Server(bare);
    const options = `${SERVER} ${ia(address(ADDRESS))} ${CLIENT}`;
    expect(answer(service, request(type, `${CLIENT} ${server} ${asked(address(ADDRESS))}`))).toBe(reply("07", options));
    expect(answer(service, request(type, `${CLIENT} ${server} ${asked()}`))).toBe(reply("07", options));
    expect([service.counters[Dhcpv6Counter.replies], service.counters[Dhcpv6Counter.leases]]).toEqual([2, 2]);
  });

  test("REQUEST for another address: not on this link", () => {
    const refused = ia(status("0004", "address not on this link"), "00000000 00000000");
    const frame = request("03", `${CLIENT} ${SERVER} ${asked(`${address(ADDRESS)} ${address(NEIGHBOR)}`)}`);
    const service = new Dhcpv6Server(bare);
    expect(answer(service, frame)).toBe(reply("07", `${SERVER} ${refused} ${CLIENT}`));
    expect([service.counters[Dhcpv6Counter.replies], service.counters[Dhcpv6Counter.leases]]).toEqual([1, 0]);
  });

  test.each([
    ["RENEW", "05", SERVER],
    ["REBIND", "06", ""],
  ])("%s of another address: it is taken back, the right one comes with it", (_name, type, server) => {
    const options = ia(`${address(NEIGHBOR, "00000000 00000000")} ${address(ADDRESS)}`);
    const frame = request(type, `${CLIENT} ${server} ${asked(`${address(NEIGHBOR)} ${address(ADDRESS)}`)}`);
    expect(answer(new Dhcpv6Server(bare), frame)).toBe(reply("07", `${SERVER} ${options} ${CLIENT}`));
  });

  test.each([
    ["the address", address(ADDRESS), "0000"],
    ["another one with its prefix", address(NEIGHBOR), "0000"],
    ["one of another link", `${address(ADDRESS)} ${address(ELSEWHERE)}`, "0004"],
  ])("CONFIRM of %s", (_name, addresses, code) => {
    const frame = request("04", `${CLIENT} ${asked(addresses)}`);
    expect(answer(new Dhcpv6Server(bare), frame)).toBe(reply("07", `${SERVER} ${CLIENT} ${status(code, "")}`));
  });

  test.each([
    ["RELEASE", "08", "releases"],
    ["DECLINE", "09", "declines"],
  ] as const)("%s: success", (_name, type, counter) => {
    const service = new Dhcpv6Server(bare);
    const frame = request(type, `${CLIENT} ${SERVER} ${asked(address(ADDRESS))}`);
    expect(answer(service, frame)).toBe(reply("07", `${SERVER} ${CLIENT} ${status("0000", "")}`));
    expect(service.counters[Dhcpv6Counter[counter]]).toBe(1);
  });

  test.each([
    ["RELEASE", "08"],
    ["DECLINE", "09"],
  ])("%s of what nobody leased: no binding, for each association", (_name, type) => {
    const none = status("0003", "nothing leased here");
    const prefix = option("0019", "00000004 00000000 00000000");
    const frame = request(
      type,
      `${CLIENT} ${SERVER} ${ia(address(NEIGHBOR), FOREVER, "00000001")} ${asked(address(ADDRESS))}
       ${option("0004", "00000003")} ${prefix} ${ia(address(ADDRESS), FOREVER, "00000005")}`,
    );
    const options = `${SERVER} ${ia(none, "00000000 00000000", "00000001")} ${option("0004", `00000003 ${none}`)}
      ${option("0019", `00000004 00000000 00000000 ${none}`)} ${ia(none, "00000000 00000000", "00000005")}
      ${CLIENT} ${status("0000", "")}`;
    expect(answer(new Dhcpv6Server(bare), frame)).toBe(reply("07", options));
  });

  test("REBIND needs no server identifier (RFC 8415 section 16.7); passt drops it without one", () => {
    const options = `${SERVER} ${ia(address(ADDRESS))} ${CLIENT}`;
    const frame = request("06", `${CLIENT} ${asked(address(ADDRESS))}`);
    expect(answer(new Dhcpv6Server(bare), frame)).toBe(reply("07", options));
  });

  test("INFORMATION-REQUEST: the settings, no address; the client need not name itself", () => {
    const dnsServers = [Uint32Array.of(0x2001_0db8, 0, 0, 0x53)];
    const service = new Dhcpv6Server({ ...bare, dnsServers });
    const dns = "0017 0010 20010db8000000000000000000000053";
    expect(answer(service, request("0b", "0006 0002 0017"))).toBe(reply("07", `${SERVER} ${dns}`));
    expect(answer(service, request("0b", `${CLIENT} ${SERVER}`))).toBe(reply("07", `${SERVER} ${CLIENT} ${dns}`));
  });

  test("only one association gets the address; temporary addresses and prefixes are not to be had", () => {
    const second = option("0003", `00000002 00000000 00000000 ${status("0002", "no further address here")}`);
    const temporary = option("0004", `00000003 ${status("0002", "no further address here")}`);
    const prefix = option("0019", `00000004 00000000 00000000 ${status("0006", "no prefix to delegate")}`);
    const frame = request(
      "01",
      `${option("0019", "00000004 00000000 00000000")} ${asked()} ${CLIENT}
       ${ia("", "00000000 00000000", "00000002")} ${option("0004", "00000003")} ${ia("", FOREVER, "00000005")}`,
    );
    const options = `${SERVER} ${prefix} ${ia(address(ADDRESS))} ${second} ${temporary} ${CLIENT}`;
    expect(answer(new Dhcpv6Server(bare), frame)).toBe(reply("02", options));
  });
});

test("everything there is to hand out, in order", () => {
  const service = new Dhcpv6Server({
    ...bare,
    dnsServers: [Uint32Array.of(0x2001_0db8, 0, 0, 0x53), Uint32Array.of(0xfe80_0000, 0, 0, 1)],
    searchDomains: ["a.org", "b.org"],
    fqdn: "vm.org",
  });
  const dns = `0017 0020 20010db8000000000000000000000053 ${OUR_LL}`;
  const search = "0018 000e 0161036f726700 0162036f726700";
  const options = `${SERVER} ${ia(address(ADDRESS))} ${CLIENT} ${dns} ${search} 0027 0009 00 02766d036f726700`;
  expect(answer(service, request("01", `${CLIENT} ${asked()}`))).toBe(reply("02", options));
});

test.each([
  ["SOLICIT without client identifier", "01", asked(), "malformed"],
  ["SOLICIT to a server", "01", `${CLIENT} ${SERVER} ${asked()}`, "malformed"],
  ["REBIND with a server identifier", "06", `${CLIENT} ${SERVER} ${asked()}`, "malformed"],
  ["CONFIRM with a server identifier", "04", `${CLIENT} ${SERVER} ${asked(address(ADDRESS))}`, "malformed"],
  ["REQUEST without server identifier", "03", `${CLIENT} ${asked()}`, "malformed"],
  ["REQUEST to another server", "03", `${CLIENT} ${OTHER_SERVER} ${asked()}`, "otherServer"],
  ["RENEW with a longer identifier", "05", `${CLIENT} ${SERVER.replace("000e", "000f")} 00`, "otherServer"],
  ["RELEASE to another server", "08", `${CLIENT} ${OTHER_SERVER} ${asked()}`, "otherServer"],
  ["INFORMATION-REQUEST to another server", "0b", OTHER_SERVER, "otherServer"],
  ["INFORMATION-REQUEST with an association", "0b", `${CLIENT} ${asked()}`, "malformed"],
  ["an empty client identifier", "01", `0001 0000 ${asked()}`, "malformed"],
  ["a client identifier of 131 bytes", "01", option("0001", "ab".repeat(131)), "malformed"],
  ["DECLINE without server identifier", "09", `${CLIENT} ${asked(address(ADDRESS))}`, "malformed"],
  ["RENEW without client identifier", "05", `${SERVER} ${asked()}`, "malformed"],
  ["an option behind the end", "01", `${CLIENT} 0003 0010`, "malformed"],
  ["an advertisement", "02", `${CLIENT} ${SERVER}`, "ignored"],
  ["a relayed message", "0c", CLIENT, "ignored"],
] as const)("%s: no reply, counted", (_name, type, options, counter) => {
  const service = new Dhcpv6Server(bare);
  expect(answer(service, request(type, options))).toBe("");
  expect(service.counters[Dhcpv6Counter[counter]]).toBe(1);
});

test("CONFIRM without an address is not answered", () => {
  expect(answer(new Dhcpv6Server(bare), request("04", `${CLIENT} ${asked()}`))).toBe("");
});

test("only what goes to all servers at their port is answered", () => {
  const payload = `01 c0ffee ${CLIENT} ${asked()}`;
  const service = new Dhcpv6Server(bare);
  expect(answer(service, udp6(GUEST_LL, ADDRESS, "0222 0223", payload))).toBe("");
  expect(answer(service, udp6(GUEST_LL, ALL_SERVERS, "0222 0222", payload))).toBe("");
  expect(service.counters[Dhcpv6Counter.ignored]).toBe(2);
  expect(answer(service, udp6(GUEST_LL, OUR_LL, "0222 0223", payload))).toBe("");
  expect(service.counters[Dhcpv6Counter.unicast]).toBe(1);
});

test.each(["03", "05", "08", "09"])(
  "message type %s sent to us alone: the client is told to use multicast, and nothing else (RFC 8415 section 18.4)",
  (type) => {
    const service = new Dhcpv6Server(bare);
    const message = (server: string) => `${type} c0ffee ${CLIENT} ${server} ${asked(address(ADDRESS))}`;
    const expected = reply("07", `${SERVER} ${CLIENT} ${status("0005", "")}`);
    expect(answer(service, udp6(GUEST_LL, OUR_LL, "0222 0223", message(SERVER)))).toBe(expected);
    expect(answer(service, udp6(GUEST_LL, OUR_LL, "0222 0223", message(OTHER_SERVER)))).toBe("");
    expect([service.counters[Dhcpv6Counter.unicast], service.counters[Dhcpv6Counter.requests]]).toEqual([1, 0]);
  },
);

test.each([
  ["nowhere", "00".repeat(16)],
  ["a group", "ff02000000000000 0000000000000001"],
])("a message from %s is malformed", (_name, source) => {
  const service = new Dhcpv6Server(bare);
  expect(answer(service, udp6(source, ALL_SERVERS, "0222 0223", `01 c0ffee ${CLIENT} ${asked()}`))).toBe("");
  expect(service.counters[Dhcpv6Counter.malformed]).toBe(1);
});

describe("a lease that ends", () => {
  const leased = { ...bare, leaseSeconds: 1000 };

  test("is renewed at one half and rebound at four fifths of its time", () => {
    const options = `${SERVER} ${ia(address(ADDRESS, "000003e8 000003e8"), "000001f4 00000320")} ${CLIENT}`;
    expect(answer(new Dhcpv6Server(leased), request("01", `${CLIENT} ${asked()}`))).toBe(reply("02", options));
  });

  test.each([
    [1000, "000003e8"],
    [60, "00000258"],
  ])(
    "of %p s: who has no address asks for the settings as often, but not more often than allowed",
    (leaseSeconds, time) => {
      const service = new Dhcpv6Server({ ...bare, leaseSeconds });
      expect(answer(service, request("0b", ""))).toBe(reply("07", `${SERVER} 0020 0004 ${time}`));
    },
  );

  test.each([0, -1, 1.5, 2 ** 32])("%p seconds are refused, and what was configured before stays", (leaseSeconds) => {
    const service = new Dhcpv6Server(leased);
    const frame = request("01", `${CLIENT} ${asked()}`);
    const before = ask(service, frame);
    expect(() => service.configure({ ...bare, leaseSeconds })).toThrow(RangeError);
    expect(ask(service, frame)).toBe(before);
  });
});

test("the longest reply fits", () => {
  const service = new Dhcpv6Server({
    ...bare,
    dnsServers: Array.from({ length: 8 }, () => Uint32Array.of(1, 2, 3, 4)),
    searchDomains: Array.from({ length: 9 }, (_, i) => `${"x".repeat(40)}.${i}`),
    fqdn: `${"f.".repeat(120)}f`,
  });
  const many = Array.from({ length: 9 }, () => asked(address(NEIGHBOR).repeat(9))).join(" ");
  const client = option("0001", "ab".repeat(130));
  const length = ask(service, request("05", `${client} ${SERVER} ${many}`)).length / 2;
  expect(length).toBeGreaterThan(700);
  expect(length).toBeLessThanOrEqual(DHCPV6_REPLY_BYTES_MAX);
  expect(() => service.configure({ ...bare, dnsServers: new Array(9).fill(bare.guestAddress) })).toThrow(RangeError);
});

test("another address from the next request on", () => {
  const service = new Dhcpv6Server(bare);
  service.configure({ ...bare, guestAddress: Uint32Array.of(0x2001_0db8, 0, 0, 3) });
  const options = `${SERVER} ${ia(`${address(ADDRESS, "00000000 00000000")} ${address(NEIGHBOR)}`)} ${CLIENT}`;
  const frame = request("05", `${CLIENT} ${SERVER} ${asked(address(ADDRESS))}`);
  expect(answer(service, frame)).toBe(reply("07", options));
});
