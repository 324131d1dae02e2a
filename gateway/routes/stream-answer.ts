import type { OutgoingHttpHeaders } from 'node:http';
import type { FastifyReply } from 'fastify';
import { ChunkedOutput } from '#gateway/http/chunked-output.ts';
import { toMeshError } from '#gateway/http/errors-to-http.ts';
import type { AdmittedRequest } from '#gateway/http/in-flight.ts';
import { noteFailure } from '#gateway/http/request-failure.ts';
import { requestFields } from '#gateway/http/request-fields.ts';
import { cutOffSlowReader } from '#gateway/http/slow-reader.ts';
import { type SseOutput, SseStream } from '#gateway/http/sse.ts';
import { dataFrame } from '#gateway/openai/answer/chunk-frame.ts';
import { errorBody } from '#gateway/openai/error-body.ts';
import { ERRORS } from '#mesh/errors.ts';
import type { AnswerCall, Exchange } from './answer-call.ts';
import type { AnswerContext } from './route-context.ts';

const SSE_HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache',
  // Without this header nginx would hold tokens back.
  'x-accel-buffering': 'no',
} as const;

/** Sends frames; a returned promise means that the reader is behind. */
export type SendFrames = (frames: string) => Promise<void> | undefined;

export interface StreamedExchange extends Exchange {
  readonly flight: AdmittedRequest;
  readonly call: Pick<AnswerCall, 'heartbeat' | 'errorFrame'>;
}

/**
 * Streams the frames that `produce` sends, then those it returns. A failure before the stream is
 * open is thrown. A later one becomes an explicit error event, after which the stream ends without
 * the mark of a complete one.
 */
export async function streamAnswer(
  context: Pick<AnswerContext, 'stream' | 'log' | 'metrics'>,
  { request, reply, flight, call }: StreamedExchange,
  produce: (send: SendFrames) => Promise<string>,
): Promise<void> {
  const { signal } = flight;
  const { heartbeat, errorFrame = (one) => dataFrame(errorBody(one)) } = call;
  const stream = new SseStream(() => openStream(reply), { signal, heartbeat, ...context.stream });
  let hasFrames = false;
  try {
    const last = await produce((frames) => {
      hasFrames = true;
      return stream.write(frames);
    });
    stream.end(last);
  } catch (error: unknown) {
    if (!stream.isOpen) throw error;
    const failure = toMeshError(error, context.log, request);
    noteFailure(request, failure);
    if (ERRORS[failure.reason].http >= 500) {
      context.metrics.brokenStreams.add(1);
      const facts = { ...requestFields(request), reason: failure.reason };
      context.log.warn(facts, `stream broke off: ${failure.message}`);
    }
    stream.end(errorFrame(failure, { hasFrames }));
  } finally {
    stream.close();
    flight.end();
    cutOffSlowReader(reply.raw, context.stream.stallMs);
  }
}

/** Takes the response over from the framework. */
function openStream(reply: FastifyReply): SseOutput {
  reply.hijack();
  const headers: OutgoingHttpHeaders = {};
  Object.assign(headers, reply.getHeaders(), SSE_HEADERS);
  headers['openai-processing-ms'] = String(Math.round(reply.elapsedTime));
  reply.raw.writeHead(200, headers);
  return new ChunkedOutput(reply.raw);
}
