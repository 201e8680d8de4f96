import { expect, test } from "bun:test";
import {
  checkTcp,
  setTcpChecksum,
  Tcp,
  TcpFlag,
  TcpOptions,
  tcpAcknowledgment,
  tcpDestinationPort,
  tcpFlags,
  tcpSequence,
  tcpSourcePort,
  tcpWindow,
  writeTcp,
  writeTcpSynOptions,
} from "./tcp.ts";
import { bytesOf, viewOf, written } from "./testing/frame-bytes.ts";

const hexPlain = (text: string) => text.replaceAll(" ", "");

test("a SYN,ACK with the options MSS and window scale", () => {
  const flags = TcpFlag.syn | TcpFlag.ack;
  const hex = written((view, at) => {
    const end = writeTcp(view, at, 443, 0xc001, 0xffff_fffe, 0x8000_0001, flags, 0xfffd, 28);
    return end + writeTcpSynOptions(view, end, 61_440, 8);
  });
  expect(hex).toBe(hexPlain("01bb c001 fffffffe 80000001 70 12 fffd 0000 0000 0204f000 01030308"));
  const view = viewOf(bytesOf(hex));
  expect(checkTcp(view, 0, 28, 28)).toBe(28);
  expect([tcpSourcePort(view, 0), tcpDestinationPort(view, 0)]).toEqual([443, 0xc001]);
  expect([tcpSequence(view, 0), tcpAcknowledgment(view, 0)]).toEqual([0xffff_fffe, 0x8000_0001]);
  expect([tcpFlags(view, 0), tcpWindow(view, 0)]).toEqual([0x12, 0xfffd]);
  setTcpChecksum(view, 0, 0xabcd);
  expect(view.getUint16(Tcp.checksum)).toBe(0xabcd);
});

test("negative sequence numbers are taken modulo 2^32", () => {
  const hex = written((view, at) => writeTcp(view, at, 1, 2, -2, -1, TcpFlag.ack, 1));
  expect(hex).toBe(hexPlain("0001 0002 fffffffe ffffffff 50 10 0001 0000 0000"));
});

test("without a window scale only the MSS is written", () => {
  expect(written((view, at) => at + writeTcpSynOptions(view, at, 536, -1))).toBe("02040218");
});

test("the check of the header length", () => {
  const bytes = new Uint8Array(60);
  const check = (dataOffset: number, end: number, l4Length: number) => {
    bytes[Tcp.dataOffset] = dataOffset << 4;
    return checkTcp(viewOf(bytes), 0, end, l4Length);
  };
  expect(check(5, 20, 20)).toBe(20);
  expect(check(15, 60, 60)).toBe(60);
  expect(check(4, 60, 60)).toBe(-1);
  expect(check(5, 19, 20)).toBe(-1);
  expect(check(5, 60, 19)).toBe(-1);
  expect(check(6, 23, 60)).toBe(-1);
  expect(check(6, 60, 23)).toBe(-1);
});

test.each([
  ["", -1, -1],
  ["02 04 05 b4", 1460, -1],
  ["01 01 03 03 07 00 02 04", -1, 7],
  ["02 04 05 b4 04 02 08 0a 00 00 00 01 00 00 00 00 01 03 03 0e", 1460, 14],
  ["03 03 ff 01", -1, 14],
  ["00 02 04 05", -1, -1],
  ["02 03 05 b4", -1, -1],
  ["03 04 07 00 02 04 01 00", 256, -1],
  ["02 04 05 b4 03 00 00 00", 1460, -1],
  ["02 04 05 b4 08 01 00 00", 1460, -1],
  ["01 01 01 02", -1, -1],
  ["01 02 04 05", -1, -1],
  ["01 01 01 03 03 07 08 ff", -1, 7],
])("options %p give MSS %p and window scale %p", (options, maximumSegmentSize, windowScale) => {
  const bytes = bytesOf(`${"00".repeat(20)} ${options} ff ff ff ff`);
  const parsed = new TcpOptions();
  parsed.parse(viewOf(bytes), 0, bytes.length - 4);
  expect({ ...parsed }).toEqual({ maximumSegmentSize, windowScale });
});
