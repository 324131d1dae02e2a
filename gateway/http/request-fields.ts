import type { FastifyRequest } from 'fastify';
import { type RequestRecord, recordOf } from '#gateway/requests/request-record.ts';
import { traceFields } from '#mesh/trace/trace-context.ts';

type Fields = Readonly<Record<string, unknown>>;

/** Returns the fields of every log line about a request: its id, and its place in its trace. */
export function requestFields(request: Pick<FastifyRequest, 'id' | 'raw'>): Fields {
  return { request_id: request.id, ...traceFields(recordOf(request)?.begun.trace) };
}

/** Returns what the line of an answered request says of its answer; never its content. */
export function accessFields(record: RequestRecord | undefined): Fields {
  if (record === undefined) return {};
  const { model, endpoint, ttftMs, tokens } = record;
  return {
    ...(model !== undefined && { model }),
    ...(endpoint !== undefined && { endpoint }),
    ...(ttftMs !== undefined && { ttft_ms: Math.round(ttftMs) }),
    ...(tokens && {
      input_tokens: tokens.numInput,
      output_tokens: tokens.numOutput,
      cached_tokens: tokens.numCached,
    }),
  };
}
