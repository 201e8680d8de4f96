import { DHCP_COOKIE, Dhcp, DhcpMessageType, DhcpOption, endDhcpOptions, writeDhcpOption } from "@passt-ts/wire/dhcp";
import { macOf, wordsOf } from "../address.ts";
import { putBytes, udp } from "../frames.ts";
import { gateway4, guestMac, host4 } from "../host.ts";
import type { Suite } from "../script.ts";

interface Request {
  /** Null for BOOTP. */
  readonly type: number | null;
  readonly options?: readonly (readonly [code: number, data: readonly number[]])[];
  readonly flags?: number;
  readonly clientAddress?: string;
  /** Sent by a client that has its address. */
  readonly unicast?: boolean;
}

const TRANSACTION = 0x1234_5678;
const bytesOf = (address: string): number[] => address.split(".").map(Number);

function dhcp(request: Request): Uint8Array {
  const { type, options = [], flags = 0, clientAddress = "0.0.0.0", unicast = false } = request;
  const view = new DataView(new ArrayBuffer(600));
  view.setUint32(Dhcp.operation, 0x0101_0600);
  view.setUint32(Dhcp.transaction, TRANSACTION);
  view.setUint16(Dhcp.seconds, 3);
  view.setUint16(Dhcp.flags, flags);
  view.setUint32(Dhcp.clientAddress, wordsOf(clientAddress)[3]);
  putBytes(view, Dhcp.clientHardware, macOf(guestMac));
  view.setUint32(Dhcp.cookie, DHCP_COOKIE);
  let at: number = Dhcp.options;
  if (type !== null) at = writeDhcpOption(view, at, DhcpOption.messageType, Uint8Array.of(type));
  for (const [code, data] of options) at = writeDhcpOption(view, at, code, Uint8Array.from(data));
  const end = endDhcpOptions(view, at, 0);
  const way = unicast ? { from: host4, to: gateway4 } : { from: "0.0.0.0", to: "255.255.255.255" };
  return udp(way, 68, 67, new Uint8Array(view.buffer, 0, end));
}

const { requestedAddress, serverIdentifier, parameterRequest, rapidCommit, clientFqdn, maximumMessageSize } =
  DhcpOption;
const wanted = [1, 3, 6, 12, 15, 26, 28, 42, 119, 121];
const parameters = [parameterRequest, wanted] as const;
const { discover, request, inform, decline, release } = DhcpMessageType;

/** A guest that has no address yet asks for one. */
export const dhcpDiscover: Uint8Array = dhcp({ type: discover, options: [parameters] });

export const dhcpSuite: Suite = {
  name: "dhcp",
  options: [],
  scripts: [
    {
      name: "address",
      steps: [
        { name: "discover", send: [dhcp({ type: discover, options: [parameters] })] },
        {
          name: "request",
          send: [
            dhcp({
              type: request,
              options: [[requestedAddress, bytesOf(host4)], [serverIdentifier, bytesOf(gateway4)], parameters],
            }),
          ],
        },
        {
          name: "renewal",
          send: [dhcp({ type: request, clientAddress: host4, unicast: true, options: [parameters] })],
        },
        {
          name: "rebinding",
          send: [dhcp({ type: request, clientAddress: host4, options: [parameters] })],
        },
        { name: "after a reboot", send: [dhcp({ type: request, options: [[requestedAddress, bytesOf(host4)]] })] },
      ],
    },
    {
      name: "ways to ask",
      steps: [
        { name: "discover without a parameter list", send: [dhcp({ type: discover })] },
        {
          name: "discover with a parameter list in another order",
          send: [dhcp({ type: discover, options: [[parameterRequest, [121, 26, 6, 3, 1]]] })],
        },
        {
          name: "discover that wants a broadcast",
          send: [dhcp({ type: discover, flags: 0x8000, options: [parameters] })],
        },
        {
          name: "discover with rapid commit",
          send: [dhcp({ type: discover, options: [[rapidCommit, []], parameters] })],
        },
        {
          name: "discover with a domain name",
          send: [dhcp({ type: discover, options: [[clientFqdn, [5, 0, 0, 1, 0x67, 0]]] })],
        },
        {
          name: "discover with a message size",
          send: [dhcp({ type: discover, options: [[maximumMessageSize, [5, 0xdc]], parameters] })],
        },
        { name: "BOOTP", send: [dhcp({ type: null })] },
      ],
    },
    {
      name: "other messages",
      steps: [
        {
          name: "request of another address",
          send: [dhcp({ type: request, options: [[requestedAddress, bytesOf("192.0.2.99")], parameters] })],
        },
        {
          name: "renewal of another address",
          send: [dhcp({ type: request, clientAddress: "192.0.2.99", options: [parameters] })],
        },
        {
          name: "request from another server",
          send: [
            dhcp({
              type: request,
              options: [
                [requestedAddress, bytesOf(host4)],
                [serverIdentifier, bytesOf("192.0.2.200")],
              ],
            }),
          ],
        },
        { name: "inform", send: [dhcp({ type: inform, clientAddress: host4, unicast: true, options: [parameters] })] },
        { name: "decline", send: [dhcp({ type: decline, options: [[requestedAddress, bytesOf(host4)]] })] },
        { name: "release", send: [dhcp({ type: release, clientAddress: host4, unicast: true })] },
        { name: "discover after the release", send: [dhcp({ type: discover, options: [parameters] })] },
      ],
    },
  ],
};

/** With a gateway outside the guest's network, a small MTU, and names. */
export const dhcpOptionsSuite: Suite = {
  name: "dhcp-options",
  options: [
    ...["-a", "10.0.2.15", "-n", "255.255.255.0", "-g", "10.9.9.1", "-m", "1400", "-H", "guest"],
    ...["--fqdn", "guest.lab.example.test", "-D", "10.0.2.3", "-S", "one.example.test two.example.test"],
  ],
  scripts: [
    {
      name: "address",
      steps: [
        { name: "discover", send: [dhcp({ type: discover, options: [parameters] })] },
        {
          name: "discover with a domain name",
          send: [dhcp({ type: discover, options: [[clientFqdn, [5, 0, 0, 1, 0x67, 0]]] })],
        },
        { name: "request", send: [dhcp({ type: request, options: [[requestedAddress, [10, 0, 2, 15]], parameters] })] },
      ],
    },
  ],
};
