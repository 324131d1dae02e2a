import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { Sampler } from '#mesh/trace/sampler.ts';
import {
  newSpanId,
  newTraceId,
  parseTraceparent,
  TRACEPARENT,
  TRACESTATE,
  type TraceContext,
} from '#mesh/trace/trace-context.ts';
import type { Tracing } from '#mesh/trace/tracing.ts';
import type { RequestHistory } from './request-history.ts';
import { type BegunRequest, keepRecord, RequestRecord } from './request-record.ts';
import { isTelling, requestSpans } from './request-span.ts';

export interface ObserverOptions {
  readonly history: RequestHistory;
  /** Undefined: no spans are sent. */
  readonly tracing: Tracing | undefined;
  readonly sampler: Sampler;
  /** Milliseconds from which on a request's spans are kept anyway. */
  readonly slowMs: number;
}

/** A request as the server has taken it. */
export interface TakenRequest extends Pick<BegunRequest, 'id' | 'method' | 'route' | 'startMs'> {
  readonly raw: IncomingMessage;
}

/** Keeps a record of requests, and sends those as spans that are sampled or tell of trouble. */
export class RequestObserver {
  readonly #options: ObserverOptions;

  constructor(options: ObserverOptions) {
    this.#options = options;
  }

  /** Begins the record of a request. */
  begin({ raw, id, method, route, startMs }: TakenRequest): RequestRecord {
    const { trace, parentSpanId } = this.#placeOf(raw.headers);
    const record = new RequestRecord({ id, method, route, startMs, trace, parentSpanId });
    keepRecord(raw, record);
    this.#options.history.begin(record);
    return record;
  }

  /** Ends the record of a request whose answer has ended. */
  end(record: RequestRecord, status: number): void {
    const { history, tracing, slowMs } = this.#options;
    record.status = status;
    record.endMs = performance.now();
    history.end(record);
    if (tracing === undefined) return;
    if (record.begun.trace?.isSampled || isTelling(record, slowMs)) {
      tracing.record(requestSpans(record));
    }
  }

  /**
   * Returns a request's place in its client's trace, or in one of its own if traces are sent; a
   * malformed header counts as none.
   */
  #placeOf(headers: IncomingHttpHeaders): Pick<BegunRequest, 'trace' | 'parentSpanId'> {
    const parent = parseTraceparent(headers[TRACEPARENT], headers[TRACESTATE]);
    const { tracing, sampler } = this.#options;
    if (tracing === undefined && parent === undefined) return NO_TRACE;
    const traceId = parent?.traceId ?? newTraceId();
    const trace: TraceContext = {
      traceId,
      spanId: newSpanId(),
      // Without tracing here, the client's word is passed on.
      isSampled:
        tracing === undefined ? parent?.isSampled === true : sampler.samples(traceId, parent),
      state: parent?.state ?? '',
    };
    return { trace, parentSpanId: parent?.spanId };
  }
}

const NO_TRACE = { trace: undefined, parentSpanId: undefined } as const;
