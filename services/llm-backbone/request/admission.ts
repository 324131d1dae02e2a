import { randomUUID } from 'node:crypto';
import type { DescribedModel } from '#backbone/checkpoint/model-description.ts';
import type { Scheduler } from '#backbone/engine/scheduler.ts';
import type { Embeddings } from '#backbone/media/embeddings.ts';
import type { MediaBuffer } from '#backbone/media/media-buffer.ts';
import { readIdentity } from '#backbone/media/media-item.ts';
import { receiveMedia } from '#backbone/media/media-upload.ts';
import { RequestMedia } from '#backbone/media/request-media.ts';
import { excerpt, quoted } from '#mesh/client-text.ts';
import { MeshError } from '#mesh/errors.ts';
import type { GenerateRequest, GenerateStart } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import { checkStart, type RequestReader, readRequest } from './generate-request.ts';
import { Generation, type GenerationContext, type GenerationRequest } from './generation.ts';
import type { CheckedSampling } from './sampling.ts';

/** A request whose start has been read. */
export interface Arrival {
  /** The caller's name of the request, or a generated one, for logs. */
  readonly requestId: string;
  readonly start: GenerateStart;
  /** The messages after the start. */
  readonly messages: AsyncIterator<GenerateRequest>;
  /** Monotonic time, milliseconds. */
  readonly arrivalMs: number;
  readonly signal: AbortSignal;
}

/** The parts of a model that admit requests. */
export interface AdmissionContext {
  readonly model: DescribedModel;
  readonly reader: RequestReader;
  readonly scheduler: Scheduler;
  readonly generations: GenerationContext;
  readonly embeddings: Embeddings;
  readonly mediaBuffer: MediaBuffer;
}

/** Takes the first message of a call, which must be a start. */
export async function readArrival(
  requests: AsyncIterable<GenerateRequest>,
  { signal }: { readonly signal: AbortSignal },
): Promise<Arrival> {
  const arrivalMs = performance.now();
  const messages = requests[Symbol.asyncIterator]();
  const start = await readStart(messages);
  const requestId = start.requestId === '' ? randomUUID() : excerpt(start.requestId);
  return { requestId, start, messages, arrivalMs, signal };
}

async function readStart(messages: AsyncIterator<GenerateRequest>): Promise<GenerateStart> {
  const first = await messages.next();
  if (first.done === true) {
    throw new MeshError('INVALID_REQUEST', 'the request stream ended without a start');
  }
  const { event } = first.value;
  if (event?.$case === 'start') return event.value;
  throw new MeshError('INVALID_REQUEST', 'the first message must be a start');
}

/** Checks, tokenizes and queues a request. */
export async function admit(arrival: Arrival, context: AdmissionContext): Promise<Generation> {
  const { start, arrivalMs } = arrival;
  checkModelName(start.model, context.model);
  const sampling = checkStart(start, context.reader);
  // A full queue must refuse before media are read and the prompt is tokenized.
  const arrive = context.scheduler.expect(sampling.numChoices);
  const request = await readRest(arrival, sampling, context).finally(arrive);
  const generation = new Generation({ ...request, arrivalMs }, context.generations);
  try {
    generation.start();
    return generation;
  } catch (error: unknown) {
    request.media?.close();
    throw error;
  }
}

/** Reads media and prompt of a request whose start has been checked. */
async function readRest(
  arrival: Arrival,
  sampling: CheckedSampling,
  context: AdmissionContext,
): Promise<Omit<GenerationRequest, 'arrivalMs'>> {
  const { start, signal } = arrival;
  const media = await readMedia(arrival, context);
  try {
    const request = await readRequest(start, sampling, context.reader, { media, signal });
    return { ...request, media };
  } catch (error: unknown) {
    media.close();
    throw error;
  }
}

/** Reads the request messages up to the half-close: the bytes of the media that the start names. */
async function readMedia(
  { start, messages, requestId, signal }: Arrival,
  { embeddings, mediaBuffer }: AdmissionContext,
): Promise<RequestMedia> {
  const identities = (start.prompt?.media ?? []).map(readIdentity);
  embeddings.checkSupported(identities);
  const giveBack = mediaBuffer.reserve(identities);
  try {
    const received = await receiveMedia(messages, identities, signal);
    const items = received.map((item) => ({ ...item, requestId }));
    return new RequestMedia(items, embeddings, giveBack);
  } catch (error: unknown) {
    giveBack();
    throw error;
  }
}

/** Refuses a name that is not one of the model's; an empty name means the first of them. */
export function checkModelName(name: string, { servedNames }: DescribedModel): void {
  if (name === '' || servedNames.includes(name)) return;
  const message = `the model ${quoted(name)} is not served here; ${servedNames.join(', ')} is`;
  throw new MeshError('MODEL_NOT_FOUND', message, { param: 'model' });
}
