import { setNonBlocking } from "@passt-ts/linux/file-status";
import type { OwnedFd } from "@passt-ts/linux/owned-fd";

/**
 * Closes the descriptor that signals went to and returns the one that takes its place, made so that a write never holds
 * us. @throws SystemError when that cannot be; the new one is closed and the old one stays then.
 */
export function replaceFd(old: OwnedFd | null, fd: OwnedFd | null): OwnedFd | null {
  if (fd !== null) {
    try {
      setNonBlocking(fd.fd);
    } catch (error) {
      fd.close();
      throw error;
    }
  }
  old?.close();
  return fd;
}
