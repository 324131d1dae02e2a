import assert from 'node:assert/strict';

/** Smallest normal float32; a smaller top_p is zero to the sampler. */
export const FLOAT32_MIN_NORMAL = 2 ** -126;
const INT32_MAX = 2 ** 31 - 1;
export const UINT32_MAX = 2 ** 32 - 1;

/** A closed range of numbers. */
export interface Range {
  readonly min: number;
  readonly max: number;
}

/** Writes the numbers of a range for a refusal. */
export function rangeText({ min, max }: Range): string {
  // INT32_MAX is a limit of the wire, not of the field.
  return max === INT32_MAX ? `${min} or more` : `${min} to ${max}`;
}

/** A number among a request's sampling parameters; its key in a table is its name in the proto. */
export interface SamplingField<Name extends string = string> extends Range {
  /** Name in the proto; clients and checkpoints use the same, but for `n`, which is num_choices. */
  readonly name: Name;
  readonly isInteger?: true;
  /** Value taken if none is given; it has no effect on sampling. */
  readonly default: number;
  /** Effect of the field. */
  readonly help: string;
  /** Completes "must be …" for a client, if the range is not enough. */
  readonly allowed?: string;
}

/**
 * The numbers that a checkpoint's `generation_config.json` may also set. In all tables here,
 * numbers travel and are computed as float32; rounding leaves them within these ranges, and no
 * finite logit overflows.
 */
export const CHECKPOINT_FIELDS = {
  temperature: {
    name: 'temperature',
    min: 0,
    max: 2,
    default: 1,
    help: '0 is greedy',
  },
  topP: {
    name: 'top_p',
    min: 0,
    max: 1,
    default: 1,
    help: 'Keep the likeliest tokens that together reach this share of the probability; 0 is greedy',
  },
  topK: {
    name: 'top_k',
    isInteger: true,
    min: -1,
    max: INT32_MAX,
    default: 0,
    help: 'Keep this many of the likeliest tokens; -1 and 0 keep all',
    allowed: 'an integer from 1, or -1 or 0 for all tokens',
  },
  minP: {
    name: 'min_p',
    min: 0,
    max: 1,
    default: 0,
    help: 'Keep tokens of at least this share of the likeliest one’s probability',
  },
  repetitionPenalty: {
    name: 'repetition_penalty',
    min: 0.01,
    max: 100,
    default: 1,
    help: 'Divides the positive logits of tokens in prompt and answer, multiplies the negative ones',
  },
} as const satisfies Readonly<Record<string, SamplingField>>;

/** All numbers that decide how a token is chosen; each reaches the sampler under its key. */
export const SAMPLING_FIELDS = {
  ...CHECKPOINT_FIELDS,
  presencePenalty: {
    name: 'presence_penalty',
    min: -2,
    max: 2,
    default: 0,
    help: 'Subtracted from the logits of tokens in the answer',
  },
  frequencyPenalty: {
    name: 'frequency_penalty',
    min: -2,
    max: 2,
    default: 0,
    help: 'Subtracted from the logits of tokens in the answer once for each time they occur',
  },
} as const satisfies Readonly<Record<string, SamplingField>>;

/** Counts, which decide how much is generated, not how a token is chosen. */
export const COUNT_FIELDS = {
  minTokens: {
    name: 'min_tokens',
    isInteger: true,
    min: 0,
    max: UINT32_MAX,
    default: 0,
    help: 'The answer does not end before so many tokens',
  },
  numChoices: {
    name: 'num_choices',
    isInteger: true,
    min: 1,
    max: 128,
    default: 1,
    help: 'How many answers to generate',
  },
} as const satisfies Readonly<Record<string, SamplingField>>;

/** Range of a bias that is added to the logit of a token. */
export const LOGIT_BIAS_RANGE: Range = { min: -100, max: 100 };

export type SamplingNumbers = Readonly<Record<keyof typeof SAMPLING_FIELDS, number>>;

type FieldTable<Key extends string, Name extends string> = Readonly<
  Record<Key, SamplingField<Name>>
>;

/** Makes a value for each field of a table, by key. */
export function valuesByKey<Key extends string, Name extends string, T>(
  table: FieldTable<Key, Name>,
  valueFor: (field: SamplingField<Name>, key: Key) => T,
): Record<Key, T> {
  // Every request passes here; making entries of it all first would cost several times as much.
  const values: Partial<Record<Key, T>> = {};
  for (const key in table) values[key] = valueFor(table[key], key);
  assert(hasKeysOf(table, values));
  return values;
}

function hasKeysOf<Key extends string, T>(
  table: Readonly<Record<Key, unknown>>,
  values: Partial<Record<Key, T>>,
): values is Record<Key, T> {
  for (const key in table) if (!(key in values)) return false;
  return true;
}

/** Makes a value for each field of a table, by the name that clients use. */
export function valuesByName<Name extends string, T>(
  table: FieldTable<string, Name>,
  valueFor: (field: SamplingField<Name>) => T,
): Record<Name, T> {
  return recordOf(Object.values(table).map((field) => [field.name, valueFor(field)]));
}

function recordOf<Key extends string, T>(entries: readonly (readonly [Key, T])[]): Record<Key, T> {
  const record = Object.fromEntries(entries);
  assert(
    hasKeys(
      record,
      entries.map(([key]) => key),
    ),
  );
  return record;
}

function hasKeys<Key extends string, T>(
  record: Readonly<Record<string, T>>,
  keys: readonly Key[],
): record is Record<string, T> & Record<Key, T> {
  return keys.every((key) => key in record);
}
