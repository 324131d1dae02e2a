import type { CallContext } from 'nice-grpc-common';
import { pino } from 'pino';
import { type MeshServer, startMeshServer } from '#mesh/grpc/grpc-server.ts';
import { Health } from '#mesh/grpc/health.ts';
import { MetricRegistry } from '#mesh/metrics.ts';
import { createInstanceService, InstanceStatus } from '#mesh/process/instance.ts';
import { Modality } from '#protos/autoglm/common/v1/media.ts';
import {
  type CandidateToken,
  Channel,
  type ChoiceDelta,
  type ChoiceFinish,
  type DeepPartial,
  type DetokenizeRequest,
  FinishReason,
  type GenerateRequest,
  type GenerateResponse,
  type GenerateStart,
  LlmBackboneServiceDefinition,
  type LlmBackboneServiceImplementation,
  type PromptLimits,
  type TokenizeRequest,
} from '#protos/autoglm/llm/v1/llm_backbone.ts';
import {
  type EncoderReadiness,
  InstanceServiceDefinition,
  InstanceState,
  Numerics,
} from '#protos/autoglm/mesh/v1/instance.ts';
import { within } from '#test/bounded.ts';

const FINGERPRINT = '0123456789abcdef'.repeat(4);

export type Events = AsyncIterable<DeepPartial<GenerateResponse>>;

/** Plays one answer; `signal` is aborted when the caller cancels. */
export type Script = (start: GenerateStart, signal: AbortSignal) => Events;

/** A backbone that plays scripts and records its requests in order. */
export class FakeBackbone {
  readonly health = new Health([LlmBackboneServiceDefinition.fullName]);
  readonly metrics = new MetricRegistry();
  readonly starts: GenerateStart[] = [];
  readonly tokenized: TokenizeRequest[] = [];
  readonly detokenized: DetokenizeRequest[] = [];
  /** Bytes of each start's media items, in their order. */
  readonly uploads: Buffer[][] = [];
  /** Kinds of media that it declares. */
  modalities: Modality[] = [Modality.MODALITY_IMAGE, Modality.MODALITY_AUDIO];
  /** Prompt limits that it declares; undefined, as by a backbone without such limits. */
  promptLimits: PromptLimits | undefined;
  /** Encoders that it counts. */
  encoders: EncoderReadiness[] = [];
  /** The `traceparent` of each start. */
  readonly parents: unknown[] = [];
  readonly trace: string[] = [];
  /**
   * Status that it pushes to watchers; GetModel answers with the names and the fingerprint in it.
   */
  readonly status: InstanceStatus;
  script: Script = () => saying('Hello', ' world');
  /** False: it plays its script without reading the messages after the start. */
  readsMedia = true;
  /** Set: GetMetrics answers only after this promise resolves. */
  metricsHold: Promise<void> | undefined;
  /** Requests for metrics so far. */
  numScrapes = 0;
  readonly #waiting = new Set<() => void>();
  #server: MeshServer | undefined;

  constructor(servedNames: string[] = ['phone-nano']) {
    this.status = createStatus(servedNames, () => this.encoders);
    this.health.setServing(true);
  }

  get address(): string {
    return this.#server?.address ?? '';
  }

  async start(listen = '127.0.0.1:0'): Promise<void> {
    this.#server = await startMeshServer({
      listen,
      log: pino({ enabled: false }),
      health: this.health,
      serviceNames: [LlmBackboneServiceDefinition.fullName],
      addServices: (server) => {
        server.add(LlmBackboneServiceDefinition, this.#service);
        const instance = createInstanceService(this.status, this.metrics);
        server.add(InstanceServiceDefinition, {
          ...instance,
          getMetrics: async (request, context) => {
            this.numScrapes += 1;
            await this.metricsHold;
            return await instance.getMetrics(request, context);
          },
        });
      },
    });
  }

  /** Ends as a killed process does: calls break off. */
  async kill(): Promise<void> {
    this.health.setServing(false);
    await this.#server?.close(0);
  }

  record(event: string): void {
    this.trace.push(event);
    for (const wake of [...this.#waiting]) wake();
  }

  /** Resolves when the trace holds `event`. */
  until(event: string): Promise<void> {
    return within(this.#recorded(event), { what: `"${event}"`, trace: () => this.trace });
  }

  async #recorded(event: string): Promise<void> {
    while (!this.trace.includes(event)) {
      await new Promise<void>((resolve) => {
        const wake = () => {
          this.#waiting.delete(wake);
          resolve();
        };
        this.#waiting.add(wake);
      });
    }
  }

  readonly #service: LlmBackboneServiceImplementation = {
    generate: (requests, context) => this.#generate(requests, context),
    tokenize: async (request) => {
      const { model, prompt } = request;
      this.tokenized.push(request);
      this.record(`tokenize ${model} ${prompt?.form?.$case} ${prompt?.media.length}`);
      return { tokenIds: [11, 12], maxModelLen: 512, tokens: ['He', 'y'] };
    },
    detokenize: async (request) => {
      const { tokenIds } = request;
      this.detokenized.push(request);
      this.record(`detokenize ${tokenIds.join(',')}`);
      return { text: tokenIds.map((id) => `<${id}>`).join('') };
    },
    getModel: async () => ({
      servedNames: [...this.status.facts.servedNames],
      modelId: this.status.facts.modelId,
      fingerprint: this.status.facts.fingerprint,
      maxModelLen: 512,
      createdS: 1_700_000_000n,
      modalities: this.modalities,
      promptLimits: this.promptLimits,
    }),
  };

  async *#generate(requests: AsyncIterable<GenerateRequest>, context: CallContext): Events {
    const upload = requests[Symbol.asyncIterator]();
    const first: IteratorResult<GenerateRequest> = await upload.next();
    const start = first.done === true ? undefined : first.value.event;
    if (start?.$case !== 'start') throw new Error('the first message is no start');
    this.starts.push(start.value);
    this.parents.push(context.metadata.get('traceparent'));
    this.record('start');
    context.signal.addEventListener('abort', () => this.record('cancelled'));
    if (this.readsMedia) this.uploads.push(await mediaOf(upload, start.value));
    yield* this.script(start.value, context.signal);
    this.record('end');
  }
}

/** Reads the chunks up to the half-close. */
async function mediaOf(
  upload: AsyncIterator<GenerateRequest>,
  { prompt }: GenerateStart,
): Promise<Buffer[]> {
  const chunks: Buffer[][] = (prompt?.media ?? []).map(() => []);
  for (;;) {
    const next: IteratorResult<GenerateRequest> = await upload.next();
    if (next.done === true) return chunks.map((parts) => Buffer.concat(parts));
    const { event } = next.value;
    if (event?.$case !== 'mediaChunk') throw new Error('a message after the start is no chunk');
    chunks[event.value.mediaIndex]?.push(event.value.data);
  }
}

function createStatus(
  servedNames: readonly string[],
  encoders: () => EncoderReadiness[],
): InstanceStatus {
  const facts = {
    role: 'llm-backbone',
    state: InstanceState.INSTANCE_STATE_READY,
    detail: '',
    device: 'cpu',
    modelId: 'phone-nano',
    servedNames,
    fingerprint: FINGERPRINT,
    numerics: Numerics.fromPartial({ isa: 'reference', numRanks: 1 }),
  } as const;
  return new InstanceStatus(facts, {
    load: () => ({
      numRunning: 0,
      numWaiting: 0,
      capacity: 8,
      numOutstandingTokens: 0,
      kvCacheUse: 0,
    }),
    encoders,
  });
}

export function accepted(fields = {}): DeepPartial<GenerateResponse> {
  const value = { numPromptTokens: 7, numCachedTokens: 4, seed: 5n, promptTokenIds: [1, 2, 3] };
  return { event: { $case: 'accepted', value: { ...value, ...fields } } };
}

export function delta(
  ...choices: (Partial<ChoiceDelta> & { readonly text: string })[]
): DeepPartial<GenerateResponse> {
  const filled = choices.map((choice) => ({
    index: 0,
    tokenIds: [42],
    channel: Channel.CHANNEL_CONTENT,
    logprobs: [],
    finish: undefined,
    ...choice,
  }));
  return { event: { $case: 'delta', value: { choices: filled } } };
}

export function finished(fields = {}): DeepPartial<GenerateResponse> {
  const value = {
    choices: [{ index: 0, reason: FinishReason.FINISH_REASON_STOP }],
    numPromptTokens: 7,
    numCompletionTokens: 2,
    numCachedTokens: 4,
    numReasoningTokens: 0,
  };
  return { event: { $case: 'finished', value: { ...value, ...fields } } };
}

export function candidate(tokenId: number, text: string, logprob: number): CandidateToken {
  return { tokenId, text: Buffer.from(text), logprob };
}

/** The end of a choice at the model's own end token. */
export function stopped(index = 0): ChoiceFinish {
  return { index, reason: FinishReason.FINISH_REASON_STOP, stop: undefined };
}

/** Answers with one choice and one token per text; the last one brings the finish. */
export async function* saying(...texts: string[]): Events {
  yield accepted();
  for (const text of texts.slice(0, -1)) yield delta({ text });
  for (const text of texts.slice(-1)) yield delta({ text, finish: stopped() });
  yield finished({ numCompletionTokens: texts.length });
}

/** Resolves when the signal is aborted. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve());
    if (signal.aborted) resolve();
  });
}
