import type { Ejection } from './ejection.ts';
import { type Candidate, type PickWish, pickLeastWork } from './least-work.ts';

export interface LeastWorkPickerOptions {
  readonly ejection: Ejection;
  /** Returns a random number in [0, 1). */
  readonly random: () => number;
}

/** Picks by least work among the replicas in service. */
export class LeastWorkPicker {
  readonly #options: LeastWorkPickerOptions;
  #turn = 0;

  constructor(options: LeastWorkPickerOptions) {
    this.#options = options;
  }

  /**
   * Returns one of the candidates, which are those of `serving` that may be asked; undefined if
   * there are none.
   */
  pick<C extends Candidate & { readonly address: string }>(
    candidates: readonly C[],
    serving: readonly C[],
    { work, affinity }: Pick<PickWish, 'work' | 'affinity'>,
  ): C | undefined {
    const { ejection, random } = this.#options;
    const picked = pickLeastWork(ejection.firstChoice(candidates, serving), {
      work,
      affinity,
      turn: this.#turn++,
      random,
    });
    if (picked !== undefined) ejection.begun(picked.address);
    return picked;
  }
}
