import type { Metadata } from 'nice-grpc-common';
import type { StageProcess } from './request-view.ts';
import { spansOf } from './span.ts';
import { type SpanAttributes, Stages } from './stages.ts';
import {
  newSpanId,
  parseTraceparent,
  TRACEPARENT,
  TRACESTATE,
  type TraceContext,
} from './trace-context.ts';
import type { Tracing } from './tracing.ts';

/** A call that a process answers: its place in a trace, and its stages. */
export class CallTrace {
  readonly stages: Stages;
  /** The call's own place; undefined: its caller is not traced. */
  readonly trace: TraceContext | undefined;
  readonly #parentSpanId: string | undefined;

  /** Begins with the metadata of the call, which names the caller's span. */
  constructor(process: StageProcess, metadata: Pick<Metadata, 'get'> | undefined) {
    this.stages = new Stages(process, performance.now());
    const parent = parseTraceparent(metadata?.get(TRACEPARENT), metadata?.get(TRACESTATE));
    this.trace = parent && { ...parent, spanId: newSpanId() };
    this.#parentSpanId = parent?.spanId;
  }

  /** Sends a call that has ended as spans, if its trace is sampled. */
  end(
    tracing: Tracing | undefined,
    facts: {
      readonly name: string;
      readonly error: string | undefined;
      readonly attributes: SpanAttributes;
    },
  ): void {
    const { trace, stages } = this;
    if (tracing === undefined || trace?.isSampled !== true) return;
    const parentSpanId = this.#parentSpanId;
    const call = { ...facts, trace, parentSpanId, endMs: performance.now() };
    tracing.record(spansOf(call, stages, { withTold: false }));
  }
}
