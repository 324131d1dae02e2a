import { abortable } from '#mesh/async/abortable.ts';
import type { Clock } from '#mesh/async/clock.ts';
import { MeshError } from '#mesh/errors.ts';
import { AdmissionGate } from '#mesh/process/admission-gate.ts';

/** Milliseconds for which a caller may be silent though others want the place of its item. */
const PATIENCE_MS = 3000;

/** The place of one item. */
export interface ItemPlace {
  /** Returns the caller's messages; a wait for one ends when the place is given to another item. */
  watched<T>(messages: AsyncIterator<T>): AsyncIterator<T>;
}

export interface ItemPlacesOptions {
  readonly maxItems: number;
  /** Message for an item that comes when the process drains. */
  readonly closed: string;
  readonly clock: Clock;
}

/**
 * The places of items that are being received, encoded or sent, or wait for that. When all are taken, one
 * whose caller has been silent for long is given away: a caller that stands still would keep everybody
 * from the encoder for as long as its connection lasts.
 */
export class ItemPlaces {
  readonly #options: ItemPlacesOptions;
  readonly #gate: AdmissionGate;
  /** Places whose callers are waited for, the one that has waited longest first. */
  readonly #silent = new Set<Place>();

  constructor(options: ItemPlacesOptions) {
    const { maxItems, closed } = options;
    const refusal = (retryAfterMs: number) => {
      const message = `${maxItems} items are being encoded or wait, at most ${maxItems} may`;
      return new MeshError('QUEUE_FULL', message, { retryAfterMs });
    };
    this.#options = options;
    this.#gate = new AdmissionGate({ closed, limit: { maxInside: maxItems, refusal } });
  }

  get numInside(): number {
    return this.#gate.numInside;
  }

  /** Runs `work` at a place; throws QUEUE_FULL if none is free or given away. */
  async *around<T>(work: (place: ItemPlace) => AsyncIterable<T>): AsyncGenerator<T> {
    const { maxItems, clock } = this.#options;
    if (this.numInside >= maxItems) this.#giveOneAway();
    const place = new Place(this.#gate.enter(), this.#silent, clock);
    try {
      yield* work(place);
    } finally {
      place.leave();
    }
  }

  #giveOneAway(): void {
    const { maxItems, clock } = this.#options;
    const [longest] = this.#silent;
    if (longest === undefined || clock.now() - longest.silentSinceMs < PATIENCE_MS) return;
    const message = `all ${maxItems} places for items are taken, and this one was given away, since nothing came of its caller for ${PATIENCE_MS / 1000} s`;
    longest.giveAway(new MeshError('QUEUE_FULL', message));
  }
}

class Place implements ItemPlace {
  readonly #leaveGate: () => void;
  readonly #silent: Set<Place>;
  readonly #clock: Clock;
  readonly #lost = new AbortController();
  #isLeft = false;
  silentSinceMs = 0;

  constructor(leaveGate: () => void, silent: Set<Place>, clock: Clock) {
    this.#leaveGate = leaveGate;
    this.#silent = silent;
    this.#clock = clock;
  }

  watched<T>(messages: AsyncIterator<T>): AsyncIterator<T> {
    return { next: () => this.#wait(messages.next()) };
  }

  async #wait<T>(message: Promise<T>): Promise<T> {
    this.silentSinceMs = this.#clock.now();
    this.#silent.add(this);
    try {
      return await abortable(message, this.#lost.signal);
    } finally {
      this.#silent.delete(this);
    }
  }

  giveAway(why: MeshError): void {
    this.leave();
    this.#lost.abort(why);
  }

  leave(): void {
    if (this.#isLeft) return;
    this.#isLeft = true;
    this.#silent.delete(this);
    this.#leaveGate();
  }
}
