import type { LookupLengths } from './speculation-options.ts';

/** Most earlier places that are compared with the end of the sequence. */
const MAX_CANDIDATES = 16;

/**
 * Drafts the tokens that one sequence may go on with by prompt lookup, vLLM's method "ngram"
 * (Saxena, "Prompt Lookup Decoding", 2023): where the last tokens stood before, what followed them
 * then may follow again. Of the latest places with the last `min` tokens, one where most tokens
 * before it are the same as well, up to `max`, is chosen; the latest among equals. Places are found
 * as LZ77 compressors find them, by chains of equal hashes, so a draft costs the same however long
 * the sequence is.
 */
export class NgramDrafter {
  readonly #tokenIds: readonly number[];
  readonly #lengths: LookupLengths;
  /** By hash of `min` tokens: the latest place behind them that has a token; places count from 0. */
  readonly #latest = new Map<number, number>();
  /** By place, from place `min` on: the next earlier place of the same hash, or -1. */
  readonly #earlier: number[] = [];

  /** `tokenIds` may grow between calls, but not change. */
  constructor(tokenIds: readonly number[], lengths: LookupLengths) {
    this.#tokenIds = tokenIds;
    this.#lengths = lengths;
  }

  /** Returns at most `maxTokens` tokens; none if the last tokens stood nowhere before. */
  draft(maxTokens: number): number[] {
    const end = this.#tokenIds.length;
    const { min } = this.#lengths;
    if (end <= min || maxTokens <= 0) return [];
    this.#index(end);
    const place = this.#bestPlace(end);
    if (place === -1) return [];
    const draft: number[] = [];
    // A place close to the end repeats what is between them, as LZ77 copies overlapping runs.
    const period = end - place;
    while (draft.length < maxTokens) {
      draft.push(this.#tokenIds[place + (draft.length % period)] ?? 0);
    }
    return draft;
  }

  /** Makes the places before `end` known. */
  #index(end: number): void {
    const { min } = this.#lengths;
    for (let place = min + this.#earlier.length; place < end; place++) {
      const hash = this.#hashBefore(place);
      this.#earlier.push(this.#latest.get(hash) ?? -1);
      this.#latest.set(hash, place);
    }
  }

  #bestPlace(end: number): number {
    const { min, max } = this.#lengths;
    let best = -1;
    let bestLength = min - 1;
    let place = this.#latest.get(this.#hashBefore(end)) ?? -1;
    for (let i = 0; i < MAX_CANDIDATES && place !== -1 && bestLength < max; i++) {
      const length = this.#numEqual(place, end);
      if (length > bestLength) {
        best = place;
        bestLength = length;
      }
      place = this.#earlier[place - min] ?? -1;
    }
    return best;
  }

  /** Counts the equal tokens before two places, at most `max`. */
  #numEqual(place: number, end: number): number {
    const limit = Math.min(this.#lengths.max, place);
    let length = 0;
    while (
      length < limit &&
      this.#tokenIds[place - 1 - length] === this.#tokenIds[end - 1 - length]
    ) {
      length++;
    }
    return length;
  }

  #hashBefore(place: number): number {
    let hash = 0;
    for (let i = place - this.#lengths.min; i < place; i++) {
      hash = (Math.imul(hash, 0x9e3779b1) + (this.#tokenIds[i] ?? 0)) | 0;
    }
    return hash;
  }
}
