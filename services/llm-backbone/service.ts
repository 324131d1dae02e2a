import { randomUUID } from 'node:crypto';
import type { CallContext } from 'nice-grpc-common';
import { MeshError } from '#mesh/errors.ts';
import type { Log } from '#mesh/log.ts';
import type {
  DetokenizeRequest,
  GenerateRequest,
  GenerateResponse,
  GenerateStart,
  GetModelResponse,
  LlmBackboneServiceImplementation,
  TokenizeRequest,
} from '#protos/autoglm/llm/v1/llm_backbone.ts';
import type { AdmissionGate } from './admission-gate.ts';
import { detokenize } from './detokenizer.ts';
import { checkStart, type RequestReader, readRequest } from './generate-request.ts';
import { Generation, type GenerationContext } from './generation.ts';
import { tokenizePrompt } from './prompt.ts';
import type { Scheduler } from './scheduler.ts';

/** What the handlers work with. */
export interface BackboneServiceOptions {
  readonly model: GetModelResponse;
  readonly reader: RequestReader;
  readonly context: GenerationContext;
  readonly scheduler: Scheduler;
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
  const start = await readStart(requests);
  const requestId = start.requestId === '' ? randomUUID() : start.requestId;
  const generation = await refusalsCounted(options, requestId, async () => {
    gate.enter();
    try {
      return await admit(options, start, arrivalMs);
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

/** Checks, tokenizes and queues a request. */
async function admit(
  { model, reader, scheduler, context }: BackboneServiceOptions,
  start: GenerateStart,
  arrivalMs: number,
): Promise<Generation> {
  checkModel(model, start.model);
  const sampling = checkStart(start, reader);
  // A full queue refuses before the prompt is tokenized.
  scheduler.checkRoom(sampling.numChoices);
  const request = await readRequest(start, sampling, reader);
  const generation = new Generation({ ...request, arrivalMs }, context);
  generation.start();
  return generation;
}

/** Reads the request messages up to the half-close: one start, and no media without an encoder. */
async function readStart(requests: AsyncIterable<GenerateRequest>): Promise<GenerateStart> {
  let start: GenerateStart | undefined;
  for await (const { event } of requests) {
    if (event?.$case !== 'start') {
      const message =
        start === undefined ? 'the first message must be a start' : 'the start names no media item';
      throw new MeshError('INVALID_REQUEST', message);
    }
    if (start !== undefined) throw new MeshError('INVALID_REQUEST', 'a second start');
    start = event.value;
  }
  if (start !== undefined) return start;
  throw new MeshError('INVALID_REQUEST', 'the request stream ended without a start');
}

async function tokenize({ model, reader }: BackboneServiceOptions, request: TokenizeRequest) {
  checkModel(model, request.model);
  const { vocabulary } = reader.prompt.tokenizer;
  const tokenIds = [...(await tokenizePrompt(request.prompt, reader.prompt))];
  const tokens = tokenIds.map((id) => Buffer.from(vocabulary.bytesOf(id)).toString('utf8'));
  return { tokenIds, maxModelLen: reader.limits.maxModelLen, tokens };
}

function detokenizeIds({ model, reader }: BackboneServiceOptions, request: DetokenizeRequest) {
  checkModel(model, request.model);
  const { vocabulary } = reader.prompt.tokenizer;
  const unknown = request.tokenIds.find((id) => id >= vocabulary.size);
  if (unknown !== undefined) {
    const message = `tokens: ${unknown} is not a token id; the vocabulary has ${vocabulary.size} tokens`;
    throw new MeshError('INVALID_REQUEST', message, { param: 'tokens' });
  }
  return { text: detokenize(vocabulary, request.tokenIds, { skipSpecialTokens: false }) };
}

function checkModel({ servedNames }: GetModelResponse, name: string): void {
  if (name === '' || servedNames.includes(name)) return;
  const message = `the model "${name}" is not served here; ${servedNames.join(', ')} is`;
  throw new MeshError('MODEL_NOT_FOUND', message, { param: 'model' });
}
