import { expect, test } from "bun:test";
import { bytesOf } from "@passt-ts/wire/testing/frame-bytes";
import { ARP_REPLY_BYTES, ArpCounter, ArpResponder } from "./arp.ts";
import { ask } from "./testing/ask.ts";

const ourMac = bytesOf("9a559a559a55");
const guest = Uint32Array.of(0, 0, 0xffff, 0xc000_0202);
const responder = () => new ArpResponder({ ourMac, guestAddresses: [guest] });

const request = (sender: string, target: string, operation = "0001", padding = "00".repeat(18)) =>
  bytesOf(
    `ffffffffffff 020000000001 0806 0001 0800 0604 ${operation} 020000000002 ${sender} 000000000000 ${target}${padding}`,
  );

test.each([
  ["the gateway", "c0000202", "c0000201"],
  ["an address off the link", "c0000202", "08080808"],
  ["a probe for another address", "00000000", "c0000205"],
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
