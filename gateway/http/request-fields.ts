import type { FastifyRequest } from 'fastify';
import { type RequestRecord, recordOf } from '#gateway/requests/request-record.ts';
import { traceFields } from '#mesh/trace/trace-context.ts';

type Fields = Readonly<Record<string, unknown>>;

/** Returns the fields of every log line about a request: its id, and its place in its trace. */
export function requestFields(request: Pick<FastifyRequest, 'id' | 'raw'>): Fields {
  return { request_id: request.id, ...traceFields(recordOf(request)?.begun.trace) };
}

/**
 * Returns what the line of an answered request says of its answer; never its content. What is
 * undefined has no place in the line.
 */
export function accessFields(record: RequestRecord | undefined): Fields {
  const ttftMs = record?.ttftMs;
  return {
    model: record?.model,
    endpoint: record?.endpoint,
    ttft_ms: ttftMs && Math.round(ttftMs),
    input_tokens: record?.tokens?.numInput,
    output_tokens: record?.tokens?.numOutput,
    cached_tokens: record?.tokens?.numCached,
  };
}
