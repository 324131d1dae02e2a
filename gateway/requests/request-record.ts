import type { IncomingMessage } from 'node:http';
import { type Stage, type StageStart, Stages } from '#mesh/trace/stages.ts';
import type { TraceContext } from '#mesh/trace/trace-context.ts';
import { type Finished, FinishReason } from '#protos/autoglm/llm/v1/llm_backbone.ts';

/** A request whose record begins. */
export interface BegunRequest {
  readonly id: string;
  readonly method: string;
  /** The path of the route. */
  readonly route: string;
  /** Monotonic time of its arrival, milliseconds. */
  readonly startMs: number;
  /** The request's own place in its trace; undefined: it belongs to none. */
  readonly trace: TraceContext | undefined;
  /** The span of its client. */
  readonly parentSpanId: string | undefined;
}

/** The facts about an answer that its backbone tells. */
export interface AnswerFacts {
  readonly tokens: TokenCounts | undefined;
  /** `stop` or `length`, by choice. */
  readonly finishReasons: readonly string[];
}

/** Tokens of a request's answers. */
export interface TokenCounts {
  numInput: number;
  numOutput: number;
  numCached: number;
}

const REASONS: Readonly<Partial<Record<FinishReason, string>>> = {
  [FinishReason.FINISH_REASON_STOP]: 'stop',
  [FinishReason.FINISH_REASON_LENGTH]: 'length',
  [FinishReason.FINISH_REASON_TOOL_CALLS]: 'tool_calls',
};

/** Finish reasons that are kept of one request. */
const MAX_REASONS = 128;

/**
 * What is known of one request: where its time went and what became of it, never what was asked or
 * answered.
 */
export class RequestRecord {
  id: string;
  readonly begun: BegunRequest;
  readonly stages: Stages;
  /** Name of the served model that was found for it. */
  model: string | undefined;
  /** Address of the backbone that was asked last. */
  endpoint: string | undefined;
  isStream = false;
  /** Reason of its failure. */
  error: string | undefined;
  /** HTTP status; undefined while it runs. */
  status: number | undefined;
  /** Monotonic time at which its answer ended, milliseconds; undefined while it runs. */
  endMs: number | undefined;
  firstTokenMs: number | undefined;
  /** Undefined until a backbone has told it. */
  tokens: TokenCounts | undefined;
  readonly finishReasons: string[] = [];
  numRetries = 0;
  numResumes = 0;

  constructor(begun: BegunRequest) {
    this.id = begun.id;
    this.begun = begun;
    this.stages = new Stages('gateway', begun.startMs);
  }

  /** Begins a stage of the gateway's own. */
  begin(start: StageStart): Stage {
    return this.stages.begin(start);
  }

  /** Notes that a token has come; the first one counts. */
  tokenCame(): void {
    this.firstTokenMs ??= performance.now();
  }

  /** Adds the answer of one of its generations. */
  answered({ tokens, finishReasons }: AnswerFacts): void {
    this.tokens ??= { numInput: 0, numOutput: 0, numCached: 0 };
    this.tokens.numInput += tokens?.numInput ?? 0;
    this.tokens.numOutput += tokens?.numOutput ?? 0;
    this.tokens.numCached += tokens?.numCached ?? 0;
    this.finishReasons.push(...finishReasons.slice(0, MAX_REASONS - this.finishReasons.length));
  }

  /** Milliseconds until the first token; undefined without one. */
  get ttftMs(): number | undefined {
    return this.firstTokenMs && this.firstTokenMs - this.begun.startMs;
  }

  /** Milliseconds until the end of its answer, or until now. */
  get elapsedMs(): number {
    return (this.endMs ?? performance.now()) - this.begun.startMs;
  }

  /** About the bytes that it takes in memory. */
  get numBytes(): number {
    return RECORD_BYTES + STAGE_BYTES * this.stages.list.length;
  }
}

/** Reads the facts about an answer. */
export function factsOf(finished: Finished): AnswerFacts {
  return {
    tokens: {
      numInput: finished.numPromptTokens,
      numOutput: finished.numCompletionTokens,
      numCached: finished.numCachedTokens,
    },
    finishReasons: finished.choices.flatMap(({ reason }) => REASONS[reason] ?? []),
  };
}

/** What a record without stages takes, its texts included; and each stage. Measured on Node 20. */
const RECORD_BYTES = 1200;
const STAGE_BYTES = 400;

const records = new WeakMap<IncomingMessage, RequestRecord>();

/** Returns the record of a request; undefined if none is kept of its kind. */
export function recordOf(request: { readonly raw: IncomingMessage }): RequestRecord | undefined {
  return records.get(request.raw);
}

export function keepRecord(request: IncomingMessage, record: RequestRecord): void {
  records.set(request, record);
}
