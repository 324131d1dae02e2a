import { SAMPLING_FIELDS, type SamplingNumbers, valuesByKey } from '#mesh/sampling-fields.ts';
import type { SampleParams } from '#native';
import { CountedIds } from './counted-ids.ts';
import { type Pattern, sharedPatterns } from './pattern.ts';
import type { TokenConstraint } from './token-constraint.ts';

/** How tokens are chosen: one request's sampling parameters, checked and complete. */
export interface SamplingSettings extends SamplingNumbers {
  readonly seed: bigint;
  /** Ids at or above this are rows of the vocabulary without a token. */
  readonly vocabLimit: number;
  readonly biasTokenIds: Uint32Array;
  readonly biasValues: Float32Array;
  /** Token lists that must not be completed. */
  readonly badWords: readonly (readonly number[])[];
  /** Ids that may not be chosen before `minTokens` tokens: whatever would end the answer. */
  readonly endTokenIds: readonly number[];
  readonly minTokens: number;
  /** Makes what limits the tokens of one choice; null: nothing does. */
  readonly createConstraint: (() => TokenConstraint) | null;
}

const NO_IDS = new Uint32Array(0);

/** The likeliest token, whatever came before it. */
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
 * What sampling remembers of one sequence, kept up to date as the sequence grows; preemption does
 * not touch it, and on resume it has counted the delivered tokens like any others.
 */
export class SamplerState {
  readonly #settings: SamplingSettings;
  readonly #numbers: SamplingNumbers;
  readonly #stream: number;
  /** By bad word: its tokens but the last. */
  readonly #beginnings: readonly Pattern[];
  /** By bad word: tokens of its beginning that the completion ends in. */
  readonly #matched: number[];
  readonly #constraint: TokenConstraint | null;
  #numCompletion = 0;
  /** Null where the repetition penalty is off. */
  readonly #seen: CountedIds | null;
  /** Null where presence and frequency penalties are off. */
  readonly #generated: CountedIds | null;

  /** `stream`: the choice index. */
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

  /** Parameters of the next token; valid until the next `append`. */
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
