import { randomUUID } from 'node:crypto';
import type { DescribedModel } from '#backbone/checkpoint/model-description.ts';
import type { Scheduler } from '#backbone/engine/scheduler.ts';
import { Ticket } from '#backbone/engine/ticket.ts';
import type { Embeddings } from '#backbone/media/embeddings.ts';
import type { MediaBuffer } from '#backbone/media/media-buffer.ts';
import { readIdentity, salted } from '#backbone/media/media-item.ts';
import { receiveMedia } from '#backbone/media/media-upload.ts';
import { RequestMedia } from '#backbone/media/request-media.ts';
import { excerpt, quoted } from '#mesh/client-text.ts';
import { MeshError } from '#mesh/errors.ts';
import { clientOf } from '#mesh/fairness/client-id.ts';
import { type SendMessage, senderOf } from '#mesh/grpc/message-senders.ts';
import type { FailedWork } from '#mesh/log/log-failure.ts';
import type { CallTrace } from '#mesh/trace/call-trace.ts';
import { traceFields } from '#mesh/trace/trace-context.ts';
import type {
  GenerateRequest,
  GenerateResponse,
  GenerateStart,
} from '#protos/autoglm/llm/v1/llm_backbone.ts';
import {
  type CheckedStart,
  checkStart,
  type RequestReader,
  readRequest,
} from './generate-request.ts';
import { Generation, type GenerationContext, type GenerationRequest } from './generation.ts';
import { promptKey } from './prompt-key.ts';

/** A request whose start has been read. */
export interface Arrival {
  /** The caller's name of the request, or a generated one, for logs. */
  readonly requestId: string;
  /** Who asks, by the caller's word or by its address; queues are shared out between clients. */
  readonly client: string;
  readonly start: GenerateStart;
  /** The messages after the start. */
  readonly messages: AsyncIterator<GenerateRequest>;
  /** Monotonic time, milliseconds. */
  readonly arrivalMs: number;
  readonly signal: AbortSignal;
  readonly call: CallTrace;
  /** Sends a response; undefined if the call came by no server, and whoever made it reads them. */
  readonly send: SendMessage<GenerateResponse> | undefined;
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
  { signal, peer, call }: Pick<Arrival, 'signal' | 'call'> & { readonly peer: string },
): Promise<Arrival> {
  const arrivalMs = call.stages.startMs;
  const messages = requests[Symbol.asyncIterator]();
  const { first, start } = await readStart(messages);
  const requestId = start.requestId === '' ? randomUUID() : excerpt(start.requestId);
  const client = clientOf(start.clientId, peer);
  const send = senderOf<GenerateResponse>(first);
  return { requestId, client, start, messages, arrivalMs, signal, call, send };
}

/** Names a request for the line that says why it failed. */
export function failedRequest({ requestId, call }: Arrival): FailedWork {
  return { what: 'request', requestId, trace: traceFields(call.trace) };
}

async function readStart(
  messages: AsyncIterator<GenerateRequest>,
): Promise<{ readonly first: GenerateRequest; readonly start: GenerateStart }> {
  const first = await messages.next();
  if (first.done === true) {
    throw new MeshError('INVALID_REQUEST', 'the request stream ended without a start');
  }
  const { event } = first.value;
  if (event?.$case === 'start') return { first: first.value, start: event.value };
  throw new MeshError('INVALID_REQUEST', 'the first message must be a start');
}

/** Checks, tokenizes and queues a request. */
export async function admit(arrival: Arrival, context: AdmissionContext): Promise<Generation> {
  const { start, client, arrivalMs } = arrival;
  checkModelName(start.model, context.model);
  const checked = checkStart(start, context.reader);
  const { priority = 0, prompt } = start;
  const needsMedia = (prompt?.media.length ?? 0) > 0;
  const isResumed = start.resume?.choices.some(({ tokenIds }) => tokenIds.length > 0) ?? false;
  const ticket = new Ticket({ client, priority, arrivalMs, needsMedia, isResumed });
  // A full queue must refuse before media are read and the prompt is tokenized.
  context.scheduler.reserve(ticket, checked.sampling.numChoices);
  try {
    return await readAndStart(arrival, { checked, ticket }, context);
  } finally {
    context.scheduler.giveUp(ticket);
  }
}

/** Reads the rest of a request and queues it, unless it loses its place meanwhile. */
async function readAndStart(
  arrival: Arrival,
  { checked, ticket }: { readonly checked: CheckedStart; readonly ticket: Ticket },
  context: AdmissionContext,
): Promise<Generation> {
  const { prompt } = arrival.start;
  const signal = AbortSignal.any([arrival.signal, ticket.displaced]);
  const request = await readRest({ ...arrival, signal }, checked, context);
  const hashes = (prompt?.media ?? []).map(({ contentHash }) => contentHash);
  const key = promptKey(request.prompt.tokenIds, hashes);
  try {
    signal.throwIfAborted();
    context.generations.quarantine.check(key, 'the prompt');
    const { stages } = arrival.call;
    const known = { ...request, ticket, stages, promptKey: key };
    const generation = new Generation(known, context.generations);
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
  checked: CheckedStart,
  context: AdmissionContext,
): Promise<Omit<GenerationRequest, 'ticket' | 'promptKey' | 'stages'>> {
  const { start, signal } = arrival;
  const media = await readMedia(arrival, context);
  try {
    const request = await readRequest(start, checked, context.reader, { media, signal });
    return { ...request, media };
  } catch (error: unknown) {
    media.close();
    throw error;
  }
}

/** Reads the request messages up to the half-close: the bytes of the media that the start names. */
async function readMedia(
  { start, messages, requestId, client, call, signal }: Arrival,
  { embeddings, mediaBuffer }: AdmissionContext,
): Promise<RequestMedia> {
  const identities = (start.prompt?.media ?? [])
    .map(readIdentity)
    .map((item) => salted(item, start.cacheSalt));
  embeddings.checkSupported(identities);
  const giveBack = mediaBuffer.reserve(identities, client);
  try {
    const received = await receiveMedia(messages, identities, signal);
    const items = received.map((item) => ({ ...item, requestId, client, call }));
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
