import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { Capability } from "@passt-ts/net-backend/backend";
import { featureMask, VirtioFeature } from "@passt-ts/vhost-user-proto/features";
import {
  inflightRequest,
  logBaseRequest,
  memoryRegionRequest,
  memoryTableRequest,
  plainRequest,
  rarpRequest,
  u64Request,
  vringAddressRequest,
  vringFdRequest,
  vringStateRequest,
} from "@passt-ts/vhost-user-proto/front-end";
import fc from "fast-check";
import { DeviceRig, testFrame } from "./testing/device-rig.ts";
import type { TestFrontEnd } from "./testing/front-end.ts";

const MIB = 1024 * 1024;

/** What a front-end or its guest does next; numbers choose among right and wrong values. */
type Step = readonly [act: keyof typeof ACTS, ring: number, choice: number];

type Act = (guest: TestFrontEnd, ring: number, choice: number, rig: DeviceRig) => void;

/** The `choice`th of the values, counted round and round. */
const pick = <T>(values: readonly T[], choice: number): T => values[choice % values.length] as T;

const ringOf = (guest: TestFrontEnd, ring: number) => (ring % 2 === 0 ? guest.rx : guest.tx);

const ACTS = {
  features: (guest, _ring, choice) => {
    const packed = 1n << 34n;
    const masks = [
      ~0n,
      0n,
      1n << 30n,
      1n << 32n,
      (1n << 30n) | (1n << 15n),
      1n << 63n,
      ~(1n << 34n),
      packed,
      packed | (1n << 26n),
    ];
    const mask = pick(masks, choice);
    guest.control.send(u64Request("SET_FEATURES", choice % 7 === 6 ? mask : mask & OFFERED));
  },
  protocolFeatures: (guest, _ring, choice) => {
    guest.control.send(u64Request("SET_PROTOCOL_FEATURES", pick([0x229n, 0n, 8n, 1n << 40n, 0x1f23fn], choice)));
  },
  memory: (guest, _ring, choice) => {
    const table = pick([guest.ram.table, guest.ram.table.slice(0, 1), guest.ram.table.slice(1), []], choice);
    // One descriptor too few now and then.
    const fds = table.slice(choice % 9 === 8 ? 1 : 0).map(() => guest.ram.file.fd);
    guest.control.send(memoryTableRequest(table), fds);
  },
  size: (guest, ring, choice) => {
    const value = pick([256, 256, 4, 1, 128, 0, 100, 32768], choice);
    guest.control.send(vringStateRequest("SET_VRING_NUM", { index: ring, value }));
  },
  base: (guest, ring, choice) => {
    guest.control.send(
      vringStateRequest("SET_VRING_BASE", { index: ring, value: pick([0, 0, 7, 65535, 65536, 0x8000_8000], choice) }),
    );
  },
  address: (guest, ring, choice) => {
    const { address } = ringOf(guest, ring + (choice % 5 === 4 ? 1 : 0));
    const shift = pick([0n, 0n, 0n, 4n, 1n, BigInt(MIB) - 64n, 1n << 60n], choice);
    const moved = { ...address, index: ring, used: address.used + shift };
    guest.control.send(vringAddressRequest(moved));
  },
  kick: (guest, ring, choice) => fdRequest("SET_VRING_KICK", guest, ring, choice),
  call: (guest, ring, choice) => fdRequest("SET_VRING_CALL", guest, ring, choice),
  error: (guest, ring, choice) => fdRequest("SET_VRING_ERR", guest, ring, choice),
  enable: (guest, ring, choice) => {
    guest.control.send(vringStateRequest("SET_VRING_ENABLE", { index: ring, value: pick([1, 1, 0, 2], choice) }));
  },
  stop: (guest, ring) => guest.control.send(vringStateRequest("GET_VRING_BASE", { index: ring, value: 0 })),
  reset: (guest, _ring, choice) => {
    const requests = [
      plainRequest("RESET_OWNER"),
      u64Request("SET_STATUS", choice % 3),
      plainRequest("RESET_DEVICE"),
      vringStateRequest("VRING_KICK", { index: choice % 5, value: 0 }),
      u64Request("NET_SET_MTU", choice * 100),
      rarpRequest(new Uint8Array(6)),
    ];
    guest.control.send(pick(requests, choice));
  },
  publish: (guest, ring, choice) => {
    const { available } = ringOf(guest, ring).ring;
    Atomics.add(available, 1, pick([1, 2, 30, 5000], choice));
    ringOf(guest, ring).kickAnyway();
  },
  scribble: (guest, ring, choice) => {
    const { descriptors, available } = ringOf(guest, ring).ring;
    const flags = pick([0, 2, 1 | (3 << 16), 4, 0xffff_ffff], choice);
    descriptors.set(
      [0x4000_0000 + 0x30_000 + choice * 64, 0, pick([100, 1526, 0, 0xffff_ffff], choice), flags],
      4 * (choice % 8),
    );
    available[2 + (choice % 256)] = choice % 8;
  },
  send: (guest, _ring, choice) => {
    // Full, or of a driver whose ring was used up by what it did before: then not.
    if (guest.tx.queue.freeCount < 4 || guest.tx.queue.brokenReason !== 0) return;
    guest.tx.send(testFrame(60 + choice), pick([[], [12], [1, 40]], choice));
    guest.tx.kick();
  },
  slots: (guest, _ring, choice) => {
    const regions = [
      ...guest.ram.table,
      { guestAddress: 1n << 33n, userAddress: 0n, sizeBytes: 4096n, mmapOffset: 0n },
    ];
    const region = pick(regions, choice);
    const request = choice % 3 === 0 ? "REM_MEM_REG" : "ADD_MEM_REG";
    guest.control.send(memoryRegionRequest(request, region), [guest.ram.file.fd]);
  },
  log: (guest, ring, choice) => {
    const area = { sizeBytes: pick([65536n, 33792n, 10n, 1n << 40n], choice), mmapOffset: pick([0n, 4096n, 7n], ring) };
    if (choice % 4 !== 3) guest.control.send(logBaseRequest(area), [guest.ram.file.fd]);
    else guest.control.send(plainRequest("SET_LOG_FD"), [guest.rx.callFd]);
    const address = { ...ringOf(guest, ring).address, index: ring, flags: 1, logAddress: BigInt(choice) << 22n };
    if (choice % 2 === 0) guest.control.send(vringAddressRequest(address));
  },
  inflight: (guest, ring, choice) => {
    const sizeBytes = pick([16512n, 100_000n, 64n, 1n << 50n], choice);
    const area = { sizeBytes, mmapOffset: BigInt(8 * ring), ringCount: pick([2, 1, 0, 4], ring), ringSize: 256 };
    if (choice % 3 === 0) guest.control.send(inflightRequest("GET_INFLIGHT_FD", area));
    else guest.control.send(inflightRequest("SET_INFLIGHT_FD", area), [guest.ram.file.fd]);
  },
  deliver: (_guest, _ring, choice, rig) => rig.backend.deliver(testFrame(60 + choice * 10)),
  work: (_guest, _ring, _choice, rig) => rig.pump(),
} as const satisfies Record<string, Act>;

/** MRG_RXBUF, PROTOCOL_FEATURES, VERSION_1, STATUS, LOG_ALL, RING_PACKED, IN_ORDER, the checksum features. */
const OFFERED = (1n << 15n) | (1n << 30n) | (1n << 32n) | (1n << 16n) | (1n << 26n) | (1n << 34n) | (1n << 35n) | 3n;

function fdRequest(
  name: "SET_VRING_KICK" | "SET_VRING_CALL" | "SET_VRING_ERR",
  guest: TestFrontEnd,
  ring: number,
  choice: number,
): void {
  const { kickFd, callFd } = ringOf(guest, ring);
  const hasFd = choice % 5 !== 4;
  const fd = pick([kickFd, kickFd, callFd, guest.ram.file.fd], choice);
  guest.control.send(vringFdRequest(name, { index: ring, hasFd }), hasFd ? [fd] : []);
}

const names = Object.keys(ACTS) as (keyof typeof ACTS)[];
const step: fc.Arbitrary<Step> = fc.tuple(
  fc.constantFrom(...names),
  fc.oneof({ weight: 12, arbitrary: fc.nat(1) }, fc.constantFrom(2, 3, 4, 255)),
  fc.nat(100),
);

const REGIONS = [0, 1].map((i) => ({
  guestAddress: 0x4000_0000 + i * MIB,
  userAddress: 0x7f00_0000_0000 + i * 2 * MIB,
  fileOffset: i * MIB,
  sizeBytes: MIB,
}));

/** What says that something went wrong in us, not in the message. */
const OWN_MISTAKE = /undefined|null|not a function|cannot take back|detached|out of bounds|no window|registration/;

test("whatever a front-end and its guest do, in any order: the device lives, and keeps nothing of them", () => {
  using rig = new DeviceRig({
    echo: true,
    features: { offer: featureMask(VirtioFeature.RING_PACKED, VirtioFeature.IN_ORDER), offerProtocol: 1n << 14n },
    capabilities: Capability.givesPartialChecksum | Capability.takesPartialChecksum,
  });
  const counts = (): unknown[] => [
    readdirSync("/proc/self/fd").length,
    readFileSync("/proc/self/maps", "utf8").split("memfd:").length,
    rig.windows.count,
    rig.loop.count,
  ];
  const before = counts();
  fc.assert(
    fc.property(fc.boolean(), fc.array(step, { maxLength: 60, size: "max" }), (booted, steps) => {
      rig.logged.length = 0;
      const guest = rig.frontEnd({ memoryBytes: 2 * MIB, regions: REGIONS });
      try {
        if (booted) guest.boot();
        if (booted) guest.offerBuffers(8);
        for (const [act, ring, choice] of steps) (ACTS[act] as Act)(guest, ring, choice, rig);
        rig.pump();
        while (guest.control.poll() !== null) expect(rig.device.state.connected).toBe(true);
        guest.settle();
        // Four rings with three descriptors each, the log's, and the back-end's channel.
        expect(rig.device.state.fds).toBeLessThanOrEqual(14);
        expect(rig.logged.filter((line) => OWN_MISTAKE.test(line))).toEqual([]);
      } finally {
        guest[Symbol.dispose]();
        rig.pump();
      }
      expect(counts()).toEqual(before);
    }),
    { numRuns: 300 },
  );
}, 60_000);
