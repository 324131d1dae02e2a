import assert from 'node:assert/strict';
import type { StepExecutor } from '#backbone/engine/step-plan.ts';
import type { LoadedDecoder } from '#backbone/load-decoder.ts';
import type { DecoderRows } from '#backbone/media/device-rows.ts';
import type {
  DecoderDescription,
  EngineError,
  MediaRows,
  PooledRows,
  SampleParams,
  StepOutput,
  StepPlan,
  StepResult,
} from '#native';

/** Function that chooses the next token of a context. */
export type NextToken = (context: readonly number[], params: SampleParams) => number;

/** Chooses a token that depends on every token of the context, and on the seed if one is in use. */
export const hashedToken: NextToken = (context, params) => {
  let hash = params.temperature > 0 ? Number(params.seed % 65_521n) + 31 * params.stream : 7;
  for (const id of context) hash = (Math.imul(hash, 31) + id + 1) >>> 0;
  const allowed = (id: number) => !params.forbiddenTokenIds.includes(id);
  // Each of the first hundreds of tokens is one to three bytes; 33 is an ordinary letter.
  const candidate = hash % 400;
  return allowed(candidate) ? candidate : 33;
};

/** Chooses the tokens of a script, one after another, for every prompt. */
export function scripted(tokenIds: readonly number[]): NextToken {
  return (_, { position }) => tokenIds[position] ?? 0;
}

/**
 * Stands for the native decoder: its "KV cache" remembers which token was written into which slot,
 * and the next token depends on the tokens that the block table leads to, so that a wrong block
 * changes the answer.
 */
export class FakeDecoder implements StepExecutor {
  readonly description: DecoderDescription;
  /** Events in order. */
  readonly trace: string[] = [];
  /** Media rows of all steps. */
  readonly mediaRows: MediaRows[] = [];
  nextToken: NextToken;
  /** Its row pool, as a decoder on GPUs has one. */
  rows: DecoderRows | undefined;
  /** Time that a step claims to have taken, microseconds; long steps are not planned ahead. */
  forwardUs = 1;
  /** Lets single outputs fail by their parameters. */
  failureOf: (params: SampleParams) => EngineError | undefined = () => undefined;
  #slots: Int32Array;
  #failures: Error[] = [];
  #held: Promise<void> = Promise.resolve();
  /** End of the last step that was given, and the tokens that it chose; none if it failed. */
  #last: Promise<unknown> = Promise.resolve();
  #chosen: Uint32Array = new Uint32Array(0);

  constructor(options: { readonly nextToken?: NextToken; readonly numBlocks?: number } = {}) {
    const { nextToken = hashedToken, numBlocks = 64 } = options;
    this.nextToken = nextToken;
    this.#slots = new Int32Array(numBlocks * 16).fill(-1);
    this.description = {
      modelType: 'glm4',
      hiddenSize: 64,
      numLayers: 1,
      vocabSize: 1536,
      maxPositionEmbeddings: 512,
      weightDtype: 'float32',
      quantization: 'int4 in groups of 128',
      weightBytes: 0,
      weightsCache: null,
      numBlocks,
      blockSize: 16,
      kvCacheBytes: 0,
      kvCacheDtype: 'float32',
      rowPoolBytes: 0,
      reachableDevices: [],
      groupPath: '',
      loadMs: 1,
      mropeSection: null,
    };
  }

  /** The decoder as a backbone takes it once it is loaded. */
  get loaded(): LoadedDecoder {
    const { description } = this;
    const close = () => this.close();
    const { rows } = this;
    return { executor: this, rows, description, device: 'cpu', numRanks: 1, isa: '', close };
  }

  /** Lets the next step fail. */
  failNext(failure: string | Error): void {
    this.#failures.push(failure instanceof Error ? failure : new Error(failure));
  }

  /** Keeps steps from finishing until the returned function is called. */
  hold(): () => void {
    let release = () => {};
    this.#held = new Promise((resolve) => {
      release = resolve;
    });
    return release;
  }

  async close(): Promise<void> {
    this.trace.push('closed');
  }

  /** Runs one step after another, as a device does. */
  execute(plan: StepPlan): Promise<StepResult> {
    this.trace.push(`execute ${plan.tokenIds.length}`);
    const before = this.#last;
    // Like the native decoder's, the numbers of the plan are copied when it is given.
    const step = this.#step({ ...plan, outputs: structuredClone(plan.outputs) }, before);
    this.#last = step.catch(() => undefined);
    return step;
  }

  async #step(given: StepPlan, before: Promise<unknown>): Promise<StepResult> {
    await before;
    await this.#held;
    const chosen = this.#chosen;
    this.#chosen = new Uint32Array(0);
    // A device answers in a later turn of the event loop.
    await new Promise((resolve) => setImmediate(resolve));
    const failure = this.#failures.shift();
    if (failure !== undefined) {
      this.trace.push('failed');
      throw failure;
    }
    const plan = withChosen(given, chosen);
    this.mediaRows.push(...plan.mediaRows);
    plan.tokenIds.forEach((id, row) => {
      this.#slots[plan.slotMapping[row] ?? -1] = id;
    });
    this.trace.push('executed');
    const result = this.#result(plan);
    this.#chosen = result.tokenIds;
    return result;
  }

  #result(plan: StepPlan): StepResult {
    const { outputs } = plan;
    const maxTop = Math.max(0, ...outputs.map(({ numLogprobs }) => numLogprobs));
    const tokenIds = Uint32Array.from(outputs, (output) => this.#choose(plan, output));
    return {
      tokenIds,
      logprobs: Float32Array.from(outputs, (_, i) => -0.25 * (i + 1)),
      ranks: Uint32Array.from(outputs, () => 1),
      topTokenIds: Uint32Array.from({ length: outputs.length * maxTop }, (_, i) => i % maxTop),
      topLogprobs: Float32Array.from({ length: outputs.length * maxTop }, (_, i) => -(i % maxTop)),
      maxTop,
      pooledSums: (plan.pooledRows ?? []).map((rows) => this.#pool(plan, rows)),
      idleUs: 0,
      forwardUs: this.forwardUs,
      failures: outputs.flatMap(({ sample }, output) => {
        const error = sample === null ? undefined : this.failureOf(sample);
        return error === undefined ? [] : [{ output, error }];
      }),
    };
  }

  /** Adds up hidden states, of which each is the token's id and the number of tokens before it. */
  #pool(plan: StepPlan, { firstToken, numRows, sum }: PooledRows): Float64Array {
    const pooled = Float64Array.from(sum ?? [0, 0]);
    for (let row = firstToken; row < firstToken + numRows; row++) {
      const context = this.#context(plan, row);
      pooled[0] = (pooled[0] ?? 0) + (context.at(-1) ?? 0);
      pooled[1] = (pooled[1] ?? 0) + context.length - 1;
    }
    return pooled;
  }

  #choose(plan: StepPlan, output: StepOutput): number {
    if (output.sample === null) return output.targetToken;
    return this.nextToken(this.#context(plan, output.token), output.sample);
  }

  /** Returns the tokens that the block table leads to, up to the row's own. */
  #context(plan: StepPlan, row: number): number[] {
    const sequence = plan.queryStarts.findLastIndex((start) => start <= row);
    const numTokens = (plan.positions[row] ?? 0) + 1;
    return Array.from({ length: numTokens }, (_, token) => {
      const entry = sequence * plan.maxBlocksPerSequence + Math.floor(token / 16);
      const slot = (plan.blockTables[entry] ?? -1) * 16 + (token % 16);
      const id = this.#slots[slot] ?? -1;
      assert(id >= 0, `token ${token} of sequence ${sequence} was never written`);
      return id;
    });
  }
}

/** Returns a plan with the tokens that the step before chose, counted where penalties need them. */
function withChosen(plan: StepPlan, chosen: Uint32Array): StepPlan {
  const { previousOutputs } = plan;
  if (previousOutputs === undefined) return plan;
  const tokenIds = plan.tokenIds.map((id, row) => {
    const output = previousOutputs[row] ?? -1;
    if (output < 0) return id;
    const token = chosen[output];
    assert(token !== undefined, `the step before had no output ${output}`);
    return token;
  });
  const outputs = plan.outputs.map((output) => {
    const { token, sample } = output;
    if (sample === null || (previousOutputs[token] ?? -1) < 0) return output;
    return { ...output, sample: withGenerated(sample, tokenIds[token] ?? 0) };
  });
  return { ...plan, tokenIds, outputs };
}

function withGenerated(params: SampleParams, id: number): SampleParams {
  const { repetitionPenalty, presencePenalty, frequencyPenalty } = params;
  const seen = new Set(params.seenTokenIds);
  if (repetitionPenalty !== 1) seen.add(id);
  const counts = new Map<number, number>();
  for (const [i, one] of params.generatedTokenIds.entries()) {
    counts.set(one, params.generatedCounts[i] ?? 0);
  }
  if (presencePenalty !== 0 || frequencyPenalty !== 0) counts.set(id, (counts.get(id) ?? 0) + 1);
  return {
    ...params,
    seenTokenIds: Uint32Array.from(seen),
    generatedTokenIds: Uint32Array.from(counts.keys()),
    generatedCounts: Uint32Array.from(counts.values()),
  };
}
