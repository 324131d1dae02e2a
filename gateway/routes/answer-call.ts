import type { FastifyReply, FastifyRequest } from 'fastify';
import type { FieldNames } from '#gateway/openai/field-names.ts';
import type { RequestedMedia } from '#gateway/openai/request/media-reference.ts';
import type { RequestedStart } from '#gateway/openai/request/requested-start.ts';
import type { RequestNames } from '#gateway/openai/request/serving-fields.ts';
import type { ModelRoute } from '#gateway/routing/model-route.ts';
import type { MeshError } from '#mesh/errors.ts';
import type { AnswerWriter } from './answer-writer.ts';

/** A request to generate, as its route has read it. */
export interface AnswerCall extends RequestNames {
  readonly isStream: boolean;
  /** The starts of the generations, one for each; together they make one answer. */
  readonly starts: readonly RequestedStart[];
  /** Media that every prompt refers to. */
  readonly media: RequestedMedia;
  readonly fields: FieldNames;
  /**
   * Number of times the answer repeats a prompt's log-probabilities; unset if it carries none at
   * all.
   */
  readonly promptRepeats?: number;
  /**
   * True if the end of a stream repeats the log-probabilities of its tokens, so that they are bounded
   * as those of a whole answer.
   */
  readonly repeatsScores?: boolean;
  /** Most generations that run at once; unset: all. */
  readonly maxAtOnce?: number;
  /** True if another model's answer cannot stand for that of the model asked. */
  readonly isModelBound?: boolean;
  /** True if a text that an operator has written may stand for the answer. */
  readonly takesRules?: boolean;
  /** Frame that is sent in a silence; a comment if unset. */
  readonly heartbeat?: string;
  /** Writes a failure as the last frame of a stream; an error of OpenAI's if unset. */
  readonly errorFrame?: (failure: MeshError, sent: SentFrames) => string;
  /** Content type of a whole answer; JSON if unset. */
  readonly contentType?: string;
  /** Writes an answer as frames of a stream. */
  readonly stream: (served: AnswerSource) => AnswerWriter<string>;
  /** Gathers an answer; nothing is sent before its end. */
  readonly whole: (served: AnswerSource) => AnswerWriter<string | object>;
}

/** What a stream has sent when it breaks off. */
export interface SentFrames {
  /** True if there were more frames than those of silences. */
  readonly hasFrames: boolean;
}

/** A request and the reply to it. */
export interface Exchange {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

/** The model that answers a request, and the signal that ends the answer. */
export interface AnswerSource {
  /** The model in use, and the endpoint that is asked. */
  readonly route: ModelRoute;
  /** Aborts when the answer is no longer wanted. */
  readonly signal: AbortSignal;
}
