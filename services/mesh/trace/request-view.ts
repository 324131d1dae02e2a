/** Processes in which the stages of a request run. */
export type StageProcess = 'gateway' | 'llm-backbone' | 'vision-encoder' | 'speech-encoder';

/** Why a stage repeats another one: its peer failed, was lost within the answer, or is slow. */
export type StageCause = 'retry' | 'resume' | 'hedge';

/** One stage of a request: a bar of its waterfall. */
export interface StageView {
  /**
   * `receive`, `media fetch`, `generate`, `queue`, `prefill`, `decode`, `encode`, `upload`,
   * `preprocess`, `tower` or `rows`.
   */
  readonly name: string;
  readonly process: StageProcess;
  /** Index in `stages` of the stage that this one is a part of; null: of the request itself. */
  readonly parent: number | null;
  /** Milliseconds since `started_ms` of the request. */
  readonly start_ms: number;
  /** Milliseconds; null while it runs. */
  readonly duration_ms: number | null;
  /** Address of the process that is called, `host:port`; null if none is. */
  readonly address: string | null;
  /** Why it failed, as the error table names it; null if it did not. */
  readonly error: string | null;
  /** Null if it is the first of its kind. */
  readonly cause: StageCause | null;
  /** Index in `stages` of the stage that it repeats; null if it repeats none. */
  readonly follows: number | null;
}

/** One request as `GET /v1/autoglm/requests` shows it; never what was asked or answered. */
export interface RequestView {
  /** The request's id, as in `x-request-id`. */
  readonly id: string;
  /** Null if the request belongs to no trace. */
  readonly trace_id: string | null;
  readonly method: string;
  /** The path of the route, not of the request. */
  readonly route: string;
  /** HTTP status; null while the request runs. */
  readonly status: number | null;
  /** Why it failed, as the error table names it; null if it did not. */
  readonly error: string | null;
  /** Name of the served model; null if none was found for it. */
  readonly model: string | null;
  /** Address of the backbone that was asked last; null if none was. */
  readonly endpoint: string | null;
  readonly is_stream: boolean;
  /** Unix time of its arrival, milliseconds. */
  readonly started_ms: number;
  /** Milliseconds until the end of its answer; null while it runs. */
  readonly duration_ms: number | null;
  /** Milliseconds until the first token; null without a token. */
  readonly ttft_ms: number | null;
  /** Null until the backbone has told it; then also of the fields below. */
  readonly input_tokens: number | null;
  readonly output_tokens: number | null;
  readonly cached_tokens: number | null;
  /** `stop` or `length`, of each choice in order. */
  readonly finish_reasons: readonly string[];
  /** Times that another backbone was asked before the first token. */
  readonly num_retries: number;
  /** Times that another backbone went on with the answer. */
  readonly num_resumes: number;
  /** In the order in which they began; a stage comes after the one it is a part of. */
  readonly stages: readonly StageView[];
}

/**
 * The answer of `GET /v1/autoglm/requests`: the last requests, newest first, those that run
 * included. `?limit=` bounds their number (100 if unset, at most 1000), `?id=` asks for those with
 * one id.
 */
export interface RequestList {
  readonly object: 'list';
  readonly data: readonly RequestView[];
}
