import assert from 'node:assert/strict';
import fastify from 'fastify';
import { pino } from 'pino';
import { answerErrors } from '#gateway/http/errors-to-http.ts';
import { InFlight } from '#gateway/http/in-flight.ts';
import { CHAT_FIELDS } from '#gateway/openai/field-names.ts';
import type { RequestedStart } from '#gateway/openai/request/requested-start.ts';
import { answer } from '#gateway/routes/answer.ts';
import type { AnswerCall } from '#gateway/routes/answer-call.ts';
import type { AnswerWriter } from '#gateway/routes/answer-writer.ts';
import { GenerationMetrics } from '#gateway/routes/generation-metrics.ts';
import type { AnswerContext } from '#gateway/routes/route-context.ts';
import type { GenerateEvent, GenerateUpload } from '#gateway/routing/generate-call.ts';
import { MetricRegistry } from '#mesh/metrics.ts';
import { MaxPixelsMode } from '#protos/autoglm/common/v1/media.ts';
import {
  GenerateResponse,
  GenerateStart,
  GetModelResponse,
} from '#protos/autoglm/llm/v1/llm_backbone.ts';

/** Script of the events with which the mesh answers a generation. */
export type Script = (upload: GenerateUpload, signal: AbortSignal) => AsyncIterable<GenerateEvent>;

type PartialEvent = NonNullable<Parameters<typeof GenerateResponse.fromPartial>[0]['event']>;

export function eventOf(event: PartialEvent): GenerateEvent {
  const complete = GenerateResponse.fromPartial({ event }).event;
  if (complete === undefined) throw new Error('an event has a kind');
  return complete;
}

export const ACCEPTED = eventOf({ $case: 'accepted', value: { numPromptTokens: 3 } });
export const FINISHED = eventOf({ $case: 'finished', value: {} });

/** Makes an event with one token of the first choice. */
export function deltaOf(text: string): GenerateEvent {
  return eventOf({ $case: 'delta', value: { choices: [{ text, tokenIds: [1] }] } });
}

export async function* scriptOf(
  ...events: readonly GenerateEvent[]
): AsyncGenerator<GenerateEvent> {
  yield* events;
}

export function startOf(text: string): RequestedStart {
  const { prompt, sampling, output } = GenerateStart.fromPartial({
    prompt: { form: { $case: 'text', value: { text } } },
    output: {},
  });
  return { prompt, sampling, output, cacheSalt: '', structuredOutput: undefined };
}

/**
 * Makes a writer that writes the kind and the place of every event, and notes that it is asked to
 * end.
 */
export function tracingWriter(): AnswerWriter<string> {
  return { write: (event, index) => `${event.$case} ${index}\n`, end: () => 'end\n' };
}

export interface AnsweringOptions {
  readonly script: Script;
  readonly call?: Partial<AnswerCall>;
  readonly model?: Parameters<typeof GetModelResponse.fromPartial>[0];
  readonly maxAnswerLogprobs?: number;
}

/** Calls `answer` once, with a server without a socket. */
export async function askOnce(options: AnsweringOptions) {
  const { script, call, model = {}, maxAnswerLogprobs = 1000 } = options;
  const inFlight = new InFlight({ maxRequests: 1, timeoutMs: 60_000 });
  const metrics = new GenerationMetrics(new MetricRegistry());
  const log = pino({ enabled: false });
  const uploads: GenerateUpload[] = [];
  const context: AnswerContext = {
    router: {
      resolve: (name = 'nano') => ({ name, model: GetModelResponse.fromPartial(model) }),
      models: () => [],
      generate: async (upload, _, { signal, take }) => {
        uploads.push(upload);
        for await (const event of script(upload, signal)) await take(event);
      },
    },
    inFlight,
    intake: {
      check: ({ references }) => ({
        references,
        options: { maxPixelsMode: MaxPixelsMode.MAX_PIXELS_MODE_UNSPECIFIED },
      }),
      load: async () => [],
    },
    clients: { nameOf: () => 'address:192.0.2.1' },
    memory: { add: () => {} },
    degradation: undefined,
    kept: { join: () => assert.fail('the request has no Idempotency-Key') },
    metrics,
    stream: { heartbeatMs: 60_000, stallMs: 60_000 },
    maxAnswerLogprobs,
    usualReasoning: 'inline',
    log,
  };
  const complete: AnswerCall = {
    model: undefined,
    requestId: undefined,
    unknownFields: [],
    isStream: false,
    starts: [startOf('hi')],
    media: { references: [], processorKwargs: undefined },
    fields: CHAT_FIELDS,
    stream: tracingWriter,
    whole: () => ({ ...tracingWriter(), end: () => ({ is: 'whole' }) }),
    ...call,
  };
  const app = fastify({ genReqId: () => 'req' });
  answerErrors(app, log);
  app.post('/', (request, reply) => answer(context, complete, { request, reply }));
  const response = await app.inject({ method: 'POST', url: '/' });
  return { response, inFlight, metrics, uploads };
}
