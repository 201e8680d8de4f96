import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** What each open descriptor of this process is, by number: a test that leaks one sees it here. */
export function openFiles(): Map<number, string> {
  const files = new Map<number, string>();
  for (const name of readdirSync("/proc/self/fd")) {
    try {
      files.set(Number(name), readlinkSync(`/proc/self/fd/${name}`));
    } catch {
      // The descriptor of the listing itself.
    }
  }
  return files;
}

/**
 * Waits until the runtime has closed what it opened to run other programs to their end: it does so a little later, and a
 * count taken before would be too high.
 */
export async function runtimeFilesClosed(): Promise<void> {
  await Bun.sleep(1);
}

/** How many descriptors this process has open. */
export function openFileCount(): number {
  return openFiles().size;
}

/** The lines of /proc/self/maps whose text contains `part`. */
export function mappingsOf(part: string): string[] {
  return readFileSync("/proc/self/maps", "utf8")
    .split("\n")
    .filter((line) => line.includes(part));
}
