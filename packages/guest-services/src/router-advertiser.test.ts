import { describe, expect, test } from "bun:test";
import { DomainNameError } from "@passt-ts/wire/domain-name";
import { bytesOf, hexOf } from "@passt-ts/wire/testing/frame-bytes";
import type { RouterConfig } from "./router-advertisement.ts";
import { type AdvertiserConfig, RouterAdvertiser } from "./router-advertiser.ts";

const ourMac = bytesOf("9a559a559a55");
const guestMac = bytesOf("020000000001");
const allNodes = Uint32Array.of(0xff02_0000, 0, 0, 1);
const FRAME_BYTES_MAX = 14 + 1280;
const PREFIX_A = Uint32Array.of(0x2001_0db8, 0xa, 0, 5);
const PREFIX_B = Uint32Array.of(0x2001_0db8, 0xb, 0, 5);
const server = (last: number) => Uint32Array.of(0x2001_0db8, 0, 0, last);

const at = (router: RouterConfig | null, linkLocal = 1): AdvertiserConfig => ({
  ourMac,
  ourLinkLocal: Uint32Array.of(0xfe80_0000, 0, 0, linkLocal),
  router,
});

/** An advertisement taken apart: last byte of the source, router lifetime, options as `type:lifetime:content`. */
function readAdvertisement(frame: Uint8Array): string {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  const options: string[] = [];
  for (let option = 54 + 16; option < frame.length; option += 8 * frame[option + 1]) {
    const type = frame[option];
    const end = option + 8 * frame[option + 1];
    if (type === 3) {
      const times = [view.getUint32(option + 4), view.getUint32(option + 8)].map((time) => (time === 0 ? 0 : "∞"));
      options.push(
        `prefix ${view.getUint16(option + 22).toString(16)} ${times.join()} ${hexOf(frame.subarray(option + 24, option + 32))}`,
      );
    } else if (type === 25) {
      const servers = (end - option - 8) / 16;
      const last = Array.from({ length: servers }, (_, i) => frame[option + 8 + 16 * i + 15]);
      options.push(`dns ${view.getUint32(option + 4) === 0 ? 0 : "∞"} ${last.join()}`);
    } else if (type === 31) {
      const names = new TextDecoder().decode(frame.subarray(option + 8, end)).replaceAll(/[^a-z]+/gi, " ");
      options.push(`search ${view.getUint32(option + 4) === 0 ? 0 : "∞"} ${names.trim()}`);
    }
  }
  return [`from ${frame[37]}`, `lifetime ${view.getUint16(54 + 6)}`, ...options].join("; ");
}

/** What goes out until `untilMs`, each with its time in seconds. */
function sent(advertiser: RouterAdvertiser, untilMs: number): string[] {
  const frames: string[] = [];
  for (let count = 0; advertiser.deadlineMs <= untilMs && count < 100; count++) {
    const nowMs = advertiser.deadlineMs;
    if (!advertiser.due(nowMs, 0)) continue;
    const bytes = new Uint8Array(FRAME_BYTES_MAX);
    const length = advertiser.writeDue(new DataView(bytes.buffer), 0, guestMac, allNodes);
    frames.push(`${nowMs / 1000}: ${readAdvertisement(bytes.subarray(0, length))}`);
  }
  return frames;
}

const solicited = (advertiser: RouterAdvertiser) => {
  const bytes = new Uint8Array(FRAME_BYTES_MAX);
  const length = advertiser.write(new DataView(bytes.buffer), 0, guestMac, allNodes);
  return readAdvertisement(bytes.subarray(0, length));
};

function running(config: AdvertiserConfig): RouterAdvertiser {
  const advertiser = new RouterAdvertiser(config);
  advertiser.start(0, 0);
  return advertiser;
}

const FULL: RouterConfig = {
  prefix: PREFIX_A,
  dnsServers: [server(1), server(2)],
  searchDomains: ["old.example", "kept.example"],
};

describe("news", () => {
  test("go out at once and twice again, then the usual times hold", () => {
    const advertiser = running(at({ prefix: PREFIX_A }));
    advertiser.configure(at({ prefix: PREFIX_A, dnsServers: [server(1)] }), 5000);
    const news = "from 1; lifetime 65535; prefix a ∞,∞ 0000000000000000; dns ∞ 1";
    expect(sent(advertiser, 300_000)).toEqual([`5: ${news}`, `21: ${news}`, `37: ${news}`, `237: ${news}`]);
  });

  test("that are none change nothing", () => {
    const advertiser = running(at(FULL));
    advertiser.configure(at({ ...FULL, dnsServers: FULL.dnsServers?.slice() ?? [] }), 5000);
    expect(advertiser.deadlineMs).toBe(200_000);
  });

  test("wait for a guest to be there", () => {
    const advertiser = new RouterAdvertiser(at({ prefix: PREFIX_A }));
    advertiser.configure(at({ prefix: PREFIX_B }), 5000);
    expect(advertiser.deadlineMs).toBe(Number.POSITIVE_INFINITY);
    expect(solicited(advertiser)).toContain("prefix b ∞,∞");
  });
});

describe("what holds no longer", () => {
  test("prefix, servers and names are taken back beside the new ones, also when solicited", () => {
    const advertiser = running(at(FULL));
    advertiser.configure(
      at({ prefix: PREFIX_B, dnsServers: [server(2), server(3)], searchDomains: ["Kept.Example.", "new.example"] }),
      1000,
    );
    const expected = [
      "from 1; lifetime 65535; prefix b ∞,∞ 0000000000000000; dns ∞ 2,3; search ∞ Kept Example new example",
      "prefix a 0,0 0000000000000000; dns 0 1; search 0 old example",
    ].join("; ");
    expect(sent(advertiser, 1000)).toEqual([`1: ${expected}`]);
    expect(solicited(advertiser)).toBe(expected);
  });

  test("and holds again is not taken back any more", () => {
    const advertiser = running(at(FULL));
    advertiser.configure(at({ prefix: PREFIX_B }), 1000);
    advertiser.configure(at(FULL), 2000);
    const again = "from 1; lifetime 65535; prefix a ∞,∞ 0000000000000000; dns ∞ 1,2; search ∞ old example kept example";
    expect(solicited(advertiser)).toBe(`${again}; prefix b 0,0 0000000000000000`);
  });

  test("the latest four prefixes and eight servers are remembered", () => {
    const advertiser = running(at(FULL));
    for (let i = 0; i < 20; i++) {
      const prefix = Uint32Array.of(0x2001_0db8, 0x100 + i, 0, 0);
      advertiser.configure(at({ prefix, dnsServers: [server(100 + i)] }), 1000 + i);
    }
    const text = solicited(advertiser);
    expect(text.match(/prefix \w+ 0,0/g)).toEqual([
      "prefix 10f 0,0",
      "prefix 110 0,0",
      "prefix 111 0,0",
      "prefix 112 0,0",
    ]);
    expect(text).toContain("dns 0 111,112,113,114,115,116,117,118");
  });

  test("no way out any more: a lifetime of 0", () => {
    const advertiser = running(at(FULL));
    advertiser.configure(at({ ...FULL, isDefaultRouter: false }), 1000);
    expect(sent(advertiser, 1000)[0]).toContain("1: from 1; lifetime 0; prefix a ∞,∞");
  });
});

describe("a former address of ours", () => {
  test("says farewell in each round before the new one speaks", () => {
    const advertiser = running(at(FULL, 1));
    advertiser.configure(at({ ...FULL, dnsServers: [server(2)] }, 2), 1000);
    const farewell = "from 1; lifetime 0; dns 0 1,2; search 0 kept example old example";
    const own =
      "from 2; lifetime 65535; prefix a ∞,∞ 0000000000000000; dns ∞ 2; search ∞ old example kept example; dns 0 1";
    const rounds = [1, 17, 33].flatMap((time) => [`${time}: ${farewell}`, `${time}: ${own}`]);
    expect(sent(advertiser, 250_000)).toEqual([...rounds, `233: ${own}`]);
  });

  test("that comes back has said nothing", () => {
    const advertiser = running(at(FULL, 1));
    advertiser.configure(at(FULL, 2), 1000);
    advertiser.configure(at(FULL, 1), 1000);
    expect(sent(advertiser, 1000).map((text) => text.slice(0, 21))).toEqual([
      "1: from 2; lifetime 0",
      "1: from 1; lifetime 6",
    ]);
  });

  test("at most four say farewell", () => {
    const advertiser = running(at(FULL, 1));
    for (let i = 2; i < 12; i++) advertiser.configure(at(FULL, i), 1000);
    expect(sent(advertiser, 1000)).toHaveLength(5);
  });

  test("no router any more: a farewell that takes everything back, and then nothing", () => {
    const advertiser = running(at(FULL));
    advertiser.configure(at(null), 1000);
    const farewell = "from 1; lifetime 0; prefix a 0,0 0000000000000000; dns 0 1,2; search 0 kept example old example";
    expect(sent(advertiser, 1e6)).toEqual([`1: ${farewell}`, `17: ${farewell}`, `33: ${farewell}`]);
    expect(advertiser.write(new DataView(new ArrayBuffer(0)), 0, guestMac, allNodes)).toBe(0);
    advertiser.configure(at(FULL), 2e6);
    expect(sent(advertiser, 2e6)[0]).toContain("2000: from 1; lifetime 65535");
  });

  test("is nothing to a new guest", () => {
    const advertiser = running(at(FULL, 1));
    advertiser.configure(at(FULL, 2), 1000);
    advertiser.start(2000, 0);
    expect(sent(advertiser, 202_000)).toHaveLength(1);
  });
});

test.each([
  [{ dnsServers: Array.from({ length: 17 }, (_, i) => server(i)) }, RangeError],
  [{ dnsServers: [server(1)], searchDomains: ["a..b"] }, DomainNameError],
])("%p is refused, and what was configured before stays", (router, error) => {
  const advertiser = running(at(FULL));
  const before = solicited(advertiser);
  expect(() => advertiser.configure(at(router, 2), 1000)).toThrow(error);
  expect([solicited(advertiser), advertiser.deadlineMs]).toEqual([before, 200_000]);
});
