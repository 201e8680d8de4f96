import { expect, test } from "bun:test";
import { encodeConfig } from "./config-payload.ts";
import { VhostUserError } from "./error.ts";
import { featureMask, ProtocolFeature, VirtioFeature } from "./features.ts";
import { FrontEndSession } from "./front-end-session.ts";
import { encodeReply } from "./header.ts";
import type { Message } from "./message-reader.ts";
import {
  decodeU64,
  decodeVringAddress,
  encodeInflightArea,
  encodeLogArea,
  encodeU64,
  encodeVringState,
} from "./payload.ts";
import { FrontEndRequest } from "./requests.ts";
import { readWhole, ScriptedBackEnd } from "./testing/scripted-back-end.ts";

const { MQ, REPLY_ACK, BACKEND_REQ, INBAND_NOTIFICATIONS, LOG_SHMFD } = ProtocolFeature;
const FEATURES = featureMask(VirtioFeature.PROTOCOL_FEATURES, VirtioFeature.VERSION_1);
const ADDRESS = { index: 1, flags: 0, descriptors: 1n, used: 2n, available: 3n, logAddress: 4n };
const SETUP = { size: 256, base: 7, address: ADDRESS, kickFd: 10, callFd: 11, errorFd: 12 };

/** A session that has agreed on features, and what its back-end is asked from then on. */
function negotiated(protocolFeatures: bigint): { session: FrontEndSession; backEnd: ScriptedBackEnd } {
  const backEnd = new ScriptedBackEnd({
    GET_FEATURES: encodeU64(FEATURES),
    GET_PROTOCOL_FEATURES: encodeU64(protocolFeatures),
  });
  const session = new FrontEndSession(backEnd);
  session.negotiate();
  backEnd.take();
  return { session, backEnd };
}

test("negotiates what both sides have, in the order of the specification", () => {
  const backEnd = new ScriptedBackEnd({ GET_FEATURES: encodeU64(FEATURES), GET_PROTOCOL_FEATURES: encodeU64(0x229) });
  const session = new FrontEndSession(backEnd);
  session.negotiate({ features: featureMask(VirtioFeature.VERSION_1, VirtioFeature.EVENT_IDX), protocolFeatures: 9n });
  expect(backEnd.take().map(({ name }) => name)).toEqual([
    "GET_FEATURES",
    "GET_PROTOCOL_FEATURES",
    "SET_PROTOCOL_FEATURES",
    "SET_OWNER",
    "SET_FEATURES",
  ]);
  expect([session.features, session.protocolFeatures]).toEqual([featureMask(VirtioFeature.VERSION_1), 9n]);
  expect([session.has(MQ), session.has(ProtocolFeature.CONFIG)]).toEqual([true, false]);
});

test("a back-end without protocol features is not asked for them, and its rings need no enabling", () => {
  const backEnd = new ScriptedBackEnd({ GET_FEATURES: encodeU64(1) });
  const session = new FrontEndSession(backEnd);
  session.negotiate();
  session.startRing(SETUP);
  const names = backEnd.take().map(({ name }) => name);
  expect(names.slice(0, 3)).toEqual(["GET_FEATURES", "SET_OWNER", "SET_FEATURES"]);
  expect(names).not.toContain("SET_VRING_ENABLE");
});

test("a ring is set up whole before it is started; -1 says that there is no descriptor", () => {
  const { session, backEnd } = negotiated(featureMask(REPLY_ACK));
  session.startRing({ ...SETUP, errorFd: -1 });
  const sent = backEnd.take();
  expect(sent.map(({ name, fds }) => [name, ...fds])).toEqual([
    ["SET_VRING_NUM"],
    ["SET_VRING_BASE"],
    ["SET_VRING_ADDR"],
    ["SET_VRING_CALL", 11],
    ["SET_VRING_ERR"],
    ["SET_VRING_KICK", 10],
    ["SET_VRING_ENABLE"],
  ]);
  expect(sent.every(({ needReply }) => needReply)).toBe(true);
  expect(decodeVringAddress(sent[2]?.payload ?? new Uint8Array(0))).toEqual(ADDRESS);
  expect(decodeU64(sent[4]?.payload ?? new Uint8Array(0))).toBe(0x101n);
});

test("with in-band notifications a ring without descriptors is started by a message", () => {
  const { session, backEnd } = negotiated(featureMask(REPLY_ACK, BACKEND_REQ, INBAND_NOTIFICATIONS));
  session.startRing({ ...SETUP, kickFd: -1, callFd: -1, errorFd: -1 });
  expect(backEnd.take().map(({ name }) => name)).toEqual([
    "SET_VRING_NUM",
    "SET_VRING_BASE",
    "SET_VRING_ADDR",
    "VRING_KICK",
    "SET_VRING_ENABLE",
  ]);
  // They need two other features: without these they are not taken.
  expect(negotiated(featureMask(REPLY_ACK, INBAND_NOTIFICATIONS)).session.has(INBAND_NOTIFICATIONS)).toBe(false);
});

test("without REPLY_ACK requests are only sent, and the reply of SET_LOG_BASE depends on LOG_SHMFD", () => {
  const { session, backEnd } = negotiated(0n);
  session.setMemory([], []);
  session.setLog({ sizeBytes: 1n, mmapOffset: 0n }, 5);
  expect(backEnd.take().map(({ name, needReply, fds }) => [name, needReply, ...fds])).toEqual([
    ["SET_MEM_TABLE", false],
    ["SET_LOG_BASE", false, 5],
  ]);
  const logged = negotiated(featureMask(LOG_SHMFD));
  logged.backEnd.answers.SET_LOG_BASE = new Uint8Array(0);
  logged.session.setLog({ sizeBytes: 1n, mmapOffset: 0n }, 5);
  expect(logged.backEnd.take()).toHaveLength(1);
});

test("what the back-end answers is decoded; a reply about another ring is not taken", () => {
  const { session, backEnd } = negotiated(featureMask(REPLY_ACK));
  const area = { sizeBytes: 4096n, mmapOffset: 8n, ringCount: 2, ringSize: 64 };
  Object.assign(backEnd.answers, {
    GET_VRING_BASE: encodeVringState({ index: 1, value: 0x80008000 }),
    GET_QUEUE_NUM: encodeU64(2),
    GET_MAX_MEM_SLOTS: encodeU64(32),
    GET_STATUS: encodeU64(0x1_0f),
    GET_CONFIG: encodeConfig({ offset: 0, flags: 0, contents: new Uint8Array([1, 2]) }),
    GET_INFLIGHT_FD: encodeInflightArea(area),
  });
  expect(session.stopRing(1)).toBe(0x80008000);
  expect(() => session.stopRing(0)).toThrow("ring 1, 0 was asked");
  expect([session.queueCount(), session.memorySlots(), session.status()]).toEqual([2n, 32n, 0x0f]);
  expect([...session.readConfig(0, 2)]).toEqual([1, 2]);
  expect(() => session.getInflight(2, 64)).toThrow("no file descriptor came");
  backEnd.fd = 77;
  expect(session.getInflight(2, 64)).toEqual({ area, fd: 77 });
});

test("a refusal is thrown with the name of the request, and costs nothing but that", () => {
  const { session, backEnd } = negotiated(featureMask(REPLY_ACK));
  backEnd.answers.SET_VRING_ENABLE = encodeU64(1);
  const refused = (): void => session.enableRing(0, true);
  expect(refused).toThrow("SET_VRING_ENABLE was refused with 1");
  try {
    refused();
  } catch (error) {
    expect(error instanceof VhostUserError && [error.code, error.action()]).toEqual(["REFUSED_BY_PEER", "refuse"]);
  }
  // An answer to something else is no answer.
  backEnd.receive = () => readWhole(encodeReply(FrontEndRequest.GET_STATUS, encodeU64(0))) as Message;
  expect(() => session.setMtu(1500)).toThrow("reply to GET_STATUS, NET_SET_MTU was sent");
});

test("an empty reply where one is due is a refusal, of this request and no other", () => {
  const { session, backEnd } = negotiated(featureMask(REPLY_ACK));
  const none = new Uint8Array(0);
  const asks: [keyof typeof FrontEndRequest, () => void][] = [
    ["GET_CONFIG", () => session.readConfig(0, 2)],
    ["GET_INFLIGHT_FD", () => session.getInflight(2, 64)],
    ["GET_VRING_BASE", () => session.stopRing(1)],
    ["GET_QUEUE_NUM", () => session.queueCount()],
    ["SET_VRING_ENABLE", () => session.enableRing(0, true)],
  ];
  for (const [name, ask] of asks) {
    backEnd.answers[name] = none;
    expect(ask).toThrow(`${name} was refused with an empty reply`);
    expect(codeOf(ask)).toBe("REFUSED_BY_PEER");
  }
  backEnd.receive = () => readWhole(encodeReply(FrontEndRequest.GET_CONFIG, none));
  expect(codeOf(() => session.stopRing(1))).toBe("UNEXPECTED_REPLY");
});

test("a dirty log that was refused is not taken for one that is there; an empty reply, or the area, is a success", () => {
  const { session, backEnd } = negotiated(featureMask(LOG_SHMFD));
  const area = { sizeBytes: 1n, mmapOffset: 0n };
  backEnd.answers.SET_LOG_BASE = encodeU64(1);
  expect(() => session.setLog(area, 5)).toThrow("SET_LOG_BASE was refused with 1");
  expect(codeOf(() => session.setLog(area, 5))).toBe("REFUSED_BY_PEER");
  for (const accepted of [new Uint8Array(0), encodeU64(0), encodeLogArea(area)]) {
    backEnd.answers.SET_LOG_BASE = accepted;
    session.setLog(area, 5);
  }
});

/** The code of the error that this throws. */
function codeOf(act: () => void): string {
  try {
    act();
  } catch (error) {
    if (error instanceof VhostUserError) return error.code;
  }
  return "none";
}

test("each other operation is the one request that it is named after", () => {
  const { session, backEnd } = negotiated(featureMask(REPLY_ACK));
  const region = { guestAddress: 0n, sizeBytes: 1n, userAddress: 0n, mmapOffset: 0n };
  const area = { sizeBytes: 4096n, mmapOffset: 8n, ringCount: 2, ringSize: 64 };
  session.addMemory(region, 3);
  session.removeMemory(region);
  session.setBackEndChannel(4);
  session.writeConfig(0, new Uint8Array(1), "migration");
  session.announce(new Uint8Array(6));
  session.setStatus(1);
  session.resetDevice();
  session.setInflight(area, 5);
  session.setLogFd(6);
  session.settle();
  expect(backEnd.take().map(({ name, fds }) => [name, ...fds])).toEqual([
    ["ADD_MEM_REG", 3],
    ["REM_MEM_REG"],
    ["SET_BACKEND_REQ_FD", 4],
    ["SET_CONFIG"],
    ["SEND_RARP"],
    ["SET_STATUS"],
    ["RESET_DEVICE"],
    ["SET_INFLIGHT_FD", 5],
    ["SET_LOG_FD", 6],
    ["GET_FEATURES"],
  ]);
});
