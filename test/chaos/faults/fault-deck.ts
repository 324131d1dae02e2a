import type { InstanceRole } from '#test/chaos/mesh/instance.ts';

/** What decides whether something may be done to an instance. */
export interface Candidate {
  readonly role: InstanceRole;
  readonly isHealthy: boolean;
}

/** A kind of fault and whom it can be done to. */
export interface DealtKind {
  readonly roles: readonly InstanceRole[];
}

export interface Choice<K, C> {
  readonly kind: K;
  readonly target: C;
}

/**
 * Chooses faults by a seed: the kinds in a random order, each once before any that can be done comes
 * again. A target is healthy, and another instance of its role is and stays so, unless it is the
 * registry.
 */
export class FaultDeck<K extends DealtKind> {
  readonly #kinds: readonly K[];
  readonly #next: (below: number) => number;
  #left: K[] = [];

  /** `next` returns integers from 0 to below its argument. */
  constructor(kinds: readonly K[], next: (below: number) => number) {
    this.#kinds = kinds;
    this.#next = next;
  }

  /** Returns the next fault; undefined if nobody can be spared. */
  deal<C extends Candidate>(candidates: readonly C[]): Choice<K, C> | undefined {
    return this.#dealFrom(this.#left, candidates) ?? this.#dealAnew(candidates);
  }

  #dealAnew<C extends Candidate>(candidates: readonly C[]): Choice<K, C> | undefined {
    const left = this.#shuffled();
    const choice = this.#dealFrom(left, candidates);
    if (choice !== undefined) this.#left = left;
    return choice;
  }

  /** Takes the first kind that can be done out of the deck. */
  #dealFrom<C extends Candidate>(deck: K[], candidates: readonly C[]): Choice<K, C> | undefined {
    for (const [index, kind] of deck.entries()) {
      const spare = candidates.filter(
        (one) => kind.roles.includes(one.role) && isSpare(one, candidates),
      );
      const target = spare[this.#next(Math.max(1, spare.length))];
      if (target === undefined) continue;
      deck.splice(index, 1);
      return { kind, target };
    }
    return undefined;
  }

  #shuffled(): K[] {
    const deck = [...this.#kinds];
    for (let last = deck.length - 1; last > 0; last--) {
      const other = this.#next(last + 1);
      const [a, b] = [deck[last], deck[other]];
      if (a === undefined || b === undefined) continue;
      deck[last] = b;
      deck[other] = a;
    }
    return deck;
  }
}

/**
 * Tells whether an instance is healthy, and another one of its role, too. Nobody needs a registry
 * that is away.
 */
function isSpare(one: Candidate, all: readonly Candidate[]): boolean {
  if (one.role === 'registry') return one.isHealthy;
  const isOther = (other: Candidate) => other !== one && other.role === one.role && other.isHealthy;
  return one.isHealthy && all.some(isOther);
}
