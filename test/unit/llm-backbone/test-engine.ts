import { BackboneMetrics } from '#backbone/engine/backbone-metrics.ts';
import { EngineLoop } from '#backbone/engine/engine-loop.ts';
import { Scheduler, type SchedulerOptions } from '#backbone/engine/scheduler.ts';
import type { StepExecutor } from '#backbone/engine/step-plan.ts';
import { Generation, type GenerationRequest } from '#backbone/request/generation.ts';
import { MetricRegistry } from '#mesh/metrics.ts';
import { Quarantine } from '#mesh/process/quarantine.ts';
import { StepWatchdog } from '#mesh/process/step-watchdog.ts';
import { Stages } from '#mesh/trace/stages.ts';
import type { DecoderDescription } from '#native';
import type {
  ChoiceDelta,
  Finished,
  GenerateResponse,
} from '#protos/autoglm/llm/v1/llm_backbone.ts';
import { within } from '#test/bounded.ts';
import { FakeClock } from '#test/fake-clock.ts';
import { GREEDY, ids, ticketOf } from '#test/unit/llm-backbone/engine/scheduling.ts';
import { vocabulary } from './text-model.ts';

/** Time that every step of a test engine may take, ms. */
export const STEP_LIMIT_MS = 5000;

/** A decoder and its description. */
export interface DescribedExecutor extends StepExecutor {
  readonly description: Pick<DecoderDescription, 'numBlocks' | 'kvCacheDtype'>;
}

/** Creates an engine over a decoder, without gRPC. */
export function createTestEngine(
  decoder: DescribedExecutor,
  options: Partial<SchedulerOptions> = {},
) {
  const scheduler = new Scheduler({
    numBlocks: decoder.description.numBlocks,
    blockSize: 16,
    maxNumSeqs: 16,
    maxNumBatchedTokens: 64,
    maxNumWaiting: 100,
    maxNumWaitingMedia: 100,
    priorityAgingMs: 1000,
    speculation: null,
    ...options,
  });
  let time = 0;
  const now = () => time++;
  const registry = new MetricRegistry();
  const metrics = new BackboneMetrics(registry, 'test');
  metrics.watch(scheduler, decoder.description);
  const trace: string[] = [];
  const quarantine = new Quarantine({
    journal: { write: (keys) => trace.push(keys.join(' ')) },
    onCleared: (key) => trace.push(`${key} cleared`),
  });
  const clock = new FakeClock();
  const watchdog = new StepWatchdog({ clock, limitMs: STEP_LIMIT_MS });
  const parts = { scheduler, executor: decoder, metrics, quarantine, watchdog, now };
  const engine = new EngineLoop(parts);
  let numSequences = 0;
  const nextSequenceId = () => numSequences++;
  const streamInterval = 1;
  const context = {
    engine,
    vocabulary,
    metrics,
    quarantine,
    now,
    nextSequenceId,
    streamInterval,
  };
  const done = engine.run();
  return { scheduler, engine, registry, context, quarantine, trace, clock, done };
}

export type TestEngine = ReturnType<typeof createTestEngine>;

export interface RequestShape extends Partial<Omit<GenerationRequest, 'output' | 'settings'>> {
  readonly promptTokenIds?: readonly number[];
  readonly maxTokens?: number;
  readonly settings?: Partial<GenerationRequest['settings']>;
  readonly output?: Partial<GenerationRequest['output']>;
}

export function requestOf({
  promptTokenIds = ids(40, 20),
  maxTokens = 12,
  ...shape
}: RequestShape = {}) {
  const numChoices = shape.numChoices ?? 1;
  const request: GenerationRequest = {
    prompt: { tokenIds: promptTokenIds, placeholders: [], positions: null, audioDurationMs: 0 },
    media: null,
    numChoices,
    ticket: ticketOf(),
    cacheSalt: '',
    numLogprobs: -1,
    numPromptLogprobs: -1,
    returnPromptTokenIds: false,
    planOnly: false,
    embedding: null,
    delivered: Array.from({ length: numChoices }, () => []),
    promptKey: '',
    stages: new Stages('llm-backbone', 0),
    ...shape,
    settings: { ...GREEDY, vocabLimit: vocabulary.size, ...shape.settings },
    output: {
      endRules: { maxTokens, eosTokenIds: new Set(), stopTokenIds: new Set() },
      minTokens: 0,
      stopStrings: [],
      includeStopString: false,
      skipSpecialTokens: true,
      splitReasoning: false,
      tools: null,
      ...shape.output,
    },
  };
  return request;
}

/** The part of one choice that a reader received. */
export interface Answer {
  readonly tokenIds: number[];
  text: string;
  /** Text after each token of `tokenIds`. */
  readonly textAfter: string[];
}

export interface Collected {
  readonly answers: readonly Answer[];
  readonly events: readonly NonNullable<GenerateResponse['event']>[];
}

/** Reads a stream to its end. */
export async function collect(
  responses: AsyncIterable<GenerateResponse>,
  numChoices = 1,
): Promise<Collected> {
  const events: NonNullable<GenerateResponse['event']>[] = [];
  const answers = Array.from(
    { length: numChoices },
    (): Answer => ({ tokenIds: [], text: '', textAfter: [] }),
  );
  const read = async () => {
    for await (const { event } of responses) {
      if (event === undefined) continue;
      events.push(event);
      if (event.$case === 'delta') take(event.value.choices, answers);
    }
  };
  const trace = () => events.map(({ $case }) => $case);
  await within(read(), { what: 'the end of the answer', trace });
  return { answers, events };
}

function take(choices: readonly ChoiceDelta[], answers: readonly Answer[]): void {
  for (const { index, tokenIds, text } of choices) {
    const answer = answers[index];
    if (answer === undefined) throw new Error(`no choice ${index}`);
    answer.tokenIds.push(...tokenIds);
    answer.text += text;
    answer.textAfter[Math.max(0, answer.tokenIds.length - 1)] = answer.text;
  }
}

/** Returns the last event of a stream that ended without an error. */
export function finishedOf(events: Collected['events']): Finished {
  const last = events.at(-1);
  if (last?.$case !== 'finished') throw new Error(`the stream ended with ${last?.$case}`);
  return last.value;
}

/** Runs one request to its end. */
export async function generate(engine: TestEngine, shape: RequestShape = {}): Promise<Collected> {
  const request = requestOf(shape);
  const generation = new Generation(request, engine.context);
  generation.start();
  return collect(generation.responses.read(new AbortController().signal), request.numChoices);
}
