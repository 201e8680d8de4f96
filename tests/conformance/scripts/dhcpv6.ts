import { Dhcpv6MessageType, Dhcpv6Option, writeDhcpv6IaAddress, writeDhcpv6Option } from "@passt-ts/wire/dhcpv6";
import { wordsOf } from "../address.ts";
import { putBytes, udp, type Way } from "../frames.ts";
import { guestLinkLocal, host6 } from "../host.ts";
import type { FrameToSend, Learned, Suite } from "../script.ts";

interface Request {
  readonly type: number;
  readonly options: readonly ((learned: Learned) => Option)[];
  readonly way?: Way;
}

interface Option {
  readonly code: number;
  readonly data: Uint8Array;
}

const toServers: Way = { from: guestLinkLocal, to: "ff02::1:2" };
const IAID = [0, 0, 0, 9];

function dhcpv6({ type, options, way = toServers }: Request): FrameToSend {
  return (learned) => {
    const view = new DataView(new ArrayBuffer(600));
    view.setUint32(0, (type << 24) | 0x12_3456);
    let at = 4;
    for (const option of options) {
      const { code, data } = option(learned);
      at = writeDhcpv6Option(view, at, code, data);
    }
    return udp(way, 546, 547, new Uint8Array(view.buffer, 0, at));
  };
}

const option = (code: number, data: readonly number[]) => (): Option => ({ code, data: Uint8Array.from(data) });

const clientId = option(Dhcpv6Option.clientIdentifier, [0, 3, 0, 1, 0x52, 0x54, 0, 0, 0, 1]);
const otherServerId = option(Dhcpv6Option.serverIdentifier, [0, 3, 0, 1, 2, 0, 0, 0, 0, 9]);
const rapidCommit = option(Dhcpv6Option.rapidCommit, []);
const optionRequest = option(Dhcpv6Option.optionRequest, [0, 23, 0, 24, 0, 39]);
const fqdn = option(Dhcpv6Option.clientFqdn, [1, 5, 0x67, 0x75, 0x65, 0x73, 0x74]);
const temporary = option(Dhcpv6Option.iaTemporary, [0, 0, 0, 7]);
const prefix = option(Dhcpv6Option.iaPrefixDelegation, [0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0]);
const serverId = (learned: Learned): Option => ({ code: Dhcpv6Option.serverIdentifier, data: learned.serverId() });

/** An association, with an address or without. */
function association(address?: string): () => Option {
  const view = new DataView(new ArrayBuffer(40));
  putBytes(view, 0, Uint8Array.from(IAID));
  const end = address === undefined ? 12 : writeDhcpv6IaAddress(view, 12, wordsOf(address), 0, 0, 0);
  return () => ({ code: Dhcpv6Option.iaNonTemporary, data: new Uint8Array(view.buffer, 0, end) });
}

const { solicit, request, confirm, renew, rebind, release, decline, informationRequest } = Dhcpv6MessageType;

/** The same over IPv6. */
export const dhcpv6Solicit: FrameToSend = dhcpv6({
  type: solicit,
  options: [clientId, association(), optionRequest],
});

const other6 = "2001:db8::99";
const far6 = "2001:db8:99::1";

export const dhcpv6Suite: Suite = {
  name: "dhcpv6",
  options: [],
  scripts: [
    {
      name: "address",
      steps: [
        { name: "solicit", send: [dhcpv6({ type: solicit, options: [clientId, association(), optionRequest] })] },
        {
          name: "request",
          send: [dhcpv6({ type: request, options: [clientId, serverId, association(host6), optionRequest] })],
        },
        { name: "renew", send: [dhcpv6({ type: renew, options: [clientId, serverId, association(host6)] })] },
        { name: "rebind", send: [dhcpv6({ type: rebind, options: [clientId, association(host6)] })] },
        { name: "confirm", send: [dhcpv6({ type: confirm, options: [clientId, association(host6)] })] },
        { name: "release", send: [dhcpv6({ type: release, options: [clientId, serverId, association(host6)] })] },
        { name: "solicit again", send: [dhcpv6({ type: solicit, options: [clientId, association()] })] },
      ],
    },
    {
      name: "ways to ask",
      steps: [
        {
          name: "solicit with rapid commit",
          send: [dhcpv6({ type: solicit, options: [clientId, rapidCommit, association()] })],
        },
        { name: "solicit with an address", send: [dhcpv6({ type: solicit, options: [clientId, association(host6)] })] },
        {
          name: "solicit with a domain name",
          send: [dhcpv6({ type: solicit, options: [clientId, association(), fqdn] })],
        },
        { name: "solicit without an association", send: [dhcpv6({ type: solicit, options: [clientId] })] },
        {
          name: "solicit of a temporary address and a prefix",
          send: [dhcpv6({ type: solicit, options: [clientId, temporary, prefix] })],
        },
        {
          name: "information request",
          send: [dhcpv6({ type: informationRequest, options: [clientId, optionRequest] })],
        },
        {
          name: "information request of nobody",
          send: [dhcpv6({ type: informationRequest, options: [optionRequest] })],
        },
      ],
    },
    {
      name: "wrong addresses",
      steps: [
        {
          name: "solicit",
          send: [dhcpv6({ type: solicit, options: [clientId, association(far6)] })],
        },
        {
          name: "request of another address",
          send: [dhcpv6({ type: request, options: [clientId, serverId, association(other6)] })],
        },
        {
          name: "request of an address of another network",
          send: [dhcpv6({ type: request, options: [clientId, serverId, association(far6)] })],
        },
        { name: "renew", send: [dhcpv6({ type: renew, options: [clientId, serverId, association(far6)] })] },
        { name: "rebind", send: [dhcpv6({ type: rebind, options: [clientId, association(far6)] })] },
        { name: "confirm", send: [dhcpv6({ type: confirm, options: [clientId, association(far6)] })] },
        {
          name: "confirm of another address of the network",
          send: [dhcpv6({ type: confirm, options: [clientId, association(other6)] })],
        },
        { name: "decline", send: [dhcpv6({ type: decline, options: [clientId, serverId, association(host6)] })] },
      ],
    },
    {
      name: "faulty messages",
      steps: [
        { name: "solicit without a client", send: [dhcpv6({ type: solicit, options: [association()] })] },
        {
          name: "solicit with a server",
          send: [dhcpv6({ type: solicit, options: [clientId, otherServerId, association()] })],
        },
        { name: "request without a server", send: [dhcpv6({ type: request, options: [clientId, association()] })] },
        {
          name: "request from another server",
          send: [dhcpv6({ type: request, options: [clientId, otherServerId, association(host6)] })],
        },
        {
          name: "renew from another server",
          send: [dhcpv6({ type: renew, options: [clientId, otherServerId, association(host6)] })],
        },
        {
          name: "rebind with another server",
          send: [dhcpv6({ type: rebind, options: [clientId, otherServerId, association(host6)] })],
        },
        {
          name: "confirm with another server",
          send: [dhcpv6({ type: confirm, options: [clientId, otherServerId, association(host6)] })],
        },
      ],
    },
  ],
};

export const dhcpv6OptionsSuite: Suite = {
  name: "dhcpv6-options",
  options: [
    ...["-a", "2001:db8:5::15", "-g", "fe80::99", "--fqdn", "guest.lab.example.test", "-H", "guest"],
    ...["-D", "2001:db8:5::3", "-S", "one.example.test two.example.test"],
  ],
  scripts: [
    {
      name: "address",
      steps: [
        { name: "solicit", send: [dhcpv6({ type: solicit, options: [clientId, association(), optionRequest] })] },
        {
          name: "solicit with a domain name",
          send: [dhcpv6({ type: solicit, options: [clientId, association(), fqdn] })],
        },
        {
          name: "request",
          send: [dhcpv6({ type: request, options: [clientId, serverId, association("2001:db8:5::15")] })],
        },
      ],
    },
  ],
};
