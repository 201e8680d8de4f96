// One line about a frame, for readers of a record and for matching the frames of two daemons.

import { dissect } from "./dissect.ts";
import type { Fields } from "./fields.ts";
import type { Isns } from "./isns.ts";

const dhcpTypes = ["BOOTP", "DISCOVER", "OFFER", "REQUEST", "DECLINE", "ACK", "NAK", "RELEASE", "INFORM"];
const dhcpv6Types = [
  "?",
  "SOLICIT",
  "ADVERTISE",
  "REQUEST",
  "CONFIRM",
  "RENEW",
  "REBIND",
  "REPLY",
  "RELEASE",
  "DECLINE",
  "RECONFIGURE",
  "INFORMATION-REQUEST",
];

/** What kind of frame it is: frames of two daemons that answer the same thing are of the same kind. */
export function kindOf(fields: Fields): string {
  const { values } = fields;
  if (values.has("arp.operation")) return values.get("arp.operation") === "2" ? "ARP reply" : "ARP request";
  if (values.has("dhcp.operation"))
    return `DHCP ${dhcpTypes[Number.parseInt(fields.get("dhcp.option.53") || "0", 16)]}`;
  if (values.has("dhcpv6.type")) return `DHCPv6 ${dhcpv6Types[Number(fields.get("dhcpv6.type"))]}`;
  // PSH says nothing of the connection's state.
  if (values.has("tcp.flags")) return tcpText(fields, fields.get("tcp.flags").replace("PSH,", ""));
  if (values.has("udp.sourcePort")) {
    return `UDP ${fields.get("udp.sourcePort")}>${fields.get("udp.destinationPort")}`;
  }
  if (values.has("icmp.type")) return `ICMP ${fields.get("icmp.type")}/${fields.get("icmp.code")}`;
  if (values.has("icmpv6.type")) return `ICMPv6 ${fields.get("icmpv6.type")}/${fields.get("icmpv6.code")}`;
  return `type ${fields.get("ethernet.type")}`;
}

function tcpText(fields: Fields, flags: string): string {
  return `TCP ${fields.get("tcp.sourcePort")}>${fields.get("tcp.destinationPort")} ${flags}`;
}

/** The kind of a frame, from where to where, and what else tells it from its like. */
export function summaryOf(frame: Uint8Array, isns: Isns): string {
  const fields = dissect(frame, isns);
  const { values } = fields;
  const version = values.has("ipv4.source") ? "ipv4" : "ipv6";
  const way = `${fields.get(`${version}.source`)} > ${fields.get(`${version}.destination`)}`;
  const kind = values.has("tcp.flags") ? tcpText(fields, fields.get("tcp.flags")) : kindOf(fields);
  if (values.has("arp.sender")) {
    return `${kind}: ${fields.get("arp.sender")} is at ${fields.get("arp.senderMac")}, for ${fields.get("arp.target")}`;
  }
  const payloadBytes = fields.get("payload").length / 2;
  const more = values.has("tcp.flags")
    ? `, sequence ${fields.get("tcp.sequence")}, acknowledgment ${fields.get("tcp.acknowledgment")}, window ${fields.get("tcp.window")}`
    : values.has("ndp.target")
      ? `, target ${fields.get("ndp.target")}`
      : "";
  return `${kind}: ${way}${more}${payloadBytes > 0 ? `, ${payloadBytes} bytes` : ""}`;
}
