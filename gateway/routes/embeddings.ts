import type { Route } from '#gateway/http/route.ts';
import { Answer } from '#gateway/openai/answer/answer.ts';
import { checkVectors, embeddingResponse } from '#gateway/openai/answer/embedding-response.ts';
import { createEnvelope } from '#gateway/openai/answer/envelope.ts';
import { EMBEDDING_FIELDS } from '#gateway/openai/field-names.ts';
import { parseEmbeddingRequest } from '#gateway/openai/request/embedding-request.ts';
import { MeshError } from '#mesh/errors.ts';
import { answer } from './answer.ts';
import type { AnswerCall } from './answer-call.ts';
import { gathered } from './answer-writer.ts';
import type { AnswerContext } from './route-context.ts';

/** Inputs of one request that the backbones compute at once, so that it does not fill their queues. */
const MAX_AT_ONCE = 32;

/** Returns the route `POST /v1/embeddings`. */
export function embeddingsRoute(context: AnswerContext): Route {
  return {
    method: 'POST',
    path: '/v1/embeddings',
    handle: (request, reply) => answer(context, embeddingCall(request.body), { request, reply }),
  };
}

function embeddingCall(json: unknown): AnswerCall {
  const { format, ...request } = parseEmbeddingRequest(json);
  return {
    isStream: false,
    fields: EMBEDDING_FIELDS,
    maxAtOnce: MAX_AT_ONCE,
    isModelBound: true,
    stream: () => {
      throw new MeshError('INVALID_REQUEST', 'embeddings are not streamed', { param: 'stream' });
    },
    whole: ({ route: { name, model } }) => {
      const [first] = request.starts;
      const width = first?.embedding?.dimensions ?? model.hiddenSize;
      checkVectors({ numVectors: request.starts.length, width, format });
      const served = { name, fingerprint: model.fingerprint };
      const envelope = createEnvelope('embd', served, request.requestId);
      const answers = request.starts.map(() => new Answer(1));
      return gathered(answers, () => embeddingResponse(answers, { envelope, format }));
    },
    ...request,
  };
}
