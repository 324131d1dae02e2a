import { abortable } from '#mesh/async/abortable.ts';
import { type Clock, systemClock } from '#mesh/async/clock.ts';
import { MeshError } from '#mesh/errors.ts';
import { type FetchWish, type HeldPlace, PlaceCounts } from './place-counts.ts';

/** Parts of all places that one host's and one client's fetches may take. */
const HOST_PART = 1 / 4;
const CLIENT_PART = 1 / 2;

/** Least number of places in a part, unless there are fewer in all. */
const MIN_PART = 2;

/** Time for which a place is safe from a client that has fewer, milliseconds. */
const SAFE_MS = 500;

interface Place extends HeldPlace {
  readonly displaced: AbortController;
}

interface Waiting extends FetchWish {
  readonly admit: (place: Place) => void;
}

/**
 * Shares out the fetches that run at the same time. Hosts and clients have a part each, so that
 * fetches that hang keep no place of another host's. A free place goes to the client that has
 * fewest, then to its request that has fewest. If none is free for a client, the client that has
 * most gives up its oldest, once that has had some time.
 */
export class FetchPlaces {
  readonly #limits: { readonly all: number; readonly host: number; readonly client: number };
  readonly #clock: Clock;
  readonly #running = new Set<Place>();
  /** In order of arrival. */
  readonly #waiting = new Set<Waiting>();
  #callOff = () => {};

  constructor(maxConcurrent: number, clock: Clock = systemClock) {
    const part = (share: number) =>
      Math.min(maxConcurrent, Math.max(MIN_PART, Math.ceil(maxConcurrent * share)));
    this.#limits = { all: maxConcurrent, host: part(HOST_PART), client: part(CLIENT_PART) };
    this.#clock = clock;
  }

  get numRunning(): number {
    return this.#running.size;
  }

  get numWaiting(): number {
    return this.#waiting.size;
  }

  /**
   * Runs `work` in a place of its own. The signal that it gets also aborts, with QUEUE_FULL, when
   * the place is needed for a client that has fewer.
   */
  async run<T>(
    wish: FetchWish,
    signal: AbortSignal,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const place = await this.#enter(wish, signal);
    try {
      return await work(AbortSignal.any([signal, place.displaced.signal]));
    } catch (error: unknown) {
      place.displaced.signal.throwIfAborted();
      throw error;
    } finally {
      this.#leave(place);
    }
  }

  async #enter({ asker, host }: FetchWish, signal: AbortSignal): Promise<Place> {
    signal.throwIfAborted();
    let admit = (_place: Place) => {};
    let place: Place | undefined;
    const admitted = new Promise<Place>((resolve) => {
      admit = (given) => {
        place = given;
        resolve(given);
      };
    });
    const waiting = { asker, host, admit };
    this.#waiting.add(waiting);
    this.#shareOut();
    try {
      return await abortable(admitted, signal);
    } catch (error: unknown) {
      this.#waiting.delete(waiting);
      // The fetch was admitted and aborted at the same moment.
      if (place !== undefined) this.#leave(place);
      throw error;
    }
  }

  #leave(place: Place): void {
    this.#running.delete(place);
    this.#shareOut();
  }

  /** Fills the free places, then makes room for clients that have a right to more. */
  #shareOut(): void {
    this.#callOff();
    this.#callOff = () => {};
    for (;;) {
      const next = this.#next();
      if (next !== undefined) {
        this.#admit(next);
        continue;
      }
      const due = this.#displacement();
      if (due === undefined) return;
      const leftMs = due.sinceMs + SAFE_MS - this.#clock.now();
      if (leftMs > 0) {
        this.#callOff = this.#clock.after(leftMs, () => this.#shareOut());
        return;
      }
      this.#running.delete(due);
      due.displaced.abort(displacedRefusal());
    }
  }

  #admit(waiting: Waiting): void {
    this.#waiting.delete(waiting);
    const { asker, host, admit } = waiting;
    const place = { asker, host, sinceMs: this.#clock.now(), displaced: new AbortController() };
    this.#running.add(place);
    admit(place);
  }

  /** Returns the waiting fetch to which a free place goes. */
  #next(): Waiting | undefined {
    const counts = new PlaceCounts(this.#running);
    const { all, host, client } = this.#limits;
    if (counts.all >= all) return undefined;
    let best: Waiting | undefined;
    let bestRank = Infinity;
    for (const one of this.#waiting) {
      const ofClient = counts.ofClient(one.asker.clientId);
      if (counts.ofHost(one.host) >= host || ofClient >= client) continue;
      // A request has no more places than its client, which has at most `all`.
      const rank = ofClient * (all + 1) + counts.ofRequest(one.asker);
      if (rank >= bestRank) continue;
      best = one;
      bestRank = rank;
    }
    return best;
  }

  /** Returns the place that is first to be given up for a waiting fetch, now or when it is older. */
  #displacement(): Place | undefined {
    const counts = new PlaceCounts(this.#running);
    const atHost = new Map<string, PlaceCounts<Place>>();
    let first: Place | undefined;
    for (const { asker, host } of this.#waiting) {
      if (counts.ofClient(asker.clientId) >= this.#limits.client) continue;
      const isHostFull = counts.ofHost(host) >= this.#limits.host;
      const contested = isHostFull ? (atHost.get(host) ?? counts.at(host)) : counts;
      if (isHostFull) atHost.set(host, contested);
      const place = contested.oldestOfHeaviest(asker.clientId);
      if (place !== undefined && place.sinceMs < (first?.sinceMs ?? Infinity)) first = place;
    }
    return first;
  }
}

function displacedRefusal(): MeshError {
  const message =
    'the media fetches of this server are all in use, most of them by you; try again shortly';
  return new MeshError('QUEUE_FULL', message);
}
