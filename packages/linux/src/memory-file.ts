import { libc, resultOf } from "./libc.ts";
import { nativeString } from "./native-buffer.ts";
import { OwnedFd } from "./owned-fd.ts";
import { orThrow } from "./system-error.ts";

/** File seals (fcntl(2), F_ADD_SEALS); a bit set. */
export const Seal = {
  /** No more seals can be added. */
  seal: 1,
  /** The file cannot get shorter: a mapping of it cannot end in SIGBUS. */
  shrink: 2,
  grow: 4,
  write: 8,
  futureWrite: 16,
} as const;

const MFD_CLOEXEC = 1;
const MFD_ALLOW_SEALING = 2;
const F_ADD_SEALS = 1033;
const F_GET_SEALS = 1034;

/** Makes an anonymous file of `sizeBytes` zero bytes that can be shared by its descriptor and sealed. @throws SystemError */
export function createMemoryFile(name: string, sizeBytes: number): OwnedFd {
  const path = nativeString(name);
  const file = new OwnedFd(orThrow(libc.memfd_create(path.address, MFD_CLOEXEC | MFD_ALLOW_SEALING), "memfd_create"));
  try {
    setFileSize(file.fd, sizeBytes);
  } catch (error) {
    file.close();
    throw error;
  }
  return file;
}

/** Sets the length of a file. @throws SystemError */
export function setFileSize(fd: number, sizeBytes: number): void {
  orThrow(libc.ftruncate(fd, sizeBytes), "ftruncate");
}

/** Adds {@link Seal} bits to a file made with sealing allowed. @throws SystemError */
export function addSeals(fd: number, seals: number): void {
  orThrow(libc.fcntl(fd, F_ADD_SEALS, seals), "fcntl");
}

/** The {@link Seal} bits of a file, or -errno: -EINVAL for a file that cannot be sealed. */
export function sealsOf(fd: number): number {
  return resultOf(libc.fcntl(fd, F_GET_SEALS, 0));
}
