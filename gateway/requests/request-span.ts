import { type Span, spansOf } from '#mesh/trace/span.ts';
import type { SpanAttributes } from '#mesh/trace/stages.ts';
import type { AnswerFacts, RequestRecord } from './request-record.ts';

/** Names of what a route does in OpenTelemetry's conventions for generative AI. */
const OPERATIONS: Readonly<Record<string, string>> = {
  '/v1/chat/completions': 'chat',
  '/v1/completions': 'text_completion',
  '/v1/embeddings': 'embeddings',
  '/v1/messages': 'chat',
  '/v1/responses': 'chat',
  // The conventions have no word for it.
  '/v1/audio/transcriptions': 'transcription',
};

/**
 * Makes a request that has ended spans: its own, and if no other process records the trace, those of
 * the stages that others have told. None without a trace.
 */
export function requestSpans(record: RequestRecord): Span[] {
  const { begun, endMs = performance.now(), error } = record;
  const { trace, parentSpanId, method, route } = begun;
  if (trace === undefined) return [];
  const call = {
    name: `${method} ${route}`,
    trace,
    parentSpanId,
    endMs,
    error: error ?? (isServerError(record) ? String(record.status) : undefined),
    attributes: attributesOf(record),
  };
  return spansOf(call, record.stages, { withTold: !trace.isSampled });
}

/** Tells whether a request's spans are kept although its trace is not sampled. */
export function isTelling(record: RequestRecord, slowMs: number): boolean {
  const { error, numRetries, numResumes, elapsedMs } = record;
  // That a client has left is no failure.
  const hasFailed = (error !== undefined && error !== 'CANCELLED') || isServerError(record);
  return hasFailed || numRetries + numResumes > 0 || elapsedMs >= slowMs;
}

function isServerError({ status = 0 }: RequestRecord): boolean {
  return status >= 500;
}

function attributesOf(record: RequestRecord): SpanAttributes {
  const { begun, id, status, isStream, endpoint } = record;
  return {
    'http.request.method': begun.method,
    'http.route': begun.route,
    'http.response.status_code': status,
    'autoglm.request.id': id,
    'autoglm.endpoint': endpoint,
    'gen_ai.request.stream': isStream,
    ...modelAttributes(record, record.model),
    ...tokenAttributes(record),
    'gen_ai.response.time_to_first_chunk': record.ttftMs && record.ttftMs / 1000,
  };
}

/** The facts about what is asked of which model. */
export function modelAttributes(
  { begun }: RequestRecord,
  model: string | undefined,
): SpanAttributes {
  return {
    'gen_ai.operation.name': operationOf(begun.route),
    'gen_ai.provider.name': 'autoglm-mesh',
    'gen_ai.request.model': model,
    'gen_ai.response.model': model,
  };
}

export function operationOf(route: string): string | undefined {
  return OPERATIONS[route];
}

/** The facts about an answer. */
export function tokenAttributes({ tokens, finishReasons }: AnswerFacts): SpanAttributes {
  return {
    'gen_ai.response.finish_reasons': finishReasons.length > 0 ? finishReasons : undefined,
    'gen_ai.usage.input_tokens': tokens?.numInput,
    'gen_ai.usage.output_tokens': tokens?.numOutput,
    'gen_ai.usage.cache_read.input_tokens': tokens?.numCached,
  };
}
