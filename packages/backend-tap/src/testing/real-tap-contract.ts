import { describe, test } from "bun:test";
import { PacketSocket } from "@passt-ts/linux/testing/packet-socket";
import { backendContract } from "@passt-ts/net-backend/testing/backend-contract";
import { contractSubject } from "./contract-subject.ts";
import { assertOwnNamespace, openNewTap } from "./host-commands.ts";
import { TEST_ETHER_TYPE } from "./tap-rig.ts";

// Runs in a network namespace of its own, see real-tap.test.ts.

assertOwnNamespace();

describe("contract of a back-end: a tap of the kernel", () => {
  for (const { name, run } of backendContract) {
    test(name, () => {
      const ends: (() => void)[] = [];
      try {
        run((windows) => {
          const tapName = `tap${ends.length}`;
          const tap = openNewTap(tapName);
          const host = new PacketSocket(tapName, TEST_ETHER_TYPE);
          const subject = contractSubject(windows, tap, {
            arrive: (frame) => host.send(frame) === 0,
            take: () => host.receive(),
          });
          ends.push(() => {
            subject.backend.close();
            host[Symbol.dispose]();
          });
          return subject;
        });
      } finally {
        for (const end of ends) end();
      }
    });
  }
});
