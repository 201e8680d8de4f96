import { describe, test } from "bun:test";
import { backendContract } from "@passt-ts/net-backend/testing/backend-contract";
import { contractSubject } from "./testing/contract-subject.ts";
import { FakeTap, type FakeTapOptions } from "./testing/fake-tap.ts";

const KINDS: readonly (readonly [string, FakeTapOptions])[] = [
  ["a tap with a header", {}],
  ["a tap without a header", { hasHeader: false }],
  ["a tap of a kernel that knows neither USO nor a header of 12 bytes", { offloads: 0x0f, headerBytesMax: 10 }],
];
for (const [what, options] of KINDS) {
  describe(`contract of a back-end: ${what}`, () => {
    for (const { name, run } of backendContract) {
      test(name, () => {
        run((windows) => {
          const tap = new FakeTap(options);
          const host = { arrive: (frame: Uint8Array) => tap.deliver(frame), take: () => tap.take()?.frame ?? null };
          return contractSubject(windows, tap, host);
        });
      });
    }
  });
}
