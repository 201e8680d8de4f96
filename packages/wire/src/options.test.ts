import { describe, expect, test } from "bun:test";
import {
  checkDhcpRequest,
  DHCP_MESSAGE_BYTES_MIN,
  Dhcp,
  DhcpOption,
  DhcpOptions,
  endDhcpOptions,
  writeDhcpOption,
  writeDhcpReply,
} from "./dhcp.ts";
import {
  checkDhcpv6Options,
  Dhcpv6Status,
  dhcpv6OptionLength,
  findDhcpv6Option,
  nextDhcpv6Option,
  writeDhcpv6IaAddress,
  writeDhcpv6Option,
  writeDhcpv6Status,
} from "./dhcpv6.ts";
import { DomainNameError, encodeDomainName, encodeSearchList } from "./domain-name.ts";
import { isMulticastIpv6 } from "./ip-address.ts";
import { multicastMacOf } from "./mac.ts";
import {
  checkNdpOptions,
  findNdpOption,
  isSolicitedNode,
  NdpOptionType,
  solicitedNodeOf,
  writeNdpDnsServers,
  writeNdpLinkLayer,
  writeNdpMtu,
  writeNdpPrefix,
  writeNdpSearchList,
} from "./ndp.ts";
import { bytesOf, hexOf, viewOf, written } from "./testing/frame-bytes.ts";

const hexPlain = (text: string) => text.replaceAll(/[^0-9a-f]/g, "");
const ascii = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0));

describe("domain names", () => {
  test("wire format", () => {
    expect(hexOf(encodeDomainName("vm.example.org"))).toBe(hexPlain("02 766d 07 6578616d706c65 03 6f7267 00"));
    expect(encodeDomainName("vm.example.org.")).toEqual(encodeDomainName("vm.example.org"));
  });

  test("the example of RFC 3397 section 2.1", () => {
    expect(hexOf(encodeSearchList(["eng.apple.com.", "marketing.apple.com."], true))).toBe(
      hexPlain("03 656e67 05 6170706c65 03 636f6d 00  09 6d61726b6574696e67 c004"),
    );
  });

  test("a search list is compressed only when asked", () => {
    const names = ["example.org", "sub.example.org", "other.ORG", "example.org"];
    const plain = names.map((name) => hexOf(encodeDomainName(name))).join("");
    expect(hexOf(encodeSearchList(names, false))).toBe(plain);
    const compressed = "07 6578616d706c65 03 6f7267 00  03 737562 c000  05 6f74686572 c008  c000";
    expect(hexOf(encodeSearchList(names, true))).toBe(hexPlain(compressed));
    expect(encodeSearchList([], true)).toHaveLength(0);
  });

  test.each(["", ".", "a..b", `${"a".repeat(64)}.org`, "a b", "ä.org", `${"a.".repeat(127)}a`])(
    "%p is refused",
    (name) => {
      expect(() => encodeDomainName(name)).toThrow(DomainNameError);
    },
  );

  test("the longest label and the longest name", () => {
    expect(encodeDomainName(`${"a".repeat(63)}.org`)).toHaveLength(69);
    expect(encodeDomainName(`${"a.".repeat(126)}a`)).toHaveLength(255);
  });
});

describe("neighbor discovery options", () => {
  const address = Uint32Array.of(7, 0x2001_0db8, 0xffff_ffff, 0xffff_ffff, 0xffff_ffff);

  test("written byte for byte", () => {
    expect(
      written((view, at) => writeNdpLinkLayer(view, at, NdpOptionType.targetLinkLayer, bytesOf("020000000001"))),
    ).toBe(hexPlain("02 01 020000000001"));
    expect(written((view, at) => writeNdpMtu(view, at, 65_520))).toBe(hexPlain("05 01 0000 0000fff0"));
    expect(written((view, at) => writeNdpDnsServers(view, at, 0xffff_ffff, [address.slice(1), address.slice(1)]))).toBe(
      hexPlain(`19 05 0000 ffffffff ${`20010db8${"f".repeat(24)}`.repeat(2)}`),
    );
    expect(written((view, at) => writeNdpSearchList(view, at, 9, bytesOf("01 61 00")))).toBe(
      hexPlain("1f 02 0000 00000009 016100 0000000000"),
    );
    expect(written((view, at) => writeNdpSearchList(view, at, 9, bytesOf("06 616263646566 00")))).toBe(
      hexPlain("1f 02 0000 00000009 06616263646566 00"),
    );
  });

  test.each([
    [0, "00000000 00000000 00000000 00000000"],
    [32, "20010db8 00000000 00000000 00000000"],
    [49, "20010db8 ffff8000 00000000 00000000"],
    [64, "20010db8 ffffffff 00000000 00000000"],
    [128, "20010db8 ffffffff ffffffff ffffffff"],
  ])("a prefix of %p bits has its host bits zero", (prefixLength, prefix) => {
    const hex = written((view, at) => writeNdpPrefix(view, at, prefixLength, 0xc0, 3, 2, address, 1));
    const length = prefixLength.toString(16).padStart(2, "0");
    expect(hex).toBe(hexPlain(`03 04 ${length} c0 00000003 00000002 00000000 ${prefix}`));
  });

  test("walked with bounds", () => {
    const good = bytesOf("05 01 0000 00000500  01 01 020000000001  0e 02 000000000000 0000000000000000");
    const view = viewOf(good);
    expect(checkNdpOptions(view, 0, 32)).toBe(true);
    expect(checkNdpOptions(view, 0, 0)).toBe(true);
    expect([5, 1, 14, 2].map((type) => findNdpOption(view, 0, 32, type))).toEqual([0, 8, 16, -1]);
    for (const end of [1, 7, 15, 24, 31]) expect(checkNdpOptions(view, 0, end)).toBe(false);
    good[9] = 0;
    expect(checkNdpOptions(view, 0, 32)).toBe(false);
  });
});

describe("DHCPv4", () => {
  const request = bytesOf(
    `01 01 06 00 11223344 0005 8000 c0000202 c0000203 c0000204 c0000205 020000000001 ${"bb".repeat(10)}
     ${"cc".repeat(192)} 63825363 35 01 01 00 00 39 02 05dc 32 04 c0000209 35 01 03 50 00 ff 0c 01 61`,
  );

  test("the fixed part of a request", () => {
    const view = viewOf(request);
    expect(checkDhcpRequest(view, 0, 236)).toBe(true);
    expect(checkDhcpRequest(view, 0, 235)).toBe(false);
    for (const i of [0, 1, 2]) {
      const bad = request.slice();
      bad[i] ^= 3;
      expect(checkDhcpRequest(viewOf(bad), 0, bad.length)).toBe(false);
    }
  });

  test("options are found once, up to the end option", () => {
    const view = viewOf(request);
    const options = new DhcpOptions();
    expect(options.parse(view, 0, request.length)).toBe(true);
    expect(options.byte(view, DhcpOption.messageType)).toBe(1);
    expect(options.word(view, DhcpOption.maximumMessageSize)).toBe(1500);
    expect(options.address(view, DhcpOption.requestedAddress)).toBe(0xc000_0209);
    expect(options.has(DhcpOption.rapidCommit)).toBe(true);
    expect(options.has(DhcpOption.hostName)).toBe(false);
    expect(options.byte(view, DhcpOption.maximumMessageSize)).toBe(-1);
    expect(options.word(view, DhcpOption.hostName)).toBe(-1);
    expect(options.address(view, DhcpOption.rapidCommit)).toBe(-1);
  });

  test("options that pass the end are refused, a message without cookie has none", () => {
    const view = viewOf(request);
    const options = new DhcpOptions();
    expect(options.parse(view, 0, Dhcp.options + 1)).toBe(false);
    expect(options.parse(view, 0, Dhcp.options + 2)).toBe(false);
    expect(options.parse(view, 0, Dhcp.options + 3)).toBe(true);
    expect(options.has(DhcpOption.maximumMessageSize)).toBe(false);
    expect(options.parse(view, 0, Dhcp.options - 1)).toBe(true);
    expect(options.has(DhcpOption.messageType)).toBe(false);
    const bootp = request.slice();
    bootp[Dhcp.cookie] = 0;
    expect(options.parse(viewOf(bootp), 0, bootp.length)).toBe(true);
    expect(options.has(DhcpOption.messageType)).toBe(false);
  });

  test("a reply, padded to 300 bytes", () => {
    const hex = written((view, at) => {
      const end = writeDhcpOption(view, writeDhcpReply(view, at, viewOf(request), 0), 12, ascii("vm"));
      return endDhcpOptions(view, end, at);
    });
    const start = `02 01 06 00 11223344 0000 8000 00000000 00000000 00000000 c0000205 020000000001 ${"bb".repeat(10)}`;
    const expected = hexPlain(`${start} ${"00".repeat(192)} 63825363 0c 02 766d ff`);
    expect(hex).toBe(expected.padEnd(2 * DHCP_MESSAGE_BYTES_MIN, "0"));
  });

  test("a long reply is not padded", () => {
    const hex = written((view, at) => {
      const end = writeDhcpOption(view, at + 298, 1, new Uint8Array(3));
      for (let i = 0; i < 298; i++) view.setUint8(at + i, 1);
      return endDhcpOptions(view, end, at);
    });
    expect(hex.slice(2 * 298)).toBe("0103000000ff");
  });
});

describe("DHCPv6", () => {
  test("options written byte for byte", () => {
    expect(written((view, at) => writeDhcpv6Option(view, at, 23, bytesOf("aabbcc")))).toBe("00170003aabbcc");
    const address = Uint32Array.of(7, 0x2001_0db8, 0, 0, 2);
    expect(written((view, at) => writeDhcpv6IaAddress(view, at, address, 1, 0xffff_ffff, 9))).toBe(
      hexPlain("0005 0018 20010db8000000000000000000000002 ffffffff 00000009"),
    );
    expect(written((view, at) => writeDhcpv6Status(view, at, Dhcpv6Status.notOnLink, ascii("no")))).toBe(
      hexPlain("000d 0004 0004 6e6f"),
    );
  });

  test("options walked with bounds", () => {
    const view = viewOf(bytesOf("0001 0002 aabb 0008 0000 0001 0001 cc"));
    expect(checkDhcpv6Options(view, 0, 15)).toBe(true);
    expect(checkDhcpv6Options(view, 0, 10)).toBe(true);
    expect(checkDhcpv6Options(view, 0, 0)).toBe(true);
    for (const end of [1, 3, 4, 5, 7, 12, 14]) expect(checkDhcpv6Options(view, 0, end)).toBe(false);
    expect([1, 8, 9].map((code) => findDhcpv6Option(view, 0, 15, code))).toEqual([0, 6, -1]);
    expect([dhcpv6OptionLength(view, 0), nextDhcpv6Option(view, 0)]).toEqual([2, 6]);
  });
});

describe("groups", () => {
  test("the solicited-node address of RFC 4291 section 2.7.1, and its MAC address by RFC 2464 section 7", () => {
    const group = new Uint32Array(4);
    solicitedNodeOf(Uint32Array.of(0x4037_0000, 0, 0x0001_0800, 0x200e_8c6c), group);
    expect([...group]).toEqual([0xff02_0000, 0, 1, 0xff0e_8c6c]);
    const mac = new Uint8Array(6);
    multicastMacOf(group, mac);
    expect(hexOf(mac)).toBe("3333ff0e8c6c");
  });

  test.each([
    ["ff020000000000000000000 1ff000001", true],
    ["ff020000000000000000000 1ff123456", true],
    ["ff020000000000000000000 1fe000001", false],
    ["ff020000000000000000000 0ff000001", false],
    ["ff050000000000000000000 1ff000001", false],
    ["ff020000000000010000000 1ff000001", false],
  ])("%s is a solicited-node address: %p", (text, expected) => {
    expect(isSolicitedNode(viewOf(bytesOf(hexPlain(text))), 0)).toBe(expected);
    expect(isMulticastIpv6(viewOf(bytesOf(hexPlain(text))), 0)).toBe(true);
  });

  test("one node is no group", () => {
    expect(isMulticastIpv6(viewOf(bytesOf(`fe80${"00".repeat(14)}`)), 0)).toBe(false);
  });
});
