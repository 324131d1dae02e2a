import assert from 'node:assert/strict';
import type { TokenConstraint } from '#backbone/engine/token-constraint.ts';
import { ids } from './scheduling.ts';

/** A constraint that allows 0 as the first token, and after token i only token i + 1. */
export class OnlyNext implements TokenConstraint {
  readonly #mask: Uint32Array;
  #next = 0;

  constructor(vocabSize: number) {
    this.#mask = new Uint32Array(Math.ceil(vocabSize / 32));
  }

  mask(draftIds: readonly number[]): Uint32Array {
    assert.deepEqual(draftIds, []);
    return this.#mask.fill(0).fill(1 << (this.#next % 32), this.#next >> 5, (this.#next >> 5) + 1);
  }

  numAllowed(): number {
    return 0;
  }

  accept(tokenId: number): void {
    this.#next = tokenId + 1;
  }
}

/** Returns the token ids that a mask allows. */
export function bitsOf(mask: Uint32Array | undefined): number[] {
  const words = [...(mask ?? [])];
  return words.flatMap((word, i) => ids(32 * i, 32).filter((id) => (word >>> (id % 32)) & 1));
}
