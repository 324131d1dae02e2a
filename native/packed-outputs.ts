// Outputs of a step as the addon takes them: a handful of arrays, whatever their number. Looking up
// the properties of an object in the addon costs ten times as much as reading them here.

import type { SampleParams, StepOutput } from './step-plan.ts';

/** Numbers of an output in `outputNumbers`; `native/binding/packed_outputs.cc` has their order. */
const NUM_NUMBERS = 21;

/** `StepPlan.outputs`, packed. */
export interface PackedOutputs {
  /** `[num_outputs, 21]`. */
  readonly outputNumbers: Float64Array;
  /** `[num_outputs]`: seeds of sampling; 0 where a token is scored. */
  readonly outputSeeds: BigUint64Array;
  /** The ids, counts and masks of all outputs, one after another; `outputNumbers` has their lengths. */
  readonly outputLists: Uint32Array;
  /** The values of logit bias of all outputs, one after another. */
  readonly outputBiasValues: Float32Array;
}

/** Packs outputs; reads each property once. */
export function packOutputs(outputs: readonly StepOutput[]): PackedOutputs {
  const outputNumbers = new Float64Array(outputs.length * NUM_NUMBERS);
  const outputSeeds = new BigUint64Array(outputs.length);
  const lists: Uint32Array[] = [];
  const biasValues: Float32Array[] = [];
  for (const [i, { token, targetToken, numLogprobs, sample }] of outputs.entries()) {
    const at = i * NUM_NUMBERS;
    outputNumbers.set([token, targetToken, numLogprobs, sample === null ? 0 : 1], at);
    if (sample === null) continue;
    outputNumbers.set(numbersOf(sample), at + 4);
    outputSeeds[i] = sample.seed;
    addLists(lists, sample);
    if (sample.biasValues.length > 0) biasValues.push(sample.biasValues);
  }
  return {
    outputNumbers,
    outputSeeds,
    outputLists: joined(lists, (length) => new Uint32Array(length)),
    outputBiasValues: joined(biasValues, (length) => new Float32Array(length)),
  };
}

function numbersOf(sample: SampleParams): number[] {
  return [
    sample.temperature,
    sample.topK,
    sample.topP,
    sample.minP,
    sample.repetitionPenalty,
    sample.presencePenalty,
    sample.frequencyPenalty,
    sample.stream,
    sample.position,
    sample.vocabLimit,
    sample.seenTokenIds.length,
    sample.generatedTokenIds.length,
    sample.generatedCounts.length,
    sample.biasTokenIds.length,
    sample.biasValues.length,
    sample.forbiddenTokenIds.length,
    sample.allowedTokens === undefined ? -1 : sample.allowedTokens.length,
  ];
}

/** Adds the lists of an output that have entries. */
function addLists(lists: Uint32Array[], sample: SampleParams): void {
  const { seenTokenIds, generatedTokenIds, generatedCounts } = sample;
  const { biasTokenIds, forbiddenTokenIds, allowedTokens } = sample;
  if (seenTokenIds.length > 0) lists.push(seenTokenIds);
  if (generatedTokenIds.length > 0) lists.push(generatedTokenIds);
  if (generatedCounts.length > 0) lists.push(generatedCounts);
  if (biasTokenIds.length > 0) lists.push(biasTokenIds);
  if (forbiddenTokenIds.length > 0) lists.push(forbiddenTokenIds);
  if (allowedTokens !== undefined && allowedTokens.length > 0) lists.push(allowedTokens);
}

function joined<T extends Uint32Array | Float32Array>(
  parts: readonly T[],
  create: (length: number) => T,
): T {
  const all = create(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
