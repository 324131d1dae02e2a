import type { Sequence } from './sequence.ts';

/** Part of the time of steps that the masks of one client may take. */
const SHARE = 1 / 4;
/** Milliseconds that they may take in any step, for some steps are shorter than one costly mask. */
const MIN_STEP_MS = 3;

/**
 * Bounds the time for which each client's masks keep everybody's next step waiting. Where a form can be
 * read in many ways, the mask of a text takes milliseconds, and a request may have many texts. Of those
 * that decode, a step takes as many as have masks for its part of the time, going by their last ones, at
 * least one of each client, and in turns. What took longer than was known is made up for: later steps do
 * without the client's forms. Answers stay the same, later.
 */
export class MaskTime {
  /** Milliseconds that the masks of clients have taken beyond their part. */
  readonly #debts = new Map<string, number>();
  /** Number of the last step that had a mask for a sequence. */
  readonly #turns = new WeakMap<Sequence, number>();
  #numSteps = 0;
  #stepMs = MIN_STEP_MS;

  /** Tells whether a sequence waits until its client's masks have been made up for. */
  isInDebt({ sampler, ticket }: Sequence): boolean {
    return sampler.isConstrained && this.#debts.has(ticket.client);
  }

  /** Returns those whose masks a step has time for, of sequences that would choose a token in it. */
  affordable(sequences: readonly Sequence[]): readonly Sequence[] {
    const payable = sequences.filter((one) => !this.isInDebt(one));
    const costly = payable.filter(({ sampler }) => sampler.lastMaskMs > 0);
    if (costly.reduce((sum, { sampler }) => sum + sampler.lastMaskMs, 0) <= this.#stepMs) {
      return payable;
    }
    const turnOf = (sequence: Sequence) => this.#turns.get(sequence) ?? 0;
    const spent = new Map<string, number>();
    const postponed = new Set<Sequence>();
    for (const sequence of costly.sort((a, b) => turnOf(a) - turnOf(b))) {
      const { sampler, ticket } = sequence;
      const before = spent.get(ticket.client) ?? 0;
      const sum = before + sampler.lastMaskMs;
      if (before > 0 && sum > this.#stepMs) postponed.add(sequence);
      else spent.set(ticket.client, sum);
    }
    return payable.filter((one) => !postponed.has(one));
  }

  /**
   * Counts the masks of a step with these sequences, which took so long beside them, milliseconds. A
   * client that `isAlone` owes nobody anything.
   */
  count(sequences: readonly Sequence[], ms: number, isAlone: boolean): void {
    const spent = new Map<string, number>();
    this.#numSteps++;
    for (const sequence of sequences) {
      const { sampler, ticket } = sequence;
      const maskMs = sampler.takeMaskMs();
      if (maskMs === 0) continue;
      this.#turns.set(sequence, this.#numSteps);
      spent.set(ticket.client, (spent.get(ticket.client) ?? 0) + maskMs);
    }
    this.#stepMs = Math.max(MIN_STEP_MS, SHARE * ms);
    if (isAlone) {
      this.#debts.clear();
      return;
    }
    for (const client of new Set([...spent.keys(), ...this.#debts.keys()])) {
      const debt = (this.#debts.get(client) ?? 0) + (spent.get(client) ?? 0) - this.#stepMs;
      if (debt > 0) this.#debts.set(client, debt);
      else this.#debts.delete(client);
    }
  }

  /** Forgets what is to be made up for, where nobody else waits; false if there is nothing. */
  forgive(): boolean {
    const isAny = this.#debts.size > 0;
    this.#debts.clear();
    return isAny;
  }
}
