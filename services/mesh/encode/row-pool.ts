import assert from 'node:assert/strict';

/** Places begin at multiples of this many bytes, as allocations of a GPU do. */
const ALIGNMENT = 256;

/** A stretch of a pool. */
interface Stretch {
  readonly offset: number;
  readonly numBytes: number;
}

/**
 * A place in a row pool. It is taken until everybody who holds it has released it, or until the garbage
 * collector finds that nobody can any more.
 */
export class RowLease {
  /** Byte of the pool at which the place begins. */
  readonly offset: number;
  readonly numBytes: number;
  readonly #free: () => void;
  #numHolders = 1;

  constructor({ offset, numBytes }: Stretch, free: () => void) {
    this.offset = offset;
    this.numBytes = numBytes;
    this.#free = free;
  }

  /** Holds the place once more; who does so holds it already, or knows who does. */
  retain(): void {
    assert(this.#numHolders > 0, 'the place is free');
    this.#numHolders += 1;
  }

  release(): void {
    assert(this.#numHolders > 0, 'the place is free');
    this.#numHolders -= 1;
    if (this.#numHolders === 0) this.#free();
  }
}

export interface RowPoolOptions {
  readonly numBytes: number;
  /** Gives up a place that is kept for later only; returns false if there is none. */
  readonly reclaim: () => boolean;
}

/**
 * Says which bytes of a GPU's memory are whose. It touches no memory: what reads and writes it keeps
 * the order in which places are taken and freed.
 */
export class RowPool {
  readonly numBytes: number;
  readonly #reclaim: () => boolean;
  /** Free stretches in order; no two touch. */
  #free: Stretch[];
  readonly #lost = new FinalizationRegistry<() => void>((free) => free());

  constructor({ numBytes, reclaim }: RowPoolOptions) {
    this.numBytes = numBytes;
    this.#reclaim = reclaim;
    this.#free = numBytes > 0 ? [{ offset: 0, numBytes }] : [];
  }

  /** Bytes of places that are taken. */
  get takenBytes(): number {
    return this.numBytes - this.#free.reduce((sum, { numBytes }) => sum + numBytes, 0);
  }

  /** Takes a place, which the caller holds; undefined if there is no room for it. */
  take(numBytes: number): RowLease | undefined {
    const size = Math.ceil(numBytes / ALIGNMENT) * ALIGNMENT;
    if (size === 0 || size > this.numBytes) return undefined;
    do {
      const index = this.#free.findIndex((stretch) => stretch.numBytes >= size);
      if (index !== -1) return this.#takeFrom(index, { size, numBytes });
    } while (this.#reclaim());
    return undefined;
  }

  #takeFrom(
    index: number,
    { size, numBytes }: { readonly size: number; readonly numBytes: number },
  ): RowLease {
    const [found] = this.#free.splice(index, 1);
    assert(found !== undefined, 'the stretch is there');
    const { offset } = found;
    if (found.numBytes > size) {
      this.#free.splice(index, 0, { offset: offset + size, numBytes: found.numBytes - size });
    }
    const token = {};
    const giveBack = () => this.#giveBack({ offset, numBytes: size });
    const lease = new RowLease({ offset, numBytes }, () => {
      this.#lost.unregister(token);
      giveBack();
    });
    this.#lost.register(lease, giveBack, token);
    return lease;
  }

  #giveBack(freed: Stretch): void {
    const joined: Stretch[] = [];
    for (const stretch of [...this.#free, freed].sort((a, b) => a.offset - b.offset)) {
      const last = joined.at(-1);
      if (last === undefined || last.offset + last.numBytes < stretch.offset) joined.push(stretch);
      else joined.splice(-1, 1, { ...last, numBytes: last.numBytes + stretch.numBytes });
    }
    this.#free = joined;
  }
}
