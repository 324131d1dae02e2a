import { setMaxListeners } from 'node:events';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Route } from '#gateway/http/route.ts';
import { NO_MEDIA } from '#gateway/media/media-intake.ts';
import { Answer } from '#gateway/openai/answer.ts';
import { ChunkFrame } from '#gateway/openai/chunk-frame.ts';
import { CompletionChunks } from '#gateway/openai/completion-chunks.ts';
import {
  type CompletionRequest,
  parseCompletionRequest,
} from '#gateway/openai/completion-request.ts';
import { completionResponse, type PromptAnswer } from '#gateway/openai/completion-response.ts';
import type { Echo } from '#gateway/openai/echo.ts';
import { createEnvelope, type Envelope } from '#gateway/openai/envelope.ts';
import type { GenerateEvent } from '#gateway/openai/event.ts';
import { promptOnly } from '#gateway/openai/prompt-only.ts';
import { ScoreBound } from '#gateway/openai/score-bound.ts';
import { totalUsage, UsageMeter } from '#gateway/openai/usage.ts';
import { checkPrompt } from './check-prompt.ts';
import { echoOf } from './echo.ts';
import { generate } from './generate.ts';
import type { RouteContext } from './route-context.ts';
import { type SendFrames, streamAnswer } from './stream-answer.ts';

/** `POST /v1/completions` */
export function completionsRoute(context: RouteContext): Route {
  return {
    method: 'POST',
    path: '/v1/completions',
    handle: (request, reply) =>
      answerCompletion(context, { call: parseCompletionRequest(request.body), request, reply }),
  };
}

interface CompletionExchange {
  readonly call: CompletionRequest;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

async function answerCompletion(context: RouteContext, exchange: CompletionExchange) {
  const { call, request, reply } = exchange;
  const { name, model } = context.router.resolve(call.model);
  for (const { prompt } of call.starts) checkPrompt(prompt, model);
  const envelope = createEnvelope('cmpl', { name, fingerprint: model.fingerprint });
  const flight = context.inFlight.admit(reply.raw);
  const run = (events: PromptEvents) =>
    runPrompts(context, { ...exchange, model: name, signal: flight.signal }, events);
  if (call.isStream) {
    return await streamAnswer(context, { request, reply, flight }, (send) =>
      streamPrompts(call, envelope, { run, send }),
    );
  }
  try {
    return completionResponse(await gatherPrompts(call, run), { envelope, form: call.form });
  } finally {
    flight.end();
  }
}

/** Receives the events of the prompts as they come; `i` is the prompt's place. */
interface PromptEvents {
  onEcho(i: number, echo: Echo): void;
  onEvent(i: number, event: GenerateEvent): Promise<void> | undefined;
}

type RunPrompts = (events: PromptEvents) => Promise<void>;

async function streamPrompts(
  call: CompletionRequest,
  envelope: Envelope,
  { run, send }: { readonly run: RunPrompts; readonly send: SendFrames },
): Promise<string> {
  const { form, starts } = call;
  const frame = new ChunkFrame('text_completion', envelope, form.streamUsage);
  const meters = starts.map(() => new UsageMeter());
  const usage = () => totalUsage(meters);
  const writers = meters.map(
    (meter, i) =>
      new CompletionChunks({ frame, form, firstIndex: i * form.numChoices, meter, usage }),
  );
  await run({
    onEcho: (i, echo) => writers[i]?.setEcho(echo),
    onEvent: (i, event) => {
      const frames = writers[i]?.write(event) ?? '';
      return frames === '' ? undefined : send(frames);
    },
  });
  return frame.end(usage);
}

async function gatherPrompts(call: CompletionRequest, run: RunPrompts): Promise<PromptAnswer[]> {
  const answers = call.starts.map(() => new Answer(call.form.numChoices));
  const echoes = new Map<number, Echo>();
  await run({
    onEcho: (i, echo) => echoes.set(i, echo),
    onEvent: (i, event) => {
      answers[i]?.add(event);
      return undefined;
    },
  });
  return answers.map((answer, i) => ({ answer, echo: echoes.get(i) }));
}

interface PromptsRun extends CompletionExchange {
  readonly model: string;
  readonly signal: AbortSignal;
}

/** Generates for all prompts at once; the first failure ends the others and is thrown. */
async function runPrompts(
  context: RouteContext,
  { call, request, reply, model, signal }: PromptsRun,
  events: PromptEvents,
): Promise<void> {
  const siblings = new AbortController();
  const either = AbortSignal.any([signal, siblings.signal]);
  // Each run listens, and more than ten listeners are taken for a leak otherwise.
  setMaxListeners(0, either);
  const bound = new ScoreBound(context.maxAnswerLogprobs);
  const { isStream, form } = call;
  const promptRepeats = form.numChoices * (call.echoes && form.hasPromptLogprobs ? 2 : 1);
  const runs = call.starts.map(async (start, i) => {
    // Each prompt is a request of its own to the mesh.
    const requestId = call.starts.length === 1 ? request.id : `${request.id}-${i}`;
    const wish = { requestId, model, start, media: NO_MEDIA, signal: either, reply };
    const limits = { output: start.output, promptRepeats, isStream };
    const generated = bound.watch(generate(context, wish), limits);
    for await (const event of call.isPromptOnly ? promptOnly(generated) : generated) {
      if (event.$case === 'accepted' && call.echoes) {
        const hasLogprobs = call.form.numLogprobs !== undefined;
        const { prompt } = start;
        const echo = { model, prompt, accepted: event.value, hasLogprobs, signal: either };
        events.onEcho(i, await echoOf(context.router, echo));
      }
      const wait = events.onEvent(i, event);
      if (wait !== undefined) await wait;
    }
  });
  try {
    await Promise.all(runs);
  } catch (error: unknown) {
    siblings.abort(error);
    await Promise.allSettled(runs);
    throw error;
  }
}
