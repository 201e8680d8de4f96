// Writes the archive format of initramfs images ("newc", described in the kernel's Documentation/driver-api/early-userspace).

const directory = 0o040755;
const file = 0o100644;
const executable = 0o100755;
const characterDevice = 0o020600;

export class CpioArchive {
  readonly #parts: Uint8Array[] = [];
  readonly #paths = new Set<string>();

  addDirectory(path: string): void {
    if (path === "" || this.#paths.has(path)) return;
    this.#addParent(path);
    this.#add(path, directory, new Uint8Array(0), 0, 0);
  }

  /** Parent directories are added as needed; a path that is there already is left as it is. */
  addFile(path: string, data: Uint8Array | string, mode: "file" | "executable" = "file"): void {
    if (this.#paths.has(path)) return;
    this.#addParent(path);
    const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
    this.#add(path, mode === "file" ? file : executable, bytes, 0, 0);
  }

  addCharacterDevice(path: string, major: number, minor: number): void {
    this.#addParent(path);
    this.#add(path, characterDevice, new Uint8Array(0), major, minor);
  }

  /** The finished archive. */
  finish(): Uint8Array {
    this.#add("TRAILER!!!", 0, new Uint8Array(0), 0, 0);
    return Buffer.concat(this.#parts);
  }

  #addParent(path: string): void {
    const slash = path.lastIndexOf("/");
    if (slash > 0) this.addDirectory(path.slice(0, slash));
  }

  #add(path: string, mode: number, data: Uint8Array, major: number, minor: number): void {
    const name = new TextEncoder().encode(`${path}\0`);
    const links = mode === directory ? 2 : 1;
    // inode, mode, uid, gid, links, time, size, device (major, minor), special device (major, minor), name size, check
    const fields = [this.#paths.size + 1, mode, 0, 0, links, 0, data.length, 0, 0, major, minor, name.length, 0];
    const header = `070701${fields.map((field) => field.toString(16).padStart(8, "0")).join("")}`;
    this.#paths.add(path);
    this.#parts.push(
      new TextEncoder().encode(header),
      name,
      padding(header.length + name.length),
      data,
      padding(data.length),
    );
  }
}

const padding = (length: number): Uint8Array => new Uint8Array((4 - (length % 4)) % 4);
