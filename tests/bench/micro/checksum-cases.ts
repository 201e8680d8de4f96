// The Internet checksum by length, flat and over a list.

import { checksumBytes, sumIov } from "@passt-ts/checksum/checksum";
import { Iov, IovPool } from "@passt-ts/iov/iov";
import { WindowTable } from "@passt-ts/iov/windows";
import type { Case } from "./case.ts";

const lengths = [20, 64, 536, 1460, 8960, 65_480] as const;
const entryBytes = 1526;

function filled(): Uint8Array {
  return Uint8Array.from({ length: 80_000 }, (_, i) => (i * 31) & 255);
}

export const checksumCases: readonly Case[] = lengths.flatMap((lengthBytes) => [
  {
    name: `checksum of ${lengthBytes} bytes, flat`,
    make: () => {
      const view = new DataView(filled().buffer);
      return () => checksumBytes(view, 0, lengthBytes);
    },
  },
  {
    name: `sum of ${lengthBytes} bytes, entries of ${entryBytes}`,
    make: () => {
      const windows = new WindowTable();
      const window = windows.add(filled());
      const pool = new IovPool(windows, 64);
      for (let at = 0; at + entryBytes <= 80_000; at += entryBytes) pool.append(window, at, entryBytes);
      const iov = new Iov(pool, 0, pool.count);
      return () => sumIov(iov, 0, lengthBytes);
    },
  },
]);
