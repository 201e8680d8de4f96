// Copying and setting bytes that lie in windows, as the data plane does.

import { Iov, IovPool } from "@passt-ts/iov/iov";
import { gather, memcopy, scatter } from "@passt-ts/iov/memcopy";
import { memset } from "@passt-ts/iov/memset";
import { WindowTable } from "@passt-ts/iov/windows";
import { mapAnonymous } from "@passt-ts/linux/mapped-memory";
import { copyBytesNatively } from "@passt-ts/linux/native-copy";
import type { Case } from "./case.ts";

const windowBytes = 256 * 1024;
const lengths = [54, 1460, 65_480] as const;

interface Place {
  readonly flat: number;
  readonly iov: Iov;
}

/** A flat window, and a list over another one whose entries are `entryBytes` long. */
function place(entryBytes: number): Place {
  const windows = new WindowTable(copyBytesNatively);
  const [flat, listed] = [mapAnonymous(windowBytes), mapAnonymous(windowBytes)].map((memory) => {
    const bytes = memory.bytes(0, windowBytes);
    bytes.fill(1);
    return windows.add(bytes, memory.address);
  });
  const entries = Math.floor(windowBytes / entryBytes);
  const pool = new IovPool(windows, entries);
  for (let i = 0; i < entries; i++) pool.append(listed, i * entryBytes, entryBytes);
  return { flat, iov: new Iov(pool, 0, entries) };
}

/** One entry, and the buffers of a driver without mergeable frames in mind. */
const entrySizes = [windowBytes, 1526] as const;

export const iovCases: readonly Case[] = entrySizes.flatMap((entryBytes) =>
  lengths.flatMap((lengthBytes) => {
    const shape = `${lengthBytes} bytes, ${entryBytes === windowBytes ? "one entry" : `entries of ${entryBytes}`}`;
    const of = (make: (at: Place) => () => unknown) => () => make(place(entryBytes));
    return [
      {
        name: `scatter ${shape}`,
        make: of(
          ({ flat, iov }) =>
            () =>
              scatter(iov, 12, flat, 0, lengthBytes),
        ),
      },
      {
        name: `gather ${shape}`,
        make: of(
          ({ flat, iov }) =>
            () =>
              gather(iov, 12, flat, 0, lengthBytes),
        ),
      },
      {
        name: `copy list to list, ${shape}`,
        make: of(
          ({ iov }) =>
            () =>
              memcopy(iov, 131_072, iov, 12, lengthBytes),
        ),
      },
      {
        name: `set ${shape}`,
        make: of(
          ({ iov }) =>
            () =>
              memset(iov, 12, 0, lengthBytes),
        ),
      },
    ];
  }),
);
