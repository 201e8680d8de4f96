import type { NetBackend } from "./backend.ts";

/** A kind of back-end, and how one is made. */
export interface BackendKind<Context> {
  /** Names that begin with this are of this kind: `sockets`, `tap:`. */
  readonly prefix: string;
  /**
   * Says whether a name makes sense, without making anything. Left out where every name with the prefix does.
   *
   * @throws BackendNameError when it does not.
   */
  check?(name: string): void;
  /**
   * Makes one. It owns what it opens until {@link NetBackend.close}; when it throws, nothing stays open.
   *
   * @param name the whole name, prefix included.
   * @throws BackendNameError when the rest of the name makes no sense.
   */
  create(name: string, context: Context): NetBackend;
}

/** No kind of back-end has a name like this. */
export class UnknownBackendError extends Error {
  readonly code = "BACKEND_UNKNOWN" as const;

  constructor(name: string, prefixes: readonly string[]) {
    super(`no back-end is named "${name}"; there ${prefixes.length === 1 ? "is" : "are"} ${list(prefixes)}`);
    this.name = "UnknownBackendError";
  }
}

/** A name that its kind of back-end cannot serve: misspelt, reserved, or of another system. */
export class BackendNameError extends Error {
  readonly code = "BACKEND_NAME" as const;

  constructor(name: string, problem: string) {
    super(`back-end "${name}": ${problem}`);
    this.name = "BackendNameError";
  }
}

/**
 * An explicit, ordered list of kinds of back-ends; the first one whose prefix begins a name is chosen.
 *
 * `Context` is what all of them need to be made; the registry only passes it on.
 */
export class BackendRegistry<Context> {
  readonly #kinds: readonly BackendKind<Context>[];

  /** @throws RangeError when a kind could never be chosen, because an earlier prefix begins its own. */
  constructor(kinds: readonly BackendKind<Context>[]) {
    for (const [i, { prefix }] of kinds.entries()) {
      const earlier = kinds.slice(0, i).find((kind) => prefix.startsWith(kind.prefix));
      if (earlier !== undefined) throw new RangeError(`"${earlier.prefix}" hides the back-end "${prefix}"`);
    }
    this.#kinds = [...kinds];
  }

  /** The prefixes, first one first. */
  get prefixes(): string[] {
    return this.#kinds.map((kind) => kind.prefix);
  }

  /**
   * The kind of a name.
   *
   * @throws UnknownBackendError when there is none.
   */
  find(name: string): BackendKind<Context> {
    const kind = this.#kinds.find(({ prefix }) => name.startsWith(prefix));
    if (kind === undefined) throw new UnknownBackendError(name, this.prefixes);
    return kind;
  }

  /**
   * Says whether a back-end could have this name, without making it.
   *
   * @throws UnknownBackendError when there is none, and BackendNameError when its kind cannot serve the name.
   */
  check(name: string): void {
    this.find(name).check?.(name);
  }

  /**
   * Makes the back-end of a name.
   *
   * @throws UnknownBackendError when there is none, and what the kind throws.
   */
  create(name: string, context: Context): NetBackend {
    this.check(name);
    return this.find(name).create(name, context);
  }
}

function list(prefixes: readonly string[]): string {
  return prefixes.length === 0 ? "none" : prefixes.map((prefix) => `"${prefix}"`).join(", ");
}
