import { expect, test } from "bun:test";
import { featureMask, VirtioFeature } from "@passt-ts/vhost-user-proto/features";
import { testFrame } from "./testing/device-rig.ts";
import { Takeover } from "./testing/takeover.ts";

const { RING_PACKED, IN_ORDER, EVENT_IDX, VERSION_1, PROTOCOL_FEATURES, MRG_RXBUF } = VirtioFeature;
const PLAIN = featureMask(VERSION_1, PROTOCOL_FEATURES, MRG_RXBUF, RING_PACKED);

for (const inOrder of [false, true]) {
  for (const eventIndex of [false, true]) {
    const kind = `${inOrder ? "in order" : "any order"}, ${eventIndex ? "event index" : "flags"}`;
    test(`${kind}: a killed device's packed rings go on where they were, whatever their chains, though the front-end believes them new`, () => {
      for (const batch of [1, 5]) {
        for (const rounds of [1, 30, 100]) {
          for (const layout of [[], [12], [12, 20, 30]]) {
            using takeover = new Takeover({
              echo: false,
              features: { offer: featureMask(RING_PACKED, IN_ORDER, EVENT_IDX) },
            });
            const features =
              PLAIN | (inOrder ? featureMask(IN_ORDER) : 0n) | (eventIndex ? featureMask(EVENT_IDX) : 0n);
            const { guest } = takeover;
            guest.boot({ features });
            const bases: [number, number] = [guest.rx.startBase, guest.tx.startBase];
            guest.offerBuffers(40, [400]);
            let frames = 0;
            const send = (): void => {
              guest.tx.reapSent();
              guest.tx.send(testFrame(100, frames++), layout);
              guest.tx.kick();
            };
            for (let i = 0; i < rounds; i++) {
              for (let k = 0; k < batch; k++) send();
              takeover.rig.pump();
            }
            guest.sent();
            const stood = takeover.rig.device.state.rings.map((ring) => ring.nextAvailable);
            takeover.replaceDevice();
            takeover.resume({ features }, bases);
            expect(takeover.rig.device.state.rings.map((ring) => ring.nextAvailable)).toEqual(stood);
            send();
            takeover.rig.pump();
            guest.sent();
            expect([takeover.rig.backend.sent.length, guest.tx.queue.brokenReason]).toEqual([1, 0]);
          }
        }
      }
    });
  }
}
