import { SAMPLING_FIELDS, type SamplingNumbers, valuesByKey } from '#mesh/sampling-fields.ts';
import type { SampleParams } from '#native';
import { CountedIds } from './counted-ids.ts';
import { type Pattern, sharedPatterns } from './pattern.ts';
import type { TokenConstraint } from './token-constraint.ts';

/** One request's sampling parameters, checked and complete. */
export interface SamplingSettings extends SamplingNumbers {
  readonly seed: bigint;
  /** Ids at or above this are rows of the decoder's head that have no token. */
  readonly vocabLimit: number;
  readonly biasTokenIds: Uint32Array;
  readonly biasValues: Float32Array;
  /** Token lists that must not be completed. */
  readonly badWords: readonly (readonly number[])[];
  /** Ids that would end the answer, which may not be chosen before `minTokens` tokens. */
  readonly endTokenIds: readonly number[];
  readonly minTokens: number;
  /** Makes the constraint on the tokens of one choice; null if there is none. */
  readonly createConstraint: (() => TokenConstraint) | null;
}

const NO_IDS = new Uint32Array(0);

/** Returns settings that always choose the likeliest token. */
export function greedySettings(vocabLimit: number): SamplingSettings {
  return {
    ...valuesByKey(SAMPLING_FIELDS, (field) => field.default),
    temperature: 0,
    seed: 0n,
    vocabLimit,
    biasTokenIds: NO_IDS,
    biasValues: new Float32Array(0),
    badWords: [],
    endTokenIds: [],
    minTokens: 0,
    createConstraint: null,
  };
}

/**
 * The sampler's memory of one sequence, updated as the sequence grows. Preemption does not change
 * it; on resume it counts the delivered tokens like generated ones.
 */
export class SamplerState {
  readonly #settings: SamplingSettings;
  readonly #numbers: SamplingNumbers;
  readonly #stream: number;
  /** For each bad word, all its tokens but the last. */
  readonly #beginnings: readonly Pattern[];
  /** For each bad word, how many tokens of its beginning the completion ends in. */
  readonly #matched: number[];
  readonly #constraint: TokenConstraint | null;
  #numCompletion = 0;
  /** Null if the repetition penalty is off. */
  readonly #seen: CountedIds | null;
  /** Null if presence and frequency penalties are off. */
  readonly #generated: CountedIds | null;

  /** `stream` is the choice index. */
  constructor(
    settings: SamplingSettings,
    promptTokenIds: readonly number[],
    completionTokenIds: readonly number[],
    stream: number,
  ) {
    this.#settings = settings;
    this.#numbers = valuesByKey(SAMPLING_FIELDS, (_, key) => settings[key]);
    this.#stream = stream;
    this.#beginnings = sharedPatterns(settings.badWords, (word) => word.slice(0, -1));
    this.#matched = settings.badWords.map(() => 0);
    this.#constraint = settings.createConstraint?.() ?? null;
    const countsGenerated = settings.presencePenalty !== 0 || settings.frequencyPenalty !== 0;
    this.#seen = settings.repetitionPenalty === 1 ? null : new CountedIds();
    this.#generated = countsGenerated ? new CountedIds() : null;
    for (const id of promptTokenIds) this.#seen?.add(id);
    for (const id of completionTokenIds) this.append(id);
  }

  append(tokenId: number): void {
    this.#numCompletion++;
    for (let i = 0; i < this.#beginnings.length; i++) {
      this.#matched[i] = this.#beginnings[i]?.next(this.#matched[i] ?? 0, tokenId) ?? 0;
    }
    this.#constraint?.accept(tokenId);
    this.#seen?.add(tokenId);
    this.#generated?.add(tokenId);
  }

  /** Returns the parameters of the next token; valid until the next `append`. */
  nextParams(): SampleParams {
    const settings = this.#settings;
    const allowedTokens = this.#constraint?.mask();
    return {
      ...this.#numbers,
      seed: settings.seed,
      stream: this.#stream,
      position: this.#numCompletion,
      vocabLimit: settings.vocabLimit,
      seenTokenIds: this.#seen?.ids ?? NO_IDS,
      generatedTokenIds: this.#generated?.ids ?? NO_IDS,
      generatedCounts: this.#generated?.counts ?? NO_IDS,
      biasTokenIds: settings.biasTokenIds,
      biasValues: settings.biasValues,
      forbiddenTokenIds: this.#forbidden(),
      ...(allowedTokens !== undefined && { allowedTokens }),
    };
  }

  #forbidden(): Uint32Array {
    const { minTokens, endTokenIds, badWords } = this.#settings;
    const ids = this.#numCompletion < minTokens ? [...endTokenIds] : [];
    for (let i = 0; i < badWords.length; i++) {
      if (this.#matched[i] === this.#beginnings[i]?.length)
        ids.push(...(badWords[i]?.slice(-1) ?? []));
    }
    return ids.length === 0 ? NO_IDS : Uint32Array.from(ids);
  }
}
