import assert from 'node:assert/strict';
import { SAMPLING_FIELDS, type SamplingNumbers, valuesByKey } from '#mesh/sampling-fields.ts';
import type { SampleParams } from '#native';
import { CountedIds } from './counted-ids.ts';
import { type PatternAutomaton, sharedAutomaton } from './pattern-automaton.ts';
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
  readonly #stream: number;
  /** Finds the beginnings of bad words: all their tokens but the last. */
  readonly #beginnings: PatternAutomaton;
  /** State of `#beginnings` after the completion. */
  #matched = 0;
  readonly #endTokenIds: Uint32Array;
  readonly #constraint: TokenConstraint | null;
  readonly #now: () => number;
  /** Milliseconds that masks have taken since `takeMaskMs`. */
  #maskMs = 0;
  #lastMaskMs = 0;
  #numCompletion = 0;
  /** Null if the repetition penalty is off. */
  readonly #seen: CountedIds | null;
  /** Null if presence and frequency penalties are off. */
  readonly #generated: CountedIds | null;

  /** `stream` is the choice index, `now` the monotonic time, milliseconds. */
  constructor(
    settings: SamplingSettings,
    promptTokenIds: readonly number[],
    completionTokenIds: readonly number[],
    stream: number,
    now = () => performance.now(),
  ) {
    this.#settings = settings;
    this.#now = now;
    this.#stream = stream;
    this.#beginnings = sharedAutomaton(settings.badWords, (word) => word.slice(0, -1));
    this.#endTokenIds = Uint32Array.from(settings.endTokenIds);
    this.#constraint = settings.createConstraint?.() ?? null;
    const countsGenerated = settings.presencePenalty !== 0 || settings.frequencyPenalty !== 0;
    this.#seen = settings.repetitionPenalty === 1 ? null : new CountedIds();
    this.#generated = countsGenerated ? new CountedIds() : null;
    for (const id of promptTokenIds) this.#seen?.add(id);
    for (const id of completionTokenIds) this.append(id);
  }

  append(tokenId: number): void {
    this.#numCompletion++;
    this.#matched = this.#beginnings.next(this.#matched, tokenId);
    this.#constraint?.accept(tokenId);
    this.#seen?.add(tokenId);
    this.#generated?.add(tokenId);
  }

  /**
   * Tells whether the parameters of a token are known before the token in front of it, except for what
   * penalties count.
   */
  get isForeseeable(): boolean {
    return this.#constraint === null && this.#settings.badWords.length === 0;
  }

  /** Tells whether each token needs a mask. */
  get isConstrained(): boolean {
    return this.#constraint !== null;
  }

  /** Milliseconds that the masks of the last step with this sequence took; 0 before there was one. */
  get lastMaskMs(): number {
    return this.#lastMaskMs;
  }

  /** Returns the milliseconds that masks have taken since the last call, which are those of a step. */
  takeMaskMs(): number {
    this.#lastMaskMs = this.#maskMs;
    this.#maskMs = 0;
    return this.#lastMaskMs;
  }

  /** Returns how many of the drafted tokens may be chosen, from the first one on. */
  numAllowed(draftIds: readonly number[]): number {
    return this.#constraint?.numAllowed(draftIds) ?? draftIds.length;
  }

  /** Returns the parameters of the next token; valid until the next `append`. */
  nextParams(): SampleParams {
    return this.paramsAfter([]);
  }

  /**
   * Returns the parameters of the token behind one that is not known yet and that penalties have still
   * to count; valid until the next `append`. Only a foreseeable state has them.
   */
  paramsAhead(): SampleParams {
    assert(this.isForeseeable, 'parameters that depend on the token before');
    return this.#paramsAt(this.#numCompletion + 1, []);
  }

  /**
   * Returns the parameters of the token behind `draftIds`, as if these had been appended; valid until
   * the next `append`.
   */
  paramsAfter(draftIds: readonly number[]): SampleParams {
    return this.#paramsAt(this.#numCompletion + draftIds.length, draftIds);
  }

  #mask(constraint: TokenConstraint, draftIds: readonly number[]): Uint32Array | undefined {
    const startMs = this.#now();
    const mask = constraint.mask(draftIds);
    this.#maskMs += this.#now() - startMs;
    return mask;
  }

  #paramsAt(position: number, draftIds: readonly number[]): SampleParams {
    const settings = this.#settings;
    const allowedTokens =
      this.#constraint === null ? undefined : this.#mask(this.#constraint, draftIds);
    const seen = withDraft(this.#seen, draftIds);
    const generated = withDraft(this.#generated, draftIds);
    // Spelled out, since this is done for each token of each sequence.
    const params: SampleParams = {
      temperature: settings.temperature,
      topK: settings.topK,
      topP: settings.topP,
      minP: settings.minP,
      repetitionPenalty: settings.repetitionPenalty,
      presencePenalty: settings.presencePenalty,
      frequencyPenalty: settings.frequencyPenalty,
      seed: settings.seed,
      stream: this.#stream,
      position,
      vocabLimit: settings.vocabLimit,
      seenTokenIds: seen?.ids ?? NO_IDS,
      generatedTokenIds: generated?.ids ?? NO_IDS,
      generatedCounts: generated?.counts ?? NO_IDS,
      biasTokenIds: settings.biasTokenIds,
      biasValues: settings.biasValues,
      forbiddenTokenIds: this.#forbidden(position, draftIds),
    };
    return allowedTokens === undefined ? params : { ...params, allowedTokens };
  }

  #forbidden(position: number, draftIds: readonly number[]): Uint32Array {
    const { minTokens, badWords } = this.#settings;
    const ends = position < minTokens ? this.#endTokenIds : NO_IDS;
    if (badWords.length === 0) return ends;
    const lasts: number[] = [];
    const matched = draftIds.reduce((state, id) => this.#beginnings.next(state, id), this.#matched);
    this.#beginnings.forEachEnd(matched, (word) => {
      const last = badWords[word]?.at(-1);
      if (last !== undefined) lasts.push(last);
    });
    return lasts.length === 0 ? ends : Uint32Array.from([...ends, ...lasts]);
  }
}

/** Returns what is counted with a draft behind it; without one, the counts themselves. */
function withDraft(
  counted: CountedIds | null,
  draftIds: readonly number[],
): Pick<CountedIds, 'ids' | 'counts'> | null {
  return draftIds.length === 0 ? counted : (counted?.withMore(draftIds) ?? null);
}
