import { encodeSearchList } from "@passt-ts/wire/domain-name";

/**
 * As many of `names`, from the first on, as fit `bytesMax` bytes in wire format.
 *
 * @param compress see `encodeSearchList`.
 * @throws DomainNameError for a name that has no wire format.
 */
export function fitSearchList(names: readonly string[], compress: boolean, bytesMax: number): Uint8Array {
  for (let count = names.length; count > 0; count--) {
    const bytes = encodeSearchList(names.slice(0, count), compress);
    if (bytes.length <= bytesMax) return bytes;
  }
  return new Uint8Array(0);
}
