/** A closed range of numbers. */
export interface Range {
  readonly min: number;
  readonly max: number;
}

/** Smallest normal float32: the smallest share a top_p may keep that is not rounded to none. */
const FLOAT32_MIN_NORMAL = 2 ** -126;

/**
 * What the numbers of a request's sampling parameters may be. They travel and are computed as
 * float32: within these ranges rounding leaves them in range, and no finite logit overflows.
 */
export const SAMPLING_RANGES = {
  temperature: { min: 0, max: 2 },
  topP: { min: FLOAT32_MIN_NORMAL, max: 1 },
  minP: { min: 0, max: 1 },
  repetitionPenalty: { min: 0.01, max: 100 },
  presencePenalty: { min: -2, max: 2 },
  frequencyPenalty: { min: -2, max: 2 },
  logitBias: { min: -100, max: 100 },
} as const satisfies Record<string, Range>;
