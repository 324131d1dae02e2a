import assert from 'node:assert/strict';
import type { FairShares } from '#mesh/fairness/fair-shares.ts';
import type { Sequence } from './sequence.ts';
import type { Ticket } from './ticket.ts';

export interface OrderOptions {
  /** Waiting time that makes up for one step of priority, milliseconds. */
  readonly priorityAgingMs: number;
}

/**
 * The order in which sequences are served. A request ranks as if it had arrived one aging time
 * later for each step of its priority number, so a request of priority p is overtaken by those of
 * a lower number q only if they arrive less than p - q aging times after it.
 */
export class SequenceOrder {
  readonly #options: OrderOptions;
  readonly #shares: FairShares;

  constructor(options: OrderOptions, shares: FairShares) {
    this.#options = options;
    this.#shares = shares;
  }

  /** Returns the rank of a request; the lowest comes first. */
  rankOf({ arrivalMs, priority }: Pick<Ticket, 'arrivalMs' | 'priority'>): number {
    return arrivalMs + priority * this.#options.priorityAgingMs;
  }

  /** Inserts a sequence into a list in the order of rank, then arrival. */
  insert(list: Sequence[], sequence: Sequence): void {
    const index = list.findIndex((other) => this.#compareRanks(sequence, other) < 0);
    list.splice(index === -1 ? list.length : index, 0, sequence);
  }

  /**
   * Returns the waiting sequence that comes next: of each priority the one whose client has been
   * served least, and of these the one of lowest rank.
   */
  next(candidates: Iterable<Sequence>): Sequence | undefined {
    const firsts = new Map<number, Sequence>();
    for (const sequence of candidates) {
      const { priority } = sequence.ticket;
      const first = firsts.get(priority);
      if (first === undefined || this.#compareShares(sequence, first) < 0) {
        firsts.set(priority, sequence);
      }
    }
    let next: Sequence | undefined;
    for (const first of firsts.values()) {
      if (next === undefined || this.#compareRanks(first, next) < 0) next = first;
    }
    return next;
  }

  #compareShares(a: Sequence, b: Sequence): number {
    if (a.isDue !== b.isDue) return a.isDue ? -1 : 1;
    if (a.isDue) return this.#compareRanks(a, b);
    const [servedA, servedB] = [a, b].map(({ ticket }) => this.#shares.servedTo(ticket.client));
    return (servedA ?? 0) - (servedB ?? 0) || this.#compareRanks(a, b);
  }

  #compareRanks(a: Sequence, b: Sequence): number {
    return this.rankOf(a.ticket) - this.rankOf(b.ticket) || a.id - b.id;
  }
}

export function removeFrom(list: Sequence[], sequence: Sequence): void {
  const index = list.indexOf(sequence);
  assert(index !== -1, `sequence ${sequence.id} is not where its state says`);
  list.splice(index, 1);
}
