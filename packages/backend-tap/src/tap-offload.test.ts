import { describe, expect, test } from "bun:test";
import { TapOffload } from "@passt-ts/linux/tap-device";
import { Capability } from "@passt-ts/net-backend/backend";
import { setCapabilities } from "@passt-ts/net-backend/header-length";
import { TapCounter } from "./tap-counter.ts";
import { FakeRig } from "./testing/fake-rig.ts";
import { FakeTap } from "./testing/fake-tap.ts";
import { TapRig, testFrame } from "./testing/tap-rig.ts";

/** The fields of a header as they lie in memory: flags, type, hdr_len, gso_size, csum_start, csum_offset. */
const TSO_HEADER = [1, 1, 66, 0, 0xa0, 5, 34, 0, 16, 0];
const TSO_FIELDS = { flags: 1, gsoType: 1, headerLength: 66, gsoSize: 1440, checksumStart: 34, checksumOffset: 16 };
const GIVES_TSO4 = Capability.givesPartialChecksum | Capability.givesTso4;

describe("offloads", () => {
  test("what is offered is what the tap knows, found by trial, which leaves nothing behind", () => {
    using newest = new FakeTap();
    using older = new FakeTap({ offloads: 0x0f });
    using oldest = new FakeTap({ offloads: 0x01 });
    using bare = new FakeTap({ hasHeader: false });
    const offered = [newest, older, oldest, bare].map((tap) => {
      using rig = new TapRig(tap);
      return rig.backend.capabilities;
    });
    const uso = Capability.takesUso | Capability.givesUso;
    expect(offered).toEqual([255, 255 & ~uso, Capability.takesPartialChecksum | Capability.givesPartialChecksum, 0]);
    expect([newest.offload, older.offload, oldest.offload, bare.offload]).toEqual([0, 0, 0, 0]);
  });

  test("the tap is told what the guest takes, and nothing else", () => {
    using rig = new FakeRig();
    const { tap } = rig;
    const rows: readonly (readonly [capabilities: number, bits: number])[] = [
      [Capability.takesPartialChecksum | Capability.takesTso4 | Capability.takesUso, 0],
      [Capability.givesPartialChecksum, TapOffload.checksum],
      [GIVES_TSO4, TapOffload.checksum | TapOffload.tso4],
      [Capability.givesPartialChecksum | Capability.givesTso6, TapOffload.checksum | TapOffload.tso6],
      [Capability.givesPartialChecksum | Capability.givesUso, TapOffload.checksum | TapOffload.uso4 | TapOffload.uso6],
      [255, 0x67],
      [0, 0],
    ];
    for (const [capabilities, bits] of rows) {
      expect(setCapabilities(rig.backend, capabilities, 12)).toBe(capabilities);
      expect(tap.offload).toBe(bits);
    }
  });

  test("segmentation without checksums is refused, and leaves what was", () => {
    using rig = new FakeRig();
    const { tap } = rig;
    rig.backend.setCapabilities(GIVES_TSO4, 12);
    expect(rig.backend.setCapabilities(Capability.givesTso4, 12)).toBe(-1);
    expect(tap.offload).toBe(TapOffload.checksum | TapOffload.tso4);
    expect(setCapabilities(rig.backend, Capability.givesTso4, 12)).toBe(0);
    expect(tap.offload).toBe(0);
  });

  test("one that the host refuses though it was offered leaves a back-end without it, and without any", () => {
    using rig = new FakeRig();
    const { tap } = rig;
    tap.offloads = TapOffload.checksum;
    expect(setCapabilities(rig.backend, GIVES_TSO4, 12)).toBe(0);
    expect(tap.offload).toBe(0);
    tap.deliver(testFrame(100, 1), TSO_HEADER);
    tap.deliver(testFrame(100, 2));
    expect(rig.received().map(({ bytes }) => bytes)).toEqual([testFrame(100, 2)]);
  });

  test("the header fields of the guest's frames go to the host as they are", () => {
    using rig = new FakeRig();
    const { tap } = rig;
    const batch = rig.batch([testFrame(3000, 1), testFrame(60, 2)]);
    batch.flags[0] = TSO_FIELDS.flags;
    batch.gsoType[0] = TSO_FIELDS.gsoType;
    batch.gsoSize[0] = TSO_FIELDS.gsoSize;
    batch.headerLength[0] = TSO_FIELDS.headerLength;
    batch.checksumStart[0] = TSO_FIELDS.checksumStart;
    batch.checksumOffset[0] = TSO_FIELDS.checksumOffset;
    rig.backend.send(batch, 2, 0);
    const [first, second] = [tap.take(), tap.take()];
    expect([...(first?.header ?? [])]).toEqual([...TSO_HEADER, 0, 0]);
    expect(first?.frame).toEqual(testFrame(3000, 1));
    expect([...(second?.header ?? [])]).toEqual(new Array(12).fill(0));
    expect([rig.counter(TapCounter.txSegmented), rig.counter(TapCounter.txFrames)]).toEqual([1, 2]);
  });

  test("the header fields of the host's frames go to a guest that negotiated them", () => {
    using rig = new FakeRig();
    const { tap } = rig;
    rig.backend.setCapabilities(GIVES_TSO4, 12);
    tap.deliver(testFrame(3000, 1), TSO_HEADER);
    tap.deliver(testFrame(60, 2), [2, 0, 9, 9, 9, 9, 9, 9, 9, 9]);
    const [segmented, valid] = rig.received();
    const { bytes, canWait, ...fields } = segmented;
    expect([fields, canWait]).toEqual([TSO_FIELDS, false]);
    expect(bytes).toEqual(testFrame(3000, 1));
    expect([valid.flags, valid.checksumStart, valid.checksumOffset, valid.headerLength]).toEqual([2, 0, 0, 0]);
    expect([rig.counter(TapCounter.rxSegmented), rig.counter(TapCounter.rxFrames)]).toEqual([1, 2]);
  });

  test("a frame that asks for an offload the guest has not got is dropped and counted", () => {
    using rig = new FakeRig();
    const { tap } = rig;
    tap.deliver(testFrame(100, 1), TSO_HEADER);
    tap.deliver(testFrame(100, 2), [1, 0, 0, 0, 0, 0, 34, 0, 16, 0]);
    tap.deliver(testFrame(100, 3), [2]);
    const [only, ...more] = rig.received();
    expect([only.bytes, only.flags, more.length]).toEqual([testFrame(100, 3), 0, 0]);
    rig.backend.setCapabilities(GIVES_TSO4, 12);
    tap.deliver(testFrame(100, 4), [1, 4, 66, 0, 0xa0, 5, 34, 0, 16, 0]);
    tap.deliver(testFrame(100, 5), [1, 0x81, 66, 0, 0xa0, 5, 34, 0, 16, 0]);
    expect(rig.received()).toEqual([]);
    expect(rig.counter(TapCounter.rxOffload)).toBe(4);
  });

  test("a frame that was held for a guest before is not given to one that cannot take it", () => {
    using rig = new FakeRig({ sink: { entryBytes: [100], elements: 2 } });
    const { tap } = rig;
    rig.backend.setCapabilities(GIVES_TSO4, 12);
    tap.deliver(testFrame(500, 1), TSO_HEADER);
    expect(rig.received()).toEqual([]);
    rig.backend.setCapabilities(0, 12);
    rig.sink.addElements(100);
    expect(rig.received()).toEqual([]);
    expect(rig.counter(TapCounter.rxOffload)).toBe(1);
  });
});
