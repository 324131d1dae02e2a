import type { UsageMeter } from '#gateway/openai/answer/usage.ts';
import type { OutputItem } from './output-items.ts';
import type { ResponseForm } from './response-form.ts';
import { createId } from './response-id.ts';

/** How far a response is: its status and what came of it. */
export interface ResponseState {
  readonly status: 'in_progress' | 'completed' | 'incomplete' | 'failed';
  readonly output: readonly OutputItem[];
  readonly usage: ReturnType<typeof responseUsage> | null;
  readonly error?: ResponseFailure;
}

/** Why a response failed. */
export interface ResponseFailure {
  /** One of the codes that OpenAI's API has for it. */
  readonly code: string;
  readonly message: string;
  /** Where the reason is explained; a field of the mesh's own, which clients ignore. */
  readonly doc: string;
}

/** What all states of a response have in common. */
export type ResponseHead = ReturnType<typeof responseHead>;

/** Begins a response by the model of the name `model`. */
export function responseHead({ request, metadata, tools, format }: ResponseForm, model: string) {
  const { request_id: requestId, reasoning } = request;
  return {
    id: requestId === undefined ? createId('resp') : `resp_${requestId}`,
    object: 'response',
    created_at: nowS(),
    model,
    background: false,
    conversation: null,
    instructions: request.instructions ?? null,
    max_output_tokens: request.max_output_tokens ?? null,
    metadata,
    parallel_tool_calls: request.parallel_tool_calls ?? true,
    previous_response_id: null,
    reasoning: { effort: reasoning?.effort ?? null, summary: null },
    service_tier: 'default',
    // Whatever the request says: nothing of it can be asked for later.
    store: false,
    temperature: request.temperature ?? null,
    text: { format: format ?? { type: 'text' } },
    tool_choice: tools.toolChoice,
    tools: tools.tools,
    top_logprobs: request.top_logprobs ?? 0,
    top_p: request.top_p ?? null,
    truncation: 'disabled',
  } as const;
}

/** Writes a response in one of its states. */
export function responseObject(
  head: ResponseHead,
  { status, output, usage, error }: ResponseState,
) {
  return {
    ...head,
    status,
    completed_at: status === 'completed' ? nowS() : null,
    error: error ?? null,
    incomplete_details: status === 'incomplete' ? { reason: 'max_output_tokens' } : null,
    output,
    usage,
  };
}

/** Writes the usage of an answer. */
export function responseUsage(meter: UsageMeter) {
  const { numPrompt, numCached, numAudio, numImage, numCompletion, numReasoning } = meter;
  return {
    input_tokens: numPrompt,
    input_tokens_details: {
      cached_tokens: numCached,
      cache_write_tokens: 0,
      audio_tokens: numAudio,
      image_tokens: numImage,
    },
    output_tokens: numCompletion,
    output_tokens_details: { reasoning_tokens: numReasoning },
    total_tokens: numPrompt + numCompletion,
  };
}

/** Unix time in seconds. */
function nowS(): number {
  return Math.floor(Date.now() / 1000);
}
