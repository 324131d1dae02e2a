import type { GenerationConfig } from '#backbone/checkpoint/model-files.ts';
import type { SamplingSettings } from '#backbone/engine/sampler-state.ts';
import { MeshError } from '#mesh/errors.ts';
import {
  CHECKPOINT_FIELDS,
  COUNT_FIELDS,
  FLOAT32_MIN_NORMAL,
  LOGIT_BIAS_RANGE,
  type Range,
  rangeText,
  SAMPLING_FIELDS,
  type SamplingField,
  type SamplingNumbers,
  valuesByKey,
} from '#mesh/sampling-fields.ts';
import { SamplingParams } from '#protos/autoglm/llm/v1/sampling.ts';

/** Temperatures below this are greedy, as in vLLM. */
const GREEDY_BELOW = 1e-5;
/** Bounds the automaton that finds them. */
const MAX_STOP_STRINGS = 64;
const MAX_STOP_CHARS = 1024;
const MAX_BAD_WORDS = 1024;
const MAX_BAD_WORD_CHARS = 1024;
/**
 * Characters of all bad words together: each word is tokenized twice and has states in an automaton.
 */
const MAX_BAD_WORDS_CHARS = 65_536;
/** Bounds the work per token: each of them is applied to the logits of every choice. */
const MAX_STOP_TOKEN_IDS = 4096;
const MAX_LOGIT_BIASES = 4096;
const MAX_SEED = 2n ** 64n - 1n;

/**
 * Defaults for a request that sets nothing; the table of fields supplies those that are missing.
 */
export type SamplingDefaults = Pick<SamplingNumbers, keyof typeof CHECKPOINT_FIELDS>;

/** Facts about the model that sampling parameters are checked against and completed from. */
export interface SamplingFacts {
  readonly defaults: SamplingDefaults;
  /** Number of tokens the tokenizer knows. */
  readonly vocabSize: number;
  /** Rows of the decoder's head, at least `vocabSize`. */
  readonly numLogits: number;
  readonly eosTokenIds: readonly number[];
  readonly drawSeed: () => bigint;
}

/** Settings without those that need the tokenizer or the decoder. */
interface CheckedSettings extends Omit<SamplingSettings, 'badWords' | 'createConstraint'> {
  /** Null if all are allowed. */
  readonly allowedTokenIds: readonly number[] | null;
}

/** A request's sampling parameters, checked and complete except those that need the tokenizer. */
export interface CheckedSampling {
  readonly settings: CheckedSettings;
  readonly badWords: readonly string[];
  readonly eosTokenIds: ReadonlySet<number>;
  readonly stopTokenIds: ReadonlySet<number>;
  readonly stopStrings: readonly string[];
  /** Undefined for as many as fit. */
  readonly maxTokens: number | undefined;
  readonly numChoices: number;
  /** Most tokens of thoughts; undefined for no bound. */
  readonly thinkingTokenBudget: number | undefined;
}

/**
 * Returns an instance's defaults. `auto` takes the checkpoint's `generation_config.json`, in which
 * `do_sample: false` means greedy unless a request sets a temperature; `vllm` takes neutral values.
 * Refuses defaults that would be refused in a request.
 */
export function samplingDefaults(
  config: GenerationConfig,
  source: 'auto' | 'vllm',
): SamplingDefaults {
  const greedy = config.do_sample === false ? { temperature: 0 } : {};
  const given: GenerationConfig = source === 'auto' ? { ...config, ...greedy } : {};
  return valuesByKey(CHECKPOINT_FIELDS, (field, key) => {
    const value = given[field.name] ?? field.default;
    if (isWithin(field, value)) return value;
    const message = `generation_config.json: ${key} is ${value}, allowed is ${rangeText(field)}; --generation-config vllm starts without this file`;
    throw new MeshError('INVALID_REQUEST', message, { param: 'generation-config' });
  });
}

/** Checks every range and merges the request over the defaults. */
export function checkSampling(
  given: SamplingParams | undefined,
  facts: SamplingFacts,
): CheckedSampling {
  const params = given ?? SamplingParams.create();
  const numChoices = checked(COUNT_FIELDS.numChoices, params.numChoices);
  checkStops(params, facts);
  const stopTokenIds = new Set(params.stopTokenIds);
  const sampling: CheckedSampling = {
    settings: settingsOf(params, facts),
    badWords: params.badWords,
    eosTokenIds: new Set(params.ignoreEos ? [] : facts.eosTokenIds),
    stopTokenIds,
    stopStrings: params.stopStrings,
    maxTokens: params.maxTokens,
    numChoices,
    thinkingTokenBudget: params.thinkingTokenBudget,
  };
  checkAllowed(sampling.settings, []);
  return sampling;
}

/** Refuses parameters that leave no token to choose; `badWords` are token lists. */
export function checkAllowed(
  settings: CheckedSettings,
  badWords: SamplingSettings['badWords'],
): void {
  const { allowedTokenIds, vocabLimit } = settings;
  const forbidden = new Set(badWords.flatMap((word) => (word.length === 1 ? word : [])));
  if (settings.minTokens > 0) for (const id of settings.endTokenIds) forbidden.add(id);
  if (allowedTokenIds !== null) {
    if (allowedTokenIds.some((id) => !forbidden.has(id))) return;
    throw refusal('allowed_token_ids', 'every allowed id is forbidden by min_tokens or bad_words');
  }
  if ([...forbidden].filter((id) => id < vocabLimit).length < vocabLimit) return;
  throw refusal('min_tokens', 'every token is a stop token or a bad word, so none may come first');
}

function settingsOf(params: SamplingParams, facts: SamplingFacts): CheckedSettings {
  const defaults: Partial<SamplingNumbers> = facts.defaults;
  const numbers = valuesByKey(SAMPLING_FIELDS, (field, key) =>
    checked(field, params[key] ?? defaults[key]),
  );
  checkCount('allowed_token_ids', params.allowedTokenIds, facts.vocabSize);
  const bias = Object.entries(params.logitBias).map(([id, value]) => ({ id: Number(id), value }));
  checkCount('logit_bias', bias, MAX_LOGIT_BIASES);
  checkIds(
    'logit_bias',
    bias.map(({ id }) => id),
    facts,
  );
  for (const { value } of bias) checkRange('logit_bias', value, LOGIT_BIAS_RANGE);
  checkIds('allowed_token_ids', params.allowedTokenIds, facts);
  const allowed = params.allowedTokenIds;
  const isGreedy = numbers.temperature < GREEDY_BELOW || numbers.topP < FLOAT32_MIN_NORMAL;
  return {
    ...numbers,
    temperature: isGreedy ? 0 : numbers.temperature,
    topP: Math.max(numbers.topP, FLOAT32_MIN_NORMAL),
    topK: Math.max(0, numbers.topK),
    seed: seedOf(params, facts),
    vocabLimit: facts.vocabSize,
    biasTokenIds: Uint32Array.from(bias, ({ id }) => id),
    biasValues: Float32Array.from(bias, ({ value }) => value),
    allowedTokenIds: allowed.length === 0 ? null : allowed,
    endTokenIds: [...new Set([...facts.eosTokenIds, ...params.stopTokenIds])],
    minTokens: minTokensOf(params),
  };
}

function seedOf(params: SamplingParams, facts: SamplingFacts): bigint {
  const seed = params.seed ?? facts.drawSeed();
  if (seed >= 0n && seed <= MAX_SEED) return seed;
  throw refusal('seed', `got ${seed}, allowed is 0 to ${MAX_SEED}`);
}

function minTokensOf({ minTokens: given, maxTokens }: SamplingParams): number {
  const minTokens = checked(COUNT_FIELDS.minTokens, given);
  if (maxTokens === undefined || minTokens <= maxTokens) return minTokens;
  throw refusal('min_tokens', `got ${minTokens}, which is more than max_tokens, ${maxTokens}`);
}

function checkStops(params: SamplingParams, facts: SamplingFacts): void {
  checkCount('stop_strings', params.stopStrings, MAX_STOP_STRINGS);
  checkCount('bad_words', params.badWords, MAX_BAD_WORDS);
  for (const { length } of params.badWords) {
    if (length <= MAX_BAD_WORD_CHARS) continue;
    throw refusal('bad_words', `a text of ${length} characters, allowed is ${MAX_BAD_WORD_CHARS}`);
  }
  const numChars = params.badWords.reduce((sum, { length }) => sum + length, 0);
  if (numChars > MAX_BAD_WORDS_CHARS) {
    throw refusal('bad_words', `${numChars} characters, allowed are ${MAX_BAD_WORDS_CHARS}`);
  }
  for (const { length } of params.stopStrings) {
    if (length >= 1 && length <= MAX_STOP_CHARS) continue;
    throw refusal(
      'stop_strings',
      `a string of ${length} characters, allowed is 1 to ${MAX_STOP_CHARS}`,
    );
  }
  checkCount('stop_token_ids', params.stopTokenIds, MAX_STOP_TOKEN_IDS);
  checkIds('stop_token_ids', params.stopTokenIds, facts);
}

function checkCount(field: string, list: readonly unknown[], max: number): void {
  if (list.length > max) throw refusal(field, `got ${list.length} of them, allowed are ${max}`);
}

function checkIds(field: string, ids: readonly number[], { vocabSize }: SamplingFacts): void {
  const unknown = ids.find((id) => !(Number.isInteger(id) && id >= 0 && id < vocabSize));
  if (unknown === undefined) return;
  throw refusal(field, `${unknown} is not a token id; the vocabulary has ${vocabSize} tokens`);
}

/**
 * Tells whether a number is in a range after rounding to float32, as it is computed; NaN is not.
 */
function isWithin({ min, max }: Range, value: number): boolean {
  const { fround } = Math;
  return fround(value) >= fround(min) && fround(value) <= fround(max);
}

/** Returns the number given for a field, or the field's default. */
function checked(field: SamplingField, given: number | undefined): number {
  const value = given ?? field.default;
  checkRange(field.name, value, field);
  return value;
}

/** Refuses a number that is out of range. */
function checkRange(field: string, value: number, range: Range): void {
  if (isWithin(range, value)) return;
  throw refusal(field, `got ${value}, allowed is ${rangeText(range)}`);
}

/** Makes a refusal; `field` is named as in `SamplingParams`. */
function refusal(field: string, message: string): MeshError {
  const param = `sampling.${field}`;
  return new MeshError('INVALID_REQUEST', `${param}: ${message}`, { param });
}
