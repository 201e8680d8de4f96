import { Icmpv6Type } from "@passt-ts/wire/icmpv6";
import { solicitedNodeOf, writeNdpLinkLayer } from "@passt-ts/wire/ndp";
import { ipv6Text, macOf, wordsOf } from "../address.ts";
import { icmpv6, putBytes, type Way } from "../frames.ts";
import { gateway6, guestLinkLocal, guestMac, host6, hostLinkLocal } from "../host.ts";
import type { Suite } from "../script.ts";

const { routerSolicitation, neighborSolicitation, neighborAdvertisement } = Icmpv6Type;
const UNSPECIFIED = "::";

function bytesOfAddress(text: string): Uint8Array {
  const view = new DataView(new ArrayBuffer(16));
  wordsOf(text).forEach((word, i) => void view.setUint32(4 * i, word));
  return new Uint8Array(view.buffer);
}

function solicitedNode(address: string): string {
  const group = new Uint32Array(4);
  solicitedNodeOf(wordsOf(address), group);
  const view = new DataView(new ArrayBuffer(16));
  group.forEach((word, i) => void view.setUint32(4 * i, word));
  return ipv6Text(new Uint8Array(view.buffer), 0);
}

/** A message with a target and, unless it is left out, the guest's link-layer address. */
function neighbor(way: Way, type: number, target: string, withMac = true, flags = 0): Uint8Array {
  const view = new DataView(new ArrayBuffer(32));
  view.setUint8(0, type);
  view.setUint8(4, flags);
  putBytes(view, 8, bytesOfAddress(target));
  const optionType = type === neighborSolicitation ? 1 : 2;
  const end = withMac ? writeNdpLinkLayer(view, 24, optionType, macOf(guestMac)) : 24;
  return icmpv6(way, new Uint8Array(view.buffer, 0, end));
}

/** A solicitation from one of the guest's addresses, to the solicited-node group of the target. */
export const solicit = (from: string, target: string): Uint8Array =>
  neighbor({ from, to: solicitedNode(target) }, neighborSolicitation, target);

const detectDuplicate = (target: string): Uint8Array =>
  neighbor({ from: UNSPECIFIED, to: solicitedNode(target) }, neighborSolicitation, target, false);

function solicitRouter(way: Way, withMac: boolean): Uint8Array {
  const view = new DataView(new ArrayBuffer(16));
  view.setUint8(0, routerSolicitation);
  const end = withMac ? writeNdpLinkLayer(view, 8, 1, macOf(guestMac)) : 8;
  return icmpv6(way, new Uint8Array(view.buffer, 0, end));
}

const ALL_ROUTERS = "ff02::2";

/** The guest asks for routers. */
export const routerSolicit: Uint8Array = solicitRouter({ from: guestLinkLocal, to: ALL_ROUTERS }, true);

export const ndpSuite: Suite = {
  name: "ndp",
  options: [],
  scripts: [
    {
      name: "routers",
      steps: [
        { name: "from no address", send: [solicitRouter({ from: UNSPECIFIED, to: ALL_ROUTERS }, false)] },
        { name: "from the link-local address", send: [routerSolicit] },
        {
          name: "with a wrong hop limit",
          send: [solicitRouter({ from: guestLinkLocal, to: ALL_ROUTERS, hopLimit: 64 }, true)],
        },
      ],
    },
    {
      name: "neighbors",
      steps: [
        { name: "gateway", send: [solicit(host6, gateway6)] },
        { name: "gateway from the link-local address", send: [solicit(guestLinkLocal, gateway6)] },
        { name: "the daemon's link-local address", send: [solicit(guestLinkLocal, hostLinkLocal)] },
        { name: "another link-local address", send: [solicit(guestLinkLocal, "fe80::77")] },
        { name: "another address of the network", send: [solicit(host6, "2001:db8::77")] },
        { name: "address of another network", send: [solicit(host6, "2001:db8:77::1")] },
        { name: "the guest's own address", send: [solicit(guestLinkLocal, host6)] },
        { name: "the guest's own link-local address", send: [solicit(host6, guestLinkLocal)] },
        {
          name: "gateway, sent to it alone",
          send: [neighbor({ from: host6, to: gateway6 }, neighborSolicitation, gateway6)],
        },
        {
          name: "with a wrong hop limit",
          send: [neighbor({ from: host6, to: solicitedNode(gateway6), hopLimit: 64 }, neighborSolicitation, gateway6)],
        },
        {
          name: "without a link-layer address",
          send: [neighbor({ from: host6, to: solicitedNode(gateway6) }, neighborSolicitation, gateway6, false)],
        },
      ],
    },
    {
      name: "duplicates",
      steps: [
        { name: "the guest's address", send: [detectDuplicate(host6)] },
        { name: "the guest's link-local address", send: [detectDuplicate(guestLinkLocal)] },
        { name: "the gateway's address", send: [detectDuplicate(gateway6)] },
        { name: "the daemon's link-local address", send: [detectDuplicate(hostLinkLocal)] },
        { name: "another address", send: [detectDuplicate("2001:db8::77")] },
      ],
    },
    {
      name: "not solicitations",
      steps: [
        {
          name: "advertisement to all nodes",
          send: [neighbor({ from: host6, to: "ff02::1" }, neighborAdvertisement, host6, true, 0x20)],
        },
      ],
    },
  ],
};
