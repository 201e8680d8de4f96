import type { TestFrontEnd } from "@passt-ts/vhost-user-device/testing/front-end";
import { bytesOf, hexOf } from "@passt-ts/wire/testing/frame-bytes";

/** Options that give the guest of the exchange its address, and its gateway. */
export const ARP_LINK: readonly string[] = ["-4", "-a", "10.0.0.2/24", "-g", "10.0.0.1"];

/** The guest asks for the MAC address of the gateway. */
export const ARP_REQUEST: Uint8Array = bytesOf(
  `ffffffffffff 525400000009 0806 0001 0800 0604 0001 525400000009 0a000002 000000000000 0a000001 ${"00".repeat(18)}`,
);

/** What it is answered, without padding. */
export const ARP_REPLY: string =
  "5254000000099a559a559a550806000108000604" + "00029a559a559a550a0000015254000000090a000002";

/** Operation of an ARP packet behind its Ethernet header. */
const OPERATION_AT = 21;
const REPLY_OPERATION = 2;

/**
 * Sends the request and takes the reply: a whole way through the daemon and back. Frames that it sends of its own
 * accord are passed over. The frame as hexadecimal digits.
 */
export function askForGateway(frontEnd: TestFrontEnd): string {
  frontEnd.offerBuffers(8);
  frontEnd.send(ARP_REQUEST);
  for (;;) {
    for (const { bytes } of frontEnd.receiveMany(1)) {
      if (bytes[12] === 0x08 && bytes[13] === 0x06 && bytes[OPERATION_AT] === REPLY_OPERATION)
        return hexOf(bytes.subarray(0, 42));
    }
  }
}
