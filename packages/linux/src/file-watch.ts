import { lstatSync, readlinkSync } from "node:fs";
import { basename, dirname, isAbsolute, join } from "node:path";
import { libc, resultOf } from "./libc.ts";
import { NativeBuffer, nativeString } from "./native-buffer.ts";
import { OwnedFd } from "./owned-fd.ts";
import { Errno, orThrow } from "./system-error.ts";

const IN_CLOEXEC = 0o2000000;
const IN_NONBLOCK = 0o4000;
const IN_MODIFY = 0x2;
const IN_ATTRIB = 0x4;
const IN_CLOSE_WRITE = 0x8;
const IN_MOVED_FROM = 0x40;
const IN_MOVED_TO = 0x80;
const IN_CREATE = 0x100;
const IN_DELETE = 0x200;
const IN_DELETE_SELF = 0x400;
const IN_MOVE_SELF = 0x800;
const IN_UNMOUNT = 0x2000;
const IN_Q_OVERFLOW = 0x4000;
const IN_IGNORED = 0x8000;

const FOLDER_EVENTS: number = IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF;
const FILE_EVENTS: number = IN_MODIFY | IN_ATTRIB | IN_CLOSE_WRITE | IN_DELETE_SELF | IN_MOVE_SELF;
/** Events about what is watched itself, whatever its name. */
const SELF_EVENTS: number = IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT;

/** struct inotify_event, in front of the name. */
const EVENT = { watch: 0, mask: 4, nameLength: 12, size: 16 } as const;
const BUFFER_BYTES = 16 * 1024;
/** As many as the kernel follows (path_resolution(7)). */
const LINKS_MAX = 40;

/**
 * Says when a file may read differently (inotify(7)): written, replaced, removed or created, itself or what a symbolic
 * link on the way to it points to, and also where the file is a mount of its own.
 */
export class FileWatch implements Disposable {
  readonly #path: string;
  readonly #inotify: OwnedFd;
  readonly #buffer: NativeBuffer = new NativeBuffer(BUFFER_BYTES);
  /** By watch: the name in a folder that counts, several in one folder; "" for the file itself. */
  readonly #names: Map<number, Set<string>> = new Map();

  /** @param path absolute; nothing need be there. @throws SystemError */
  constructor(path: string) {
    this.#path = path;
    this.#inotify = new OwnedFd(orThrow(libc.inotify_init1(IN_CLOEXEC | IN_NONBLOCK), "inotify_init1"));
    this.#arm();
  }

  /** For an event loop: readable when there is something to {@link FileWatch.take}. */
  get fd(): number {
    return this.#inotify.fd;
  }

  /** Takes all events so far; whether the file may read differently from now on. */
  take(): boolean {
    let changed = false;
    for (;;) {
      const length = resultOf(libc.read(this.#inotify.fd, this.#buffer.address, BUFFER_BYTES));
      if (length === -Errno.EINTR) continue;
      if (length <= 0) break;
      if (this.#concerns(length)) changed = true;
    }
    // What the path means may be another file by now.
    if (changed) this.#arm();
    return changed;
  }

  close(): void {
    this.#inotify.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #concerns(length: number): boolean {
    const { view, bytes } = this.#buffer;
    let concerns = false;
    for (let at = 0; at + EVENT.size <= length; ) {
      const mask = view.getUint32(at + EVENT.mask, true);
      const nameLength = view.getUint32(at + EVENT.nameLength, true);
      const names = this.#names.get(view.getInt32(at + EVENT.watch, true));
      const name = new TextDecoder().decode(bytes.subarray(at + EVENT.size, at + EVENT.size + nameLength));
      const isNamed = names?.has(name.replace(/\0+$/, "")) === true;
      if ((mask & IN_Q_OVERFLOW) !== 0) concerns = true;
      else if (names !== undefined && (mask & IN_IGNORED) === 0 && (isNamed || (mask & SELF_EVENTS) !== 0))
        concerns = true;
      at += EVENT.size + nameLength;
    }
    return concerns;
  }

  /** Watches what the path means now, and every name on the way to it; what was watched before is not. */
  #arm(): void {
    for (const watch of this.#names.keys()) libc.inotify_rm_watch(this.#inotify.fd, watch);
    this.#names.clear();
    let path = this.#path;
    for (let links = 0; links < LINKS_MAX; links++) {
      this.#watchName(path);
      const target = linkTargetOf(path);
      if (target === null) break;
      path = isAbsolute(target) ? target : join(dirname(path), target);
    }
    this.#add(this.#path, FILE_EVENTS, "");
  }

  /** Watches the folder of `path` for its name; where there is no such folder, the nearest one for what is missing. */
  #watchName(path: string): void {
    for (let at = path; dirname(at) !== at; at = dirname(at)) {
      if (this.#add(dirname(at), FOLDER_EVENTS, basename(at))) return;
    }
  }

  #add(path: string, events: number, name: string): boolean {
    const watch = resultOf(libc.inotify_add_watch(this.#inotify.fd, nativeString(path).address, events));
    if (watch < 0) return false;
    const names = this.#names.get(watch) ?? new Set();
    this.#names.set(watch, names.add(name));
    return true;
  }
}

function linkTargetOf(path: string): string | null {
  try {
    return lstatSync(path).isSymbolicLink() ? readlinkSync(path) : null;
  } catch {
    return null;
  }
}
