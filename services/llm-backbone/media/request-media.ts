import type { PlaceholderRange } from '#backbone/engine/placeholder-range.ts';
import { type Embedding, type RowSource, retain } from '#backbone/engine/row-source.ts';
import type { Seat } from '#mesh/async/single-flight.ts';
import { MeshError } from '#mesh/errors.ts';
import type { Embeddings, Encoding } from './embeddings.ts';
import { type EncodableItem, type ItemShape, mediaParam } from './media-item.ts';

/** The media items of one request, from their bytes to their rows. */
export class RequestMedia implements RowSource {
  readonly items: readonly EncodableItem[];
  readonly #embeddings: Embeddings;
  readonly #giveBack: () => void;
  /** By item: an encoding this request has a place in. */
  readonly #seats = new Map<EncodableItem, Seat<Encoding>>();
  readonly #closing = new AbortController();

  /** `giveBack` frees the room the bytes take, at `close`. */
  constructor(items: readonly EncodableItem[], embeddings: Embeddings, giveBack: () => void) {
    this.items = items;
    this.#embeddings = embeddings;
    this.#giveBack = giveBack;
  }

  /** Returns the shapes of all items; asks the encoders in parallel for those not remembered. */
  async shapes(): Promise<readonly ItemShape[]> {
    this.#closing.signal.throwIfAborted();
    return Promise.all(
      this.items.map(async (item, index) => {
        const known = this.#embeddings.shapeOf(item);
        return known ?? this.#join(item).work.planned.catch(nameItem(index));
      }),
    );
  }

  /**
   * Takes the rows from the embedding cache or encodes the item, whose bytes the request keeps for
   * that.
   */
  async rowsOf({ mediaIndex }: PlaceholderRange): Promise<Embedding> {
    this.#closing.signal.throwIfAborted();
    const item = this.items[mediaIndex];
    if (item === undefined)
      throw new RangeError(`media item ${mediaIndex} of ${this.items.length}`);
    if (!this.#seats.has(item)) {
      const cached = this.#embeddings.find(item);
      if (cached !== undefined) return held(cached);
    }
    const seat = this.#join(item);
    try {
      return held(await seat.work.finished.catch(nameItem(mediaIndex)));
    } finally {
      this.#seats.delete(item);
      seat.leave();
    }
  }

  /** Ends the streams that no other request waits for and frees the bytes. */
  close(): void {
    this.#closing.abort();
    for (const seat of this.#seats.values()) seat.leave();
    this.#seats.clear();
    this.#giveBack();
  }

  #join(item: EncodableItem): Seat<Encoding> {
    const seat = this.#seats.get(item) ?? this.#embeddings.encode(item);
    this.#seats.set(item, seat);
    return seat;
  }
}

/** Returns rows whose memory whoever gets them holds. */
function held(embedding: Embedding): Embedding {
  retain(embedding);
  return embedding;
}

/** Adds the request's own item to an error, which all that wait for the same content share. */
function nameItem(index: number): (error: unknown) => never {
  return (error) => {
    throw error instanceof MeshError ? error.about(mediaParam(index)) : error;
  };
}
