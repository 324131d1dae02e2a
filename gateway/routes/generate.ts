import { setMaxListeners } from 'node:events';
import type { HoldBytes } from '#gateway/media/byte-budget.ts';
import type { AdmissibleMedia } from '#gateway/media/media-intake.ts';
import { mediaItem } from '#gateway/media/media-item.ts';
import { ScoreBound, type ScoreCounter } from '#gateway/openai/answer/score-bound.ts';
import { clientError } from '#gateway/openai/client-error.ts';
import type { RequestedStart } from '#gateway/openai/request/requested-start.ts';
import { GenerationTrace, inStage } from '#gateway/requests/generation-trace.ts';
import { recordOf } from '#gateway/requests/request-record.ts';
import type { GenerateEvent, GenerateUpload } from '#gateway/routing/generate-call.ts';
import { Semaphore } from '#mesh/async/semaphore.ts';
import { MeshError } from '#mesh/errors.ts';
import type { AnswerCall, AnswerSource, Exchange } from './answer-call.ts';
import type { AnswerWriter } from './answer-writer.ts';
import type { AnswerContext } from './route-context.ts';
import type { SendFrames } from './stream-answer.ts';

/** Label of an answer that went on at an endpoint whose tokens may differ. */
const INEXACT = 'resumed:other-numerics';

/** An admitted request to generate. */
export interface AdmittedCall extends Exchange, AnswerSource {
  readonly call: AnswerCall;
  readonly media: AdmissibleMedia;
  /** Counts the bytes of loaded media in the memory of all requests. */
  readonly hold: HoldBytes;
  /** Says in the reply who answered, if not simply the model. */
  readonly label: (servedBy: string) => void;
}

export interface AnswerSink<Last> {
  readonly createWriter: (served: AnswerSource) => AnswerWriter<Last>;
  readonly send: SendFrames;
}

/**
 * Generates for every start of a request and writes the events; the first failure ends the other
 * generations and is thrown.
 */
export async function generateAll<Last>(
  context: AnswerContext,
  admitted: AdmittedCall,
  { createWriter, send }: AnswerSink<Last>,
): Promise<Last> {
  const { call, request } = admitted;
  const scores = scoreBound(context, call);
  const siblings = call.starts.length === 1 ? undefined : new AbortController();
  const signal = siblings === undefined ? admitted.signal : either(admitted, siblings);
  const writer = createWriter({ ...admitted, signal });
  const places = new Semaphore(call.maxAtOnce ?? call.starts.length);
  const runs = call.starts.map((start, index) => {
    // Each start is a request of its own to the mesh.
    const requestId = siblings === undefined ? request.id : `${request.id}-${index}`;
    const countScores = scores?.counterFor(start.output);
    const generation = { start, index, requestId, countScores, ...admitted, signal };
    return places.run(signal, () => generate(context, generation, { writer, send }));
  });
  try {
    await Promise.all(runs);
  } catch (error: unknown) {
    siblings?.abort(error);
    await Promise.allSettled(runs);
    throw error;
  }
  return await writer.end();
}

function either({ signal }: AdmittedCall, siblings: AbortController): AbortSignal {
  const joined = AbortSignal.any([signal, siblings.signal]);
  // Each generation adds a listener, and Node would report more than ten as a leak.
  setMaxListeners(0, joined);
  return joined;
}

function scoreBound(
  { maxAnswerLogprobs: maxScores }: AnswerContext,
  { promptRepeats, isStream, repeatsScores }: AnswerCall,
): ScoreBound | undefined {
  if (promptRepeats === undefined) return undefined;
  return new ScoreBound({
    maxScores,
    promptRepeats,
    isStream: isStream && repeatsScores !== true,
  });
}

interface Generation extends AdmittedCall {
  readonly start: RequestedStart;
  /** Index of the start among those of the request. */
  readonly index: number;
  readonly requestId: string;
  readonly countScores: ScoreCounter | undefined;
}

interface GenerationSink {
  readonly writer: AnswerWriter<unknown>;
  readonly send: SendFrames;
}

/** Runs one generation once its media are loaded; records its first token and its cancellation. */
async function generate(
  context: AnswerContext,
  generation: Generation,
  { writer, send }: GenerationSink,
): Promise<void> {
  const { router, metrics } = context;
  const { call, route, media, signal, request, reply, label, index, countScores } = generation;
  const record = recordOf(request);
  const attempts = record && new GenerationTrace(record, route);
  const sendAny = (frames: string) => (frames === '' ? undefined : send(frames));
  let hasTokens = false;
  try {
    const upload = await uploadOf(context, generation);
    const onResume = ({ isExact }: { readonly isExact: boolean }) => {
      metrics.resumes.add(1, { exact: String(isExact) });
      if (!isExact) label(INEXACT);
    };
    // All work per event is done here: a promise or a generator would cost as much again.
    const take = (event: GenerateEvent) => {
      if (!hasTokens && event.$case === 'delta') {
        hasTokens = true;
        metrics.timeToFirstToken.observe(reply.elapsedTime / 1000);
        record?.tokenCame();
      }
      if (event.$case === 'finished') attempts?.finished(event.value);
      countScores?.(event);
      const written = writer.write(event, index);
      return typeof written === 'string' ? sendAny(written) : written.then(sendAny);
    };
    await router.generate(upload, route, { signal, take, onResume, attempts });
  } catch (error: unknown) {
    if (error instanceof MeshError && error.reason === 'CANCELLED') metrics.cancellations.add(1);
    const promptIndex = call.starts.length === 1 ? undefined : index;
    throw clientError(error, { fields: call.fields, references: media.references, promptIndex });
  }
}

async function uploadOf(
  { intake, clients }: AnswerContext,
  generation: Generation,
): Promise<GenerateUpload> {
  const { requestId, route, start, media, request, hold, signal } = generation;
  const clientId = clients.nameOf(request.raw);
  const loaded = await inStage(recordOf(request), media.references.length, () =>
    intake.load(media, { clientId, hold, signal }),
  );
  const items = loaded.map((item) => mediaItem(item, media.options));
  const prompt = start.prompt && { ...start.prompt, media: items };
  return {
    start: {
      requestId,
      model: route.name,
      resume: undefined,
      clientId,
      planOnly: false,
      ...start,
      prompt,
    },
    media: loaded.map(({ bytes }) => bytes),
  };
}
