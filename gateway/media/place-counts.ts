/** Who asks for fetches: one object for each request. */
export interface Asker {
  /** Name of the client; requests with an equal name share one client's part of the places. */
  readonly clientId: string;
}

/** A fetch that wants a place. */
export interface FetchWish {
  readonly asker: Asker;
  /** Host and port that is fetched from. */
  readonly host: string;
}

/** A fetch that has a place. */
export interface HeldPlace extends FetchWish {
  /** Time since which the place is held, milliseconds. */
  readonly sinceMs: number;
}

/** Numbers of places by client, request and host. */
export class PlaceCounts<P extends HeldPlace> {
  readonly #places: readonly P[];
  readonly #byClient = new Map<string, number>();
  readonly #byRequest = new Map<Asker, number>();
  readonly #byHost = new Map<string, number>();

  /** Takes the places from the oldest to the latest. */
  constructor(places: Iterable<P>) {
    this.#places = [...places];
    for (const { asker, host } of this.#places) {
      this.#byClient.set(asker.clientId, this.ofClient(asker.clientId) + 1);
      this.#byRequest.set(asker, this.ofRequest(asker) + 1);
      this.#byHost.set(host, this.ofHost(host) + 1);
    }
  }

  get all(): number {
    return this.#places.length;
  }

  ofClient(clientId: string): number {
    return this.#byClient.get(clientId) ?? 0;
  }

  ofRequest(asker: Asker): number {
    return this.#byRequest.get(asker) ?? 0;
  }

  ofHost(host: string): number {
    return this.#byHost.get(host) ?? 0;
  }

  /** Returns the numbers of one host's places. */
  at(host: string): PlaceCounts<P> {
    return new PlaceCounts(this.#places.filter((place) => place.host === host));
  }

  /**
   * Returns the oldest place of the client that has most, if `clientId` would still have fewer than
   * that client after one place has gone from there to here.
   */
  oldestOfHeaviest(clientId: string): P | undefined {
    const most = Math.max(0, ...this.#byClient.values());
    if (most <= this.ofClient(clientId) + 1) return undefined;
    return this.#places.find(({ asker }) => this.ofClient(asker.clientId) === most);
  }
}
