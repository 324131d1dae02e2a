import { abortable } from '#mesh/async/abortable.ts';
import type { Clock } from '#mesh/async/clock.ts';
import { MeshError } from '#mesh/errors.ts';
import { ClientTally, keptOf } from '#mesh/fairness/client-tally.ts';
import { AdmissionGate } from '#mesh/process/admission-gate.ts';

/** Milliseconds for which a caller may stand still though others want the place of its item. */
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
 * The places of items that are being received, encoded or sent, or wait for that. A client that has many
 * finds none among the last ones, which are for others. When all are taken, one whose caller has neither
 * sent nor read anything for long is given away: a caller that stands still would keep everybody from the
 * encoder for as long as its connection lasts.
 */
export class ItemPlaces {
  readonly #options: ItemPlacesOptions;
  readonly #gate: AdmissionGate;
  readonly #tally = new ClientTally();
  /** Places whose callers are waited for, the one that has waited longest first. */
  readonly #still = new Set<Place>();

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

  /** Runs `work` at a place of a client; throws QUEUE_FULL if none is free or given away. */
  async *around<T>(
    client: string,
    work: (place: ItemPlace) => AsyncGenerator<T>,
  ): AsyncGenerator<T> {
    const place = this.#enter(client);
    try {
      yield* place.handedOn(work(place));
    } finally {
      place.leave();
    }
  }

  #enter(client: string): Place {
    const { maxItems, clock } = this.#options;
    if (this.#tally.isKept({ client, amount: 1 }, maxItems)) {
      if (!this.#giveOneAway((place) => place.client === client)) throw this.#kept(client);
    } else if (this.numInside >= maxItems) this.#giveOneAway(() => true);
    const leaveGate = this.#gate.enter();
    this.#tally.add(client, 1);
    const onLeave = () => {
      this.#tally.add(client, -1);
      leaveGate();
    };
    return new Place({ client, onLeave, still: this.#still, clock });
  }

  #kept(client: string): MeshError {
    const { maxItems } = this.#options;
    const message = `${this.#tally.of(client)} items of this client are being encoded or wait, and the last ${keptOf(maxItems)} places of ${maxItems} are for other clients`;
    return new MeshError('QUEUE_FULL', message, { retryAfterMs: this.#gate.expectedMs });
  }

  /** Gives the place of the caller away that has stood still longest; false if none has for long. */
  #giveOneAway(isAllowed: (place: Place) => boolean): boolean {
    const { maxItems, clock } = this.#options;
    const longest = [...this.#still].find(isAllowed);
    if (longest === undefined || clock.now() - longest.stillSinceMs < PATIENCE_MS) return false;
    const message = `the ${maxItems} places for items are taken, and this one was given away, since its caller neither sent nor read anything for ${PATIENCE_MS / 1000} s`;
    longest.giveAway(new MeshError('QUEUE_FULL', message));
    return true;
  }
}

interface PlaceOptions {
  readonly client: string;
  readonly onLeave: () => void;
  readonly still: Set<Place>;
  readonly clock: Clock;
}

class Place implements ItemPlace {
  readonly client: string;
  readonly #onLeave: () => void;
  readonly #still: Set<Place>;
  readonly #clock: Clock;
  readonly #lost = new AbortController();
  #isLeft = false;
  stillSinceMs = 0;

  constructor({ client, onLeave, still, clock }: PlaceOptions) {
    this.client = client;
    this.#onLeave = onLeave;
    this.#still = still;
    this.#clock = clock;
  }

  watched<T>(messages: AsyncIterator<T>): AsyncIterator<T> {
    return { next: () => this.#wait(messages.next()) };
  }

  /** Hands on what the work gives, and ends it if the place is given away before that is taken. */
  async *handedOn<T>(work: AsyncGenerator<T>): AsyncGenerator<T> {
    const { signal } = this.#lost;
    // The work stands at what it gave last, and whoever is to take that may never come back.
    const stop = () => void work.return(undefined).catch(() => {});
    for await (const given of work) {
      signal.addEventListener('abort', stop);
      this.#standStill();
      yield given;
      this.#goOn();
      signal.removeEventListener('abort', stop);
      signal.throwIfAborted();
    }
  }

  async #wait<T>(message: Promise<T>): Promise<T> {
    this.#standStill();
    try {
      return await abortable(message, this.#lost.signal);
    } finally {
      this.#goOn();
    }
  }

  #standStill(): void {
    this.stillSinceMs = this.#clock.now();
    this.#still.add(this);
  }

  #goOn(): void {
    this.#still.delete(this);
  }

  giveAway(why: MeshError): void {
    this.leave();
    this.#lost.abort(why);
  }

  leave(): void {
    if (this.#isLeft) return;
    this.#isLeft = true;
    this.#still.delete(this);
    this.#onLeave();
  }
}
