/** More frames than this are never lost one after the other: 7 resends must be enough. */
const LOST_IN_A_ROW_MAX = 3;
/** How far in front of its turn an item may arrive. */
const REORDER_ITEMS = 4;

export interface BadLinkOptions {
  /** Probabilities from 0 to 1. */
  readonly loss: number;
  readonly duplication: number;
  readonly reordering: number;
  /** 0 to 1. */
  readonly random: () => number;
}

/** One direction of a link that loses, repeats and reorders. */
export class BadLink<Item> {
  readonly #options: BadLinkOptions;
  #queue: Item[] = [];
  #lostInARow = 0;

  constructor(options: BadLinkOptions) {
    this.#options = options;
  }

  get length(): number {
    return this.#queue.length;
  }

  push(item: Item): void {
    const { loss, duplication, random } = this.#options;
    if (random() < loss && this.#lostInARow < LOST_IN_A_ROW_MAX) {
      this.#lostInARow++;
      return;
    }
    this.#lostInARow = 0;
    this.#queue.push(item);
    if (random() < duplication) this.#queue.push(item);
  }

  /** Up to `count` items that arrive now. */
  take(count: number): Item[] {
    const { reordering, random } = this.#options;
    const taken: Item[] = [];
    while (taken.length < count && this.#queue.length > 0) {
      const at = random() < reordering ? Math.floor(random() * Math.min(REORDER_ITEMS, this.#queue.length)) : 0;
      taken.push(...this.#queue.splice(at, 1));
    }
    return taken;
  }

  /** Loses every item that `isLost` says. */
  lose(isLost: (item: Item) => boolean): void {
    this.#queue = this.#queue.filter((item) => !isLost(item));
  }
}
