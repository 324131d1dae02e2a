import type { FastifyReply, FastifyRequest } from 'fastify';
import type { FieldNames } from '#gateway/openai/field-names.ts';
import type { RequestedMedia } from '#gateway/openai/request/media-reference.ts';
import type { RequestedStart } from '#gateway/openai/request/requested-start.ts';
import type { ModelRoute } from '#gateway/routing/model-route.ts';
import type { AnswerWriter } from './answer-writer.ts';

/** A request to generate, as its route has read it. */
export interface AnswerCall {
  /** The model as the client named it. */
  readonly model: string | undefined;
  readonly isStream: boolean;
  /** One generation for each; all run at once and make one answer. */
  readonly starts: readonly RequestedStart[];
  /** What every prompt refers to. */
  readonly media: RequestedMedia;
  readonly fields: FieldNames;
  /** How often the answer repeats a prompt's log-probabilities; unset: it carries none at all. */
  readonly promptRepeats?: number;
  /** Of a whole answer; unset: JSON. */
  readonly contentType?: string;
  /** Writes an answer as frames of a stream. */
  readonly stream: (served: AnswerSource) => AnswerWriter<string>;
  /** Gathers an answer; nothing is sent before its end. */
  readonly whole: (served: AnswerSource) => AnswerWriter<string | object>;
}

/** A request and what it is answered through. */
export interface Exchange {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

/** What answers a request. */
export interface AnswerSource {
  /** The model in use, and where it is asked. */
  readonly route: ModelRoute;
  /** Aborted when the answer is no longer wanted. */
  readonly signal: AbortSignal;
}
