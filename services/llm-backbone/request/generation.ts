import type { Vocabulary } from '#backbone/checkpoint/vocabulary.ts';
import type { BackboneMetrics, FinishedReason } from '#backbone/engine/backbone-metrics.ts';
import type { EngineLoop, SequenceOwner, SequenceResult } from '#backbone/engine/engine-loop.ts';
import type { RowSource } from '#backbone/engine/row-source.ts';
import { SamplerState, type SamplingSettings } from '#backbone/engine/sampler-state.ts';
import { Sequence } from '#backbone/engine/sequence.ts';
import type { ChunkResult, ScoredToken } from '#backbone/engine/step-plan.ts';
import type { Ticket } from '#backbone/engine/ticket.ts';
import { choiceDeltas, choiceFinish } from '#backbone/output/choice-messages.ts';
import { ChoiceOutput } from '#backbone/output/output.ts';
import type { ChoiceOptions } from '#backbone/output/output-stages.ts';
import { tokenLogprobs } from '#backbone/output/token-logprob.ts';
import { embeddingOf } from '#backbone/pooling/embedding.ts';
import type { RequestedEmbedding } from '#backbone/pooling/embedding-options.ts';
import { PromptPooling } from '#backbone/pooling/prompt-pooling.ts';
import { countMediaTokens, type PreparedPrompt } from '#backbone/prompt/prompt.ts';
import { MeshError } from '#mesh/errors.ts';
import type { Quarantine } from '#mesh/process/quarantine.ts';
import type { Stages } from '#mesh/trace/stages.ts';
import type { Stage } from '#protos/autoglm/common/v1/stage.ts';
import type { ChoiceDelta, TokenLogprob } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import { RequestTimer } from './request-timer.ts';
import { ResponseQueue } from './response-queue.ts';

/** Most prompt tokens of one message of log-probabilities: its reader serves others too. */
const MAX_SCORED_TOKENS = 256;

/** The source of a request's media rows, until the request ends. */
export interface GenerationMedia extends RowSource {
  /** Ends encodings that are under way and frees the media. */
  close(): void;
}

/** One Generate request, checked and tokenized. */
export interface GenerationRequest {
  readonly prompt: PreparedPrompt;
  /** Null if the prompt has no media. */
  readonly media: GenerationMedia | null;
  readonly settings: SamplingSettings;
  readonly output: ChoiceOptions;
  readonly numChoices: number;
  /** The request's place in the waiting queue. */
  readonly ticket: Ticket;
  /** Separates what the request leaves in the prefix cache; empty for the common cache. */
  readonly cacheSalt: string;
  /** Number of alternatives per sampled token; -1 for no log-probabilities. */
  readonly numLogprobs: number;
  /** Number of alternatives per prompt token; -1 for no log-probabilities. */
  readonly numPromptLogprobs: number;
  readonly returnPromptTokenIds: boolean;
  /** Generates nothing; the answer is the prompt as it would be computed. */
  readonly planOnly: boolean;
  /** The embedding that is the answer; null for a generation. */
  readonly embedding: RequestedEmbedding | null;
  /**
   * Token ids already delivered, one list per choice; the lists are empty if nothing was delivered.
   */
  readonly delivered: readonly (readonly number[])[];
  /** Hex hash of the prompt's tokens and media. */
  readonly promptKey: string;
  /** The stages of its call. */
  readonly stages: Stages;
}

/** The parts that the generations of one engine share. */
export interface GenerationContext {
  readonly engine: EngineLoop;
  readonly vocabulary: Vocabulary;
  readonly metrics: BackboneMetrics;
  readonly quarantine: Quarantine;
  readonly now: () => number;
  /** Numbers sequences in order of arrival. */
  readonly nextSequenceId: () => number;
  /** Tokens of a choice that make a delta, behind the first one. */
  readonly streamInterval: number;
}

/** One answer of a generation. */
interface Choice {
  readonly index: number;
  readonly output: ChoiceOutput;
  /** Null if nothing is left to generate. */
  readonly sequence: Sequence | null;
}

/**
 * A Generate request while it runs. Turns the results of steps for its choices into responses, and
 * ends its sequences when their text ends.
 */
export class Generation implements SequenceOwner {
  readonly promptKey: string;
  readonly responses: ResponseQueue;
  readonly #request: GenerationRequest;
  readonly #context: GenerationContext;
  readonly #timer: RequestTimer;
  readonly #choices: readonly Choice[];
  #hasSentPromptLogprobs = false;
  #numCachedTokens = 0;
  #isOver = false;

  constructor(request: GenerationRequest, context: GenerationContext) {
    this.promptKey = request.promptKey;
    this.responses = new ResponseQueue(context.streamInterval);
    this.#request = request;
    this.#context = context;
    this.#timer = new RequestTimer({ arrivalMs: request.ticket.arrivalMs, now: context.now });
    let leader: Sequence | null = null;
    this.#choices = Array.from({ length: request.numChoices }, (_, index): Choice => {
      const delivered = request.delivered[index] ?? [];
      const output = this.#replay(delivered);
      const isOpen = output.end === null && !request.planOnly;
      const sequence = isOpen ? this.#sequence(index, delivered, leader) : null;
      leader ??= sequence;
      return { index, output, sequence };
    });
  }

  /** Queues the sequences; throws QUEUE_FULL. */
  start(): void {
    const sequences = this.#openSequences();
    this.#timer.queued();
    const { displaced } = this.#request.ticket;
    displaced.addEventListener('abort', () => this.#refuse(displaced.reason), { once: true });
    if (sequences.length > 0) {
      this.#context.engine.submit(this, sequences);
      return;
    }
    this.#accept();
    this.#finish();
  }

  /** Ends the generation when its reader is gone; does nothing if it is over. */
  cancel(): void {
    if (this.#isOver) return;
    this.#context.engine.withdraw(this.#openSequences());
    this.#end('abort');
  }

  scheduled(): void {
    if (this.#isOver) return;
    this.#timer.scheduled();
    const leader = this.#choices.find(({ sequence }) => sequence !== null)?.sequence;
    this.#numCachedTokens = leader?.numCachedTokens ?? 0;
    const { prompt } = this.#request;
    this.#context.metrics.promptScheduled({
      numTokens: prompt.tokenIds.length,
      numCachedTokens: this.#numCachedTokens,
      numImageTokens: countMediaTokens(prompt, 'image'),
      numAudioTokens: countMediaTokens(prompt, 'audio'),
    });
    this.#accept();
  }

  advanced(results: readonly SequenceResult[]): void {
    if (this.#isOver) return;
    const deltas: ChoiceDelta[] = [];
    for (const { sequence, result } of results) {
      const choice = this.#choices.find((candidate) => candidate.sequence === sequence);
      if (choice === undefined) continue;
      this.#sendPromptLogprobs(sequence, result);
      if (!this.#sendEmbedding(sequence)) return;
      if (result.sampled.length === 0 && sequence.end !== null && choice.output.end === null) {
        choice.output.finishEmpty();
      }
      for (const sampled of result.sampled) {
        deltas.push(...this.#advance(choice, sequence, sampled));
      }
    }
    if (deltas.length > 0) this.responses.push({ $case: 'delta', value: { choices: deltas } });
    if (this.#choices.every(({ output }) => output.end !== null)) this.#finish();
  }

  /** Ends a request that has lost its place in the queue to another. */
  #refuse(error: MeshError): void {
    if (this.#isOver) return;
    this.#context.metrics.rejected(error.reason);
    this.failed(error);
  }

  failed(error: Error): void {
    if (this.#isOver) return;
    this.#context.engine.withdraw(this.#openSequences());
    this.responses.fail(error);
    this.#end('error');
  }

  /**
   * Feeds the delivered tokens to a fresh output and drops their text, which has already been sent.
   */
  #replay(delivered: readonly number[]): ChoiceOutput {
    const { vocabulary } = this.#context;
    const { output: options, prompt } = this.#request;
    const output = new ChoiceOutput(options, vocabulary, prompt.tokenIds);
    for (const tokenId of delivered) {
      if (output.end === null) output.push(tokenId);
    }
    return output;
  }

  #sequence(index: number, delivered: readonly number[], leader: Sequence | null): Sequence {
    const { prompt, media, settings, output, ticket, cacheSalt, embedding } = this.#request;
    const { numLogprobs, numPromptLogprobs } = this.#request;
    return new Sequence({
      id: this.#context.nextSequenceId(),
      ticket,
      cacheSalt,
      promptTokenIds: prompt.tokenIds,
      completionTokenIds: delivered,
      placeholders: prompt.placeholders,
      rowSource: media,
      positions: prompt.positions,
      endRules: output.endRules,
      sampler: new SamplerState(settings, prompt.tokenIds, delivered, index),
      numLogprobs,
      // All choices have the same prompt, so only the first one scores it.
      numPromptLogprobs: leader === null ? numPromptLogprobs : -1,
      pooling: embedding && new PromptPooling(embedding.pooling, prompt.tokenIds.length),
      leader,
      suspectKey: this.#context.quarantine.isSuspect(this.promptKey) ? this.promptKey : '',
    });
  }

  #openSequences(): Sequence[] {
    return this.#choices.flatMap(({ sequence, output }) =>
      sequence !== null && output.end === null ? [sequence] : [],
    );
  }

  #accept(): void {
    const { prompt, settings, returnPromptTokenIds } = this.#request;
    this.responses.push({
      $case: 'accepted',
      value: {
        numPromptTokens: prompt.tokenIds.length,
        numCachedTokens: this.#numCachedTokens,
        seed: settings.seed,
        promptTokenIds: returnPromptTokenIds ? [...prompt.tokenIds] : [],
        numImageTokens: countMediaTokens(prompt, 'image'),
        numAudioTokens: countMediaTokens(prompt, 'audio'),
        audioDurationMs: prompt.audioDurationMs,
      },
    });
  }

  #sendPromptLogprobs(sequence: Sequence, { promptScores }: ChunkResult): void {
    if (sequence.numPromptLogprobs < 0) return;
    const { vocabulary } = this.#context;
    const tokens = promptScores.flatMap((score) => tokenLogprobs(score, vocabulary));
    for (let first = 0; first < tokens.length; first += MAX_SCORED_TOKENS) {
      this.#pushPromptLogprobs(tokens.slice(first, first + MAX_SCORED_TOKENS));
    }
    // A prompt of one token has no scores.
    if (sequence.hasPrefilled && !this.#hasSentPromptLogprobs) this.#pushPromptLogprobs([]);
  }

  #pushPromptLogprobs(tokens: TokenLogprob[]): void {
    this.#hasSentPromptLogprobs = true;
    this.responses.push({ $case: 'promptLogprobs', value: { tokens } });
  }

  /** Sends the embedding when the prompt has been computed; false if the request failed instead. */
  #sendEmbedding({ pooling }: Sequence): boolean {
    const { embedding } = this.#request;
    const pooled = pooling?.result();
    if (embedding === null || pooled === undefined) return true;
    const values = embeddingOf(pooled, embedding);
    if (values !== null) this.responses.push({ $case: 'embedding', value: { values } });
    else this.failed(new MeshError('ENGINE_FAILED', 'hidden states are not finite'));
    return values !== null;
  }

  #advance(choice: Choice, sequence: Sequence, sampled: ScoredToken): ChoiceDelta[] {
    const { output, index } = choice;
    // A stop string has ended the choice, and the tokens behind it were under way.
    if (output.end !== null) return [];
    this.#context.metrics.tokenGenerated(this.#timer.tokenCame(index));
    const pieces = output.push(sampled.tokenId);
    if (output.end !== null && sequence.end === null) this.#context.engine.withdraw([sequence]);
    const logprobs = tokenLogprobs(sampled, this.#context.vocabulary);
    const finish = output.end === null ? undefined : choiceFinish(index, output);
    return choiceDeltas(index, pieces, { tokenIds: [sampled.tokenId], logprobs, finish });
  }

  #finish(): void {
    const { prompt } = this.#request;
    const sum = (count: (output: ChoiceOutput) => number) =>
      this.#choices.reduce((total, { output }) => total + count(output), 0);
    this.responses.push({
      $case: 'finished',
      value: {
        choices: this.#choices.map(({ index, output }) => choiceFinish(index, output)),
        numPromptTokens: prompt.tokenIds.length,
        numCompletionTokens: sum((output) => output.numTokens),
        numCachedTokens: this.#numCachedTokens,
        numReasoningTokens: sum((output) => output.numReasoningTokens),
        queueMs: this.#timer.queueMs,
        ttftMs: this.#timer.ttftMs,
        numImageTokens: countMediaTokens(prompt, 'image'),
        numAudioTokens: countMediaTokens(prompt, 'audio'),
        stages: this.#noteStages(),
      },
    });
    this.responses.end();
    this.#context.quarantine.clear(this.promptKey);
    this.#end(this.#choices[0]?.output.end?.reason ?? 'stop');
  }

  /** Notes where the call's time went, and returns it as its caller is told. */
  #noteStages(): Stage[] {
    const { stages } = this.#request;
    this.#timer.noteStages(stages);
    return stages.messages();
  }

  #end(reason: FinishedReason): void {
    this.#isOver = true;
    if (reason === 'abort' || reason === 'error') this.#noteStages();
    this.#request.media?.close();
    if (this.#request.planOnly) return;
    this.#context.metrics.requestEnded({
      reason,
      numPromptTokens: this.#request.prompt.tokenIds.length,
      numCompletionTokens: this.#choices.reduce((n, { output }) => n + output.numTokens, 0),
      numChoices: this.#request.numChoices,
      maxTokens: this.#request.output.endRules.maxTokens,
      times: this.#timer.ended(),
    });
  }
}
