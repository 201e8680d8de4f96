// Messages of the vhost-user protocol, written and read.

import { memoryTableRequest, plainRequest, vringAddressRequest } from "@passt-ts/vhost-user-proto/front-end";
import { MessageReader } from "@passt-ts/vhost-user-proto/message-reader";
import { decodeMemoryTable, decodeVringAddress } from "@passt-ts/vhost-user-proto/payload";
import { FRONT_END_REQUESTS } from "@passt-ts/vhost-user-proto/requests";
import type { Case } from "./case.ts";

const address = { index: 1, flags: 0, descriptors: 0x1000n, available: 0x2000n, used: 0x3000n, logAddress: 0n };
const regions = Array.from({ length: 8 }, (_, i) => ({
  guestAddress: BigInt(i) << 30n,
  sizeBytes: 1n << 30n,
  userAddress: (BigInt(i) << 30n) + 0x7f00_0000_0000n,
  mmapOffset: BigInt(i) << 30n,
}));

/** Reads a message as it comes from a socket: header, then payload. */
function reading(bytes: Uint8Array, fds: number): () => unknown {
  const reader = new MessageReader(FRONT_END_REQUESTS);
  return () => {
    let read = null;
    for (let at = 0; read === null; ) {
      const end = at + reader.wantedBytes;
      read = reader.feed(bytes.subarray(at, end), at === 0 ? fds : 0);
      at = end;
    }
    if (read.kind === "refusal") throw read.error;
    return read;
  };
}

export const messageCases: readonly Case[] = [
  { name: "SET_VRING_ADDR written", make: () => () => vringAddressRequest(address) },
  { name: "SET_MEM_TABLE of 8 regions written", make: () => () => memoryTableRequest(regions) },
  { name: "GET_FEATURES read", make: () => reading(plainRequest("GET_FEATURES"), 0) },
  { name: "SET_VRING_ADDR read", make: () => reading(vringAddressRequest(address), 0) },
  { name: "SET_MEM_TABLE of 8 regions read", make: () => reading(memoryTableRequest(regions), regions.length) },
  {
    name: "payload of SET_VRING_ADDR decoded",
    make: () => {
      const payload = vringAddressRequest(address).subarray(12);
      return () => decodeVringAddress(payload);
    },
  },
  {
    name: "payload of SET_MEM_TABLE decoded",
    make: () => {
      const payload = memoryTableRequest(regions).subarray(12);
      return () => decodeMemoryTable(payload);
    },
  },
];
