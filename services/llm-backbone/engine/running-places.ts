import type { Sequence } from './sequence.ts';

/** How the places of sequences that run are spread over clients. */
export class RunningPlaces {
  readonly #running: readonly Sequence[];
  readonly #ofClient = new Map<string, number>();
  readonly #most: number;

  /** `running` is in the order of rank. */
  constructor(running: readonly Sequence[]) {
    this.#running = running;
    for (const { ticket } of running) {
      this.#ofClient.set(ticket.client, this.#placesOf(ticket.client) + 1);
    }
    this.#most = Math.max(0, ...this.#ofClient.values());
  }

  /**
   * Returns the running sequence that cedes its place to a waiting one: the last of a client with
   * most places, which must be at least two more than the newcomer's client has. So no place that
   * was ceded goes back for this reason, and clients with one each keep it. Sequences of a higher
   * priority stay, and those that would lose all that was computed: the prefix cache has no such rows.
   */
  cededTo({ ticket: { client, priority } }: Sequence): Sequence | undefined {
    const fewest = this.#placesOf(client) + 2;
    if (this.#most < fewest) return undefined;
    let ceding: Sequence | undefined;
    let most = fewest;
    for (const sequence of this.#running) {
      const numPlaces = this.#placesOf(sequence.ticket.client);
      if (numPlaces < most || sequence.ticket.priority < priority) continue;
      if (sequence.needsEveryRow) continue;
      ceding = sequence;
      most = numPlaces;
    }
    return ceding;
  }

  #placesOf(client: string): number {
    return this.#ofClient.get(client) ?? 0;
  }
}
