import { randomUUID } from 'node:crypto';
import type { CallContext } from 'nice-grpc-common';
import type { Vocabulary } from '#backbone/checkpoint/vocabulary.ts';
import type { Scheduler } from '#backbone/engine/scheduler.ts';
import type { Embeddings } from '#backbone/media/embeddings.ts';
import type { MediaBuffer } from '#backbone/media/media-buffer.ts';
import { readIdentity } from '#backbone/media/media-item.ts';
import { receiveMedia } from '#backbone/media/media-upload.ts';
import { RequestMedia } from '#backbone/media/request-media.ts';
import { detokenize } from '#backbone/output/detokenizer.ts';
import { type LengthLimits, tokenizePrompt } from '#backbone/prompt/prompt.ts';
import { checkStart, type RequestReader, readRequest } from '#backbone/request/generate-request.ts';
import {
  Generation,
  type GenerationContext,
  type GenerationRequest,
} from '#backbone/request/generation.ts';
import type { CheckedSampling } from '#backbone/request/sampling.ts';
import type { AdmissionGate } from '#mesh/admission-gate.ts';
import { quoted } from '#mesh/client-text.ts';
import { MeshError } from '#mesh/errors.ts';
import type { Log } from '#mesh/log/log.ts';
import { checkPromptSize } from '#mesh/prompt-limits.ts';
import type {
  DetokenizeRequest,
  GenerateRequest,
  GenerateResponse,
  GenerateStart,
  GetModelResponse,
  LlmBackboneServiceImplementation,
  PromptLimits,
  TokenizeRequest,
} from '#protos/autoglm/llm/v1/llm_backbone.ts';
import type { Prompt } from '#protos/autoglm/llm/v1/prompt.ts';

/** What the handlers work with. */
export interface BackboneServiceOptions {
  readonly model: GetModelResponse;
  readonly reader: RequestReader;
  readonly context: GenerationContext;
  readonly scheduler: Scheduler;
  readonly embeddings: Embeddings;
  readonly mediaBuffer: MediaBuffer;
  readonly gate: AdmissionGate;
  readonly log: Log;
}

/** The gRPC face of the backbone. */
export function createBackboneService(
  options: BackboneServiceOptions,
): LlmBackboneServiceImplementation {
  return {
    generate: (requests, context) => generate(options, requests, context),
    tokenize: (request) => tokenize(options, request),
    detokenize: async (request) => detokenizeIds(options, request),
    getModel: async () => options.model,
  };
}

async function* generate(
  options: BackboneServiceOptions,
  requests: AsyncIterable<GenerateRequest>,
  { signal }: CallContext,
): AsyncGenerator<GenerateResponse> {
  const { gate, context } = options;
  const arrivalMs = context.now();
  const messages = requests[Symbol.asyncIterator]();
  const start = await readStart(messages);
  const requestId = start.requestId === '' ? randomUUID() : start.requestId;
  const generation = await refusalsCounted(options, requestId, async () => {
    gate.enter();
    try {
      return await admit(options, { start, messages, arrivalMs, signal });
    } catch (error: unknown) {
      gate.leave();
      throw error;
    }
  });
  try {
    yield* generation.responses.read(signal);
  } finally {
    generation.cancel();
    gate.leave();
  }
}

/** Counts and logs what admission refuses; what was asked stays out of the log. */
async function refusalsCounted(
  { context, log }: BackboneServiceOptions,
  requestId: string,
  admission: () => Promise<Generation>,
): Promise<Generation> {
  try {
    return await admission();
  } catch (error: unknown) {
    if (error instanceof MeshError) {
      context.metrics.rejected(error.reason);
      log.debug({ requestId, reason: error.reason }, 'request refused');
    }
    throw error;
  }
}

/** A request whose start has been read. */
interface Arrival {
  readonly start: GenerateStart;
  /** What follows the start. */
  readonly messages: AsyncIterator<GenerateRequest>;
  readonly arrivalMs: number;
  readonly signal: AbortSignal;
}

/** Checks, tokenizes and queues a request. */
async function admit(options: BackboneServiceOptions, arrival: Arrival): Promise<Generation> {
  const { model, reader, scheduler, context } = options;
  const { start, arrivalMs } = arrival;
  checkModel(model, start.model);
  const sampling = checkStart(start, reader);
  // A full queue refuses before media are read and the prompt is tokenized.
  const arrive = scheduler.expect(sampling.numChoices);
  const request = await readArrival(options, arrival, sampling).finally(arrive);
  const generation = new Generation({ ...request, arrivalMs }, context);
  try {
    generation.start();
    return generation;
  } catch (error: unknown) {
    request.media?.close();
    throw error;
  }
}

/** Reads media and prompt of a request whose start is in order. */
async function readArrival(
  options: BackboneServiceOptions,
  arrival: Arrival,
  sampling: CheckedSampling,
): Promise<Omit<GenerationRequest, 'arrivalMs'>> {
  const { start, signal } = arrival;
  const media = await readMedia(options, arrival);
  try {
    const request = await readRequest(start, sampling, options.reader, { media, signal });
    return { ...request, media };
  } catch (error: unknown) {
    media.close();
    throw error;
  }
}

/** Reads the request messages up to the half-close: the bytes of the media the start names. */
async function readMedia(
  { embeddings, mediaBuffer }: BackboneServiceOptions,
  { start, messages, signal }: Arrival,
): Promise<RequestMedia> {
  const identities = (start.prompt?.media ?? []).map(readIdentity);
  embeddings.checkSupported(identities);
  const giveBack = mediaBuffer.reserve(identities);
  try {
    const items = await receiveMedia(messages, identities, signal);
    return new RequestMedia(items, embeddings, giveBack);
  } catch (error: unknown) {
    giveBack();
    throw error;
  }
}

/** Takes the first message of a call, which must be a start. */
async function readStart(messages: AsyncIterator<GenerateRequest>): Promise<GenerateStart> {
  const first = await messages.next();
  if (first.done === true) {
    throw new MeshError('INVALID_REQUEST', 'the request stream ended without a start');
  }
  const { event } = first.value;
  if (event?.$case === 'start') return event.value;
  throw new MeshError('INVALID_REQUEST', 'the first message must be a start');
}

async function tokenize({ model, reader }: BackboneServiceOptions, request: TokenizeRequest) {
  checkModel(model, request.model);
  checkPromptSize(request.prompt, reader.promptLimits);
  checkNumIds(request.prompt, reader.limits);
  const { vocabulary } = reader.prompt.tokenizer;
  const tokenIds = [...(await tokenizePrompt(request.prompt, reader.prompt))];
  const tokens = tokenIds.map((id) => Buffer.from(vocabulary.bytesOf(id)).toString('utf8'));
  return { tokenIds, maxModelLen: reader.limits.maxModelLen, tokens };
}

/** Token ids come back as they are, with the text of each: no more of them than a context holds. */
function checkNumIds(prompt: Prompt | undefined, { maxModelLen }: LengthLimits): void {
  if (prompt?.form?.$case !== 'tokens') return;
  const { length } = prompt.form.value.tokenIds;
  if (length <= maxModelLen) return;
  const message = `the prompt has ${length} token ids and this model takes at most ${maxModelLen}; shorten the prompt`;
  throw new MeshError('CONTEXT_LENGTH_EXCEEDED', message, { param: 'prompt.tokens.token_ids' });
}

function detokenizeIds({ model, reader }: BackboneServiceOptions, request: DetokenizeRequest) {
  checkModel(model, request.model);
  const { vocabulary } = reader.prompt.tokenizer;
  const unknown = request.tokenIds.find((id) => id >= vocabulary.size);
  if (unknown !== undefined) {
    const message = `token_ids: ${unknown} is not a token id; the vocabulary has ${vocabulary.size} tokens`;
    throw new MeshError('INVALID_REQUEST', message, { param: 'token_ids' });
  }
  checkDetokenizedSize(request.tokenIds, vocabulary, reader.promptLimits);
  return { text: detokenize(vocabulary, request.tokenIds, { skipSpecialTokens: false }) };
}

/** Refuses more text than a prompt may have: an answer is bounded like a question. */
function checkDetokenizedSize(
  tokenIds: readonly number[],
  vocabulary: Vocabulary,
  { maxTextBytes }: PromptLimits,
): void {
  const numBytes = tokenIds.reduce((sum, id) => sum + vocabulary.bytesOf(id).length, 0);
  if (numBytes <= maxTextBytes) return;
  const message = `token_ids: they are ${numBytes} bytes of text, at most ${maxTextBytes} are given (key "max-prompt-mb")`;
  throw new MeshError('PAYLOAD_TOO_LARGE', message, { param: 'token_ids' });
}

function checkModel({ servedNames }: GetModelResponse, name: string): void {
  if (name === '' || servedNames.includes(name)) return;
  const message = `the model ${quoted(name)} is not served here; ${servedNames.join(', ')} is`;
  throw new MeshError('MODEL_NOT_FOUND', message, { param: 'model' });
}
