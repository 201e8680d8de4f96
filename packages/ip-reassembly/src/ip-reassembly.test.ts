import { describe, expect, test } from "bun:test";
import { FRAGMENTS_MAX } from "./fragment-list.ts";
import { REASSEMBLY_TIMEOUT_MS } from "./ip-reassembly.ts";
import { ReassemblyCounter } from "./reassembly-counter.ts";
import {
  type FragmentFields,
  fragmentFrame,
  GUEST_MAC,
  OUR_MAC,
  pattern,
  ReassemblyRig,
} from "./testing/reassembly-rig.ts";

const DATA = pattern(3000);
/** The three fragments of DATA over a link of 1500 bytes or less. */
const PARTS: readonly FragmentFields[] = [
  { first: 0, more: true, data: DATA.subarray(0, 1400) },
  { first: 1400, more: true, data: DATA.subarray(1400, 2800) },
  { first: 2800, data: DATA.subarray(2800) },
];
const FAMILIES = [
  ["IPv4", true],
  ["IPv6", false],
] as const;

const counter = (rig: ReassemblyRig, name: keyof typeof ReassemblyCounter): number =>
  rig.reassembly.counters[ReassemblyCounter[name]];

describe.each(FAMILIES)("%s", (_, v4) => {
  test.each(["012", "210", "120", "201"])(
    "fragments in the order %s become one packet with the first one's headers",
    (order) => {
      const rig = new ReassemblyRig();
      for (const [n, i] of [...order].map(Number).entries()) {
        expect(rig.take()).toEqual([]);
        rig.input({ ...PARTS[i], v4, hopLimit: i === 0 ? 9 : 64, protocol: 17 }, n === 1 ? [5, 21, 40, 300] : [1]);
      }
      const [whole, ...rest] = rig.take();
      expect(rest).toEqual([]);
      expect([whole.protocol, whole.hopLimit, [...whole.payload]]).toEqual([17, 9, [...DATA]]);
      expect([...whole.frame.subarray(0, 12)]).toEqual([...OUR_MAC, ...GUEST_MAC]);
      expect([counter(rig, "reassembled"), rig.reassembly.deadlineMs]).toEqual([1, Infinity]);
    },
  );

  test("options and extension headers of the fragments are left out of the packet", () => {
    const rig = new ReassemblyRig();
    // Router alert; a destination options header that only pads, with the fragment header behind it.
    const options = v4 ? [0x94, 4, 0, 0] : [44, 0, 1, 4, 0, 0, 0, 0];
    for (const part of PARTS) rig.input({ ...part, v4, options });
    const [whole] = rig.take();
    expect([whole.frame.length, [...whole.payload]]).toEqual([(v4 ? 34 : 54) + 3000, [...DATA]]);
  });

  test("the longest datagram passes, one byte more does not", () => {
    const rig = new ReassemblyRig();
    const longest = v4 ? 65515 : 65535;
    const data = pattern(longest + 1);
    const first = 65512 - (65512 % 8);
    for (let at = 0; at < 65000; at += 5000)
      rig.input({ v4, first: at, more: true, data: data.subarray(at, at + 5000) });
    rig.input({ v4, first: 65000, more: true, data: data.subarray(65000, first) });
    rig.input({ v4, first, data: data.subarray(first) });
    expect([rig.take(), counter(rig, "malformed")]).toEqual([[], 1]);
    rig.input({ v4, first, data: data.subarray(first, longest) });
    expect(rig.take().map(({ payload }) => Buffer.from(payload).equals(data.subarray(0, longest)))).toEqual([true]);
  });

  test("datagrams that differ in identification or addresses do not mix", () => {
    const rig = new ReassemblyRig({ slotCount: 8 });
    const kinds: FragmentFields[] = [{ identification: 5 }, { identification: 6 }, { identification: 5, host: 3 }];
    for (const part of [0, 2, 1]) {
      for (const [i, kind] of kinds.entries()) {
        const { data = [], ...place } = PARTS[part];
        rig.input({ ...place, ...kind, v4, data: Array.from(data, (byte) => byte ^ i) });
      }
    }
    const payloads = rig.take().map(({ payload }) => [...payload]);
    expect(payloads).toEqual([0, 1, 2].map((i) => Array.from(DATA, (byte) => byte ^ i)));
  });

  test("a fragment that repeats another exactly is ignored (RFC 8200 4.5)", () => {
    const rig = new ReassemblyRig();
    for (const i of [0, 0, 2, 2, 0, 1]) rig.input({ ...PARTS[i], v4 });
    expect([rig.take().length, counter(rig, "duplicates")]).toEqual([1, 3]);
  });

  test("fragments that overlap, by one block or whole, end the datagram, also what is still to come of it (RFC 5722)", () => {
    const overlaps: FragmentFields[] = [
      { first: 1392, more: true, data: pattern(1400) },
      { first: 0, more: true, data: pattern(8) },
      { first: 0, more: true, data: pattern(2800) },
      { first: 8, more: true, data: pattern(1400) },
    ];
    for (const overlap of overlaps) {
      const rig = new ReassemblyRig();
      rig.input({ ...PARTS[0], v4 });
      rig.input({ ...overlap, v4 });
      for (const part of PARTS) rig.input({ ...part, v4 });
      expect([rig.take(), counter(rig, "overlaps"), counter(rig, "ofRefused")]).toEqual([[], 1, 3]);
      // Nobody is told: silently, says the RFC. Afterwards the same identification is another datagram.
      expect(rig.pass(REASSEMBLY_TIMEOUT_MS)).toEqual([]);
      for (const part of PARTS) rig.input({ ...part, v4 });
      expect(rig.take().length).toBe(1);
    }
  });

  test("fragments that disagree about the end refuse the datagram", () => {
    const disagreeing: [FragmentFields, FragmentFields][] = [
      [PARTS[2], { first: 2800, data: pattern(300) }],
      [PARTS[2], { first: 3000, more: true, data: pattern(8) }],
      [PARTS[1], { first: 1400, data: pattern(16) }],
      [PARTS[2], { first: 800, data: pattern(16) }],
    ];
    for (const [one, other] of disagreeing) {
      const rig = new ReassemblyRig();
      rig.input({ ...one, v4 });
      rig.input({ ...other, v4 });
      for (const part of PARTS) rig.input({ ...part, v4 });
      expect([rig.take(), counter(rig, "inconsistent")]).toEqual([[], 1]);
    }
  });

  test("a fragment that is empty, of no multiple of 8 bytes, or shorter than it says is dropped", () => {
    const rig = new ReassemblyRig();
    rig.input({ v4, first: 8, data: [] });
    rig.input({ v4, more: true, data: pattern(1401) });
    expect([counter(rig, "malformed"), rig.reassembly.deadlineMs]).toEqual([2, Infinity]);
    rig.input({ ...PARTS[0], v4, missingBytes: 3 });
    expect(counter(rig, "malformed")).toBe(3);
    for (const part of PARTS) rig.input({ ...part, v4 });
    expect(rig.take()).toEqual([]);
  });

  test("more fragments than anybody needs refuse the datagram", () => {
    const rig = new ReassemblyRig();
    const part = (i: number): FragmentFields => ({ v4, first: 8 * i, more: i < FRAGMENTS_MAX, data: pattern(8) });
    for (let i = 1; i <= FRAGMENTS_MAX; i++) rig.input(part(i));
    rig.input({ ...part(0), more: true });
    expect([rig.take(), counter(rig, "tooMany")]).toEqual([[], 1]);
  });

  test("what is not whole after 60 s is given up, and the guest told with its first fragment quoted", () => {
    const rig = new ReassemblyRig();
    const sent = fragmentFrame({ ...PARTS[0], v4, identification: 0x1234 });
    rig.inputFrame(sent);
    rig.pass(1000);
    rig.input({ ...PARTS[2], v4, identification: 0x1234 });
    expect(rig.reassembly.deadlineMs).toBe(1000 + REASSEMBLY_TIMEOUT_MS);
    expect(rig.pass(REASSEMBLY_TIMEOUT_MS - 1001)).toEqual([]);
    const [error, ...rest] = rig.pass(1);
    expect([rest, rig.reassembly.deadlineMs, counter(rig, "expired")]).toEqual([[], Infinity, 1]);
    expect([...error.subarray(0, 14)]).toEqual([...GUEST_MAC, ...OUR_MAC, ...sent.subarray(12, 14)]);
    const icmpAt = v4 ? 34 : 54;
    expect([error[v4 ? 23 : 20], error[icmpAt], error[icmpAt + 1]]).toEqual(v4 ? [1, 11, 1] : [58, 3, 1]);
    expect(error.length).toBe(14 + (v4 ? 576 : 1280));
    expect([...error.subarray(icmpAt + 8)]).toEqual([...sent.subarray(14, 14 + error.length - icmpAt - 8)]);
    const [source, destination] = v4 ? [26, 30] : [22, 38];
    const addressBytes = destination - source;
    expect([...error.subarray(source, source + addressBytes)]).toEqual([
      ...sent.subarray(destination, destination + addressBytes),
    ]);
    expect(checksumsRight(error, v4)).toBe(true);
    rig.input({ ...PARTS[1], v4, identification: 0x1234 });
    expect(rig.take()).toEqual([]);
  });

  test("without its first fragment, or sent to a group, a datagram ends silently", () => {
    const rig = new ReassemblyRig();
    rig.input({ ...PARTS[1], v4 });
    rig.input({ ...PARTS[0], v4, destination: v4 ? [224, 0, 0, 251] : [0xff, 2, ...new Array(13).fill(0), 0xfb] });
    expect([rig.pass(REASSEMBLY_TIMEOUT_MS), counter(rig, "expired")]).toEqual([[], 2]);
  });
});

test("IPv4 tells datagrams apart by protocol, IPv6 does not: there the first fragment says it", () => {
  const four = new ReassemblyRig();
  four.input({ ...PARTS[0], protocol: 17 });
  four.input({ ...PARTS[1], protocol: 1 });
  four.input({ ...PARTS[2], protocol: 17 });
  expect(four.take()).toEqual([]);
  const six = new ReassemblyRig();
  six.input({ ...PARTS[2], v4: false, protocol: 0 });
  six.input({ ...PARTS[0], v4: false, protocol: 58 });
  six.input({ ...PARTS[1], v4: false, protocol: 6 });
  expect(six.take().map(({ protocol }) => protocol)).toEqual([58]);
});

test("memory is bounded: a new datagram takes the place of the oldest one that is not whole", () => {
  const rig = new ReassemblyRig({ slotCount: 4 });
  for (let id = 0; id < 6; id++) {
    rig.nowMs++;
    rig.input({ ...PARTS[0], identification: id });
  }
  expect(counter(rig, "evicted")).toBe(2);
  for (let id = 2; id < 6; id++) for (const i of [1, 2]) rig.input({ ...PARTS[i], identification: id });
  expect(rig.take().length).toBe(4);
});

test("whole datagrams keep their place until they are released: what finds none is dropped, not written over them", () => {
  const rig = new ReassemblyRig({ slotCount: 2 });
  const part = (id: number, i: number): void => rig.input({ ...PARTS[i], identification: id });
  for (const id of [1, 2]) for (const i of [0, 1, 2]) part(id, i);
  expect(rig.reassembly.isFull).toBe(true);
  part(3, 0);
  expect(counter(rig, "noRoom")).toBe(1);
  expect(rig.take().map(({ payload }) => [...payload])).toEqual([[...DATA], [...DATA]]);
  expect(rig.reassembly.isFull).toBe(false);
  for (const i of [0, 1, 2]) part(3, i);
  expect(rig.take().length).toBe(1);
});

test("a new guest's fragments never meet those of the old one", () => {
  const rig = new ReassemblyRig();
  rig.input(PARTS[0]);
  rig.input(PARTS[1]);
  rig.reassembly.reset();
  expect(rig.reassembly.deadlineMs).toBe(Infinity);
  rig.input(PARTS[2]);
  expect(rig.take()).toEqual([]);
});

test("an error that finds no room in the ring is left out", () => {
  const rig = new ReassemblyRig();
  rig.input(PARTS[0]);
  rig.sink.elements = 0;
  expect([rig.pass(REASSEMBLY_TIMEOUT_MS), counter(rig, "errorsToGuest"), counter(rig, "expired")]).toEqual([[], 0, 1]);
});

/** The one's complement sum, byte by byte. */
function slowSum(bytes: Uint8Array, initial = 0): number {
  let sum = bytes.reduce((total, byte, i) => total + (i % 2 === 0 ? byte * 256 : byte), initial);
  while (sum > 0xffff) sum = (sum % 0x10000) + Math.floor(sum / 0x10000);
  return sum;
}

function checksumsRight(error: Uint8Array, v4: boolean): boolean {
  if (v4) return slowSum(error.subarray(14, 34)) === 0xffff && slowSum(error.subarray(34)) === 0xffff;
  return slowSum(error.subarray(54), slowSum(error.subarray(22, 54), 58 + error.length - 54)) === 0xffff;
}
