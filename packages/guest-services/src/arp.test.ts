import { describe, expect, test } from "bun:test";
import { bytesOf, written } from "@passt-ts/wire/testing/frame-bytes";
import { ARP_REPLY_BYTES, ArpCounter, ArpResponder } from "./arp.ts";
import { ask } from "./testing/ask.ts";

const ourMac = bytesOf("9a559a559a55");
const guest = Uint32Array.of(0, 0, 0xffff, 0xc000_0202);
const ipv4 = (address: number) => Uint32Array.of(0, 0, 0xffff, address);
const gateway = ipv4(0xc000_0201);
const resolver = ipv4(0xc000_0235);
const responder = () => new ArpResponder({ ourMac, ourAddresses: [gateway, resolver], guestAddresses: [guest] });

const request = (sender: string, target: string, operation = "0001", padding = "00".repeat(18)) =>
  bytesOf(
    `ffffffffffff 020000000001 0806 0001 0800 0604 ${operation} 020000000002 ${sender} 000000000000 ${target}${padding}`,
  );

test.each([
  ["the gateway", "c0000202", "c0000201"],
  ["an address off the link", "c0000202", "08080808"],
  ["a probe for the gateway", "00000000", "c0000201"],
  ["a probe for another address of ours", "00000000", "c0000235"],
  ["an address of the class that was once reserved", "c0000202", "f0000001"],
])("%s: replied byte for byte, without padding", (_name, sender, target) => {
  const service = responder();
  const reply = ask(service, request(sender, target));
  expect(reply).toBe(
    `020000000001 9a559a559a55 0806 0001 0800 0604 0002 9a559a559a55 ${target} 020000000002 ${sender}`.replaceAll(
      " ",
      "",
    ),
  );
  expect(reply).toHaveLength(2 * ARP_REPLY_BYTES);
  expect(service.counters[ArpCounter.replies]).toBe(1);
});

test.each([
  ["an announcement", request("c0000205", "c0000205"), "announcements"],
  ["the guest's own address", request("c0000205", "c0000202"), "ownAddress"],
  ["a probe for the guest's own address", request("00000000", "c0000202"), "ownAddress"],
  ["a probe for an address that the guest may take", request("00000000", "c0000205"), "probes"],
  ["a probe for a link-local address that the guest may take (RFC 3927)", request("00000000", "a9fe0105"), "probes"],
  ["the broadcast address", request("c0000202", "ffffffff"), "notUnicast"],
  ["a multicast address", request("c0000202", "e0000001"), "notUnicast"],
  ["a loopback address", request("c0000202", "7f000001"), "notUnicast"],
  ["no address", request("00000000", "00000000"), "notUnicast"],
  ["a reply", request("c0000202", "c0000201", "0002"), "ignored"],
  ["a short message", request("c0000202", "c0000201", "0001", "").subarray(0, 41), "malformed"],
  ["another protocol", request("c0000202", "c0000201").map((byte, i) => (i === 16 ? 9 : byte)), "malformed"],
] as const)("%s: no reply, counted", (_name, frame, counter) => {
  const service = responder();
  expect(ask(service, frame)).toBe("");
  expect(service.counters[ArpCounter[counter]]).toBe(1);
  expect(service.counters[ArpCounter.replies]).toBe(0);
});

test("the guest's address as it is now, and another configuration", () => {
  const address = guest.slice();
  const service = new ArpResponder({ ourMac, guestAddresses: [address] });
  expect(ask(service, request("c0000205", "c0000202"))).toBe("");
  address[3] = 0xc000_0205;
  expect(ask(service, request("c0000205", "c0000202"))).not.toBe("");
  service.configure({ ourMac: bytesOf("0200000000ff"), guestAddresses: [] });
  expect(ask(service, request("c0000202", "c0000205")).slice(12, 24)).toBe("0200000000ff");
});

describe("an address that the guest showed to be its own", () => {
  test.each([
    ["announced", request("c0000209", "c0000209")],
    ["asked from", request("c0000209", "c0000201")],
    ["answered for", request("c0000209", "c0000201", "0002")],
  ])("%s: requests for it are its own affair", (_name, frame) => {
    const service = responder();
    expect(ask(service, request("c0000202", "c0000209"))).not.toBe("");
    ask(service, frame);
    expect(ask(service, request("c0000202", "c0000209"))).toBe("");
    service.reset();
    expect(ask(service, request("c0000202", "c0000209"))).not.toBe("");
  });

  test("only probed for: it is still nobody's", () => {
    const service = responder();
    ask(service, request("00000000", "c0000209"));
    expect(ask(service, request("c0000202", "c0000209"))).not.toBe("");
  });

  test("ours cannot be claimed", () => {
    const service = responder();
    ask(service, request("c0000201", "c0000201"));
    expect(ask(service, request("c0000202", "c0000201"))).not.toBe("");
  });

  test("the latest sixteen are remembered", () => {
    const service = responder();
    const address = (index: number) => (0xc000_0240 + index).toString(16);
    for (let index = 0; index < 17; index++) ask(service, request(address(index), "c0000201"));
    expect(ask(service, request("c0000202", address(0)))).not.toBe("");
    for (let index = 2; index < 17; index++) expect(ask(service, request("c0000202", address(index)))).toBe("");
  });
});

test("our own request for the guest's address, byte for byte", () => {
  const service = responder();
  const frame = written((view, at) => at + service.ask(guest, view, at));
  expect(frame).toBe(
    "ffffffffffff 9a559a559a55 0806 0001 0800 0604 0001 9a559a559a55 c0000201 000000000000 c0000202".replaceAll(
      " ",
      "",
    ),
  );
  expect(service.counters[ArpCounter.sentRequests]).toBe(2);
});

test.each([
  ["without an address of ours: it would be a probe, and make the guest give its address up", [], guest],
  ["without an address of the guest's", [gateway], ipv4(0)],
])("nothing is asked %s", (_name, ourAddresses, address) => {
  const service = new ArpResponder({ ourMac, ourAddresses, guestAddresses: [] });
  expect(service.ask(address, new DataView(new ArrayBuffer(0)), 0)).toBe(0);
  expect(service.counters[ArpCounter.sentRequests]).toBe(0);
});
