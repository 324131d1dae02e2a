import { type SpanAttributes, type Stage, type Stages, spanIdOf } from './stages.ts';
import type { TraceContext } from './trace-context.ts';

export type SpanKind = 'server' | 'client' | 'internal';

/** A span that is over. */
export interface Span {
  readonly name: string;
  readonly kind: SpanKind;
  readonly traceId: string;
  readonly spanId: string;
  /** Undefined: it is the first of its trace. */
  readonly parentSpanId: string | undefined;
  readonly state: string;
  /** Unix time, milliseconds. */
  readonly startMs: number;
  readonly endMs: number;
  /** Reason of its failure. */
  readonly error: string | undefined;
  readonly attributes: SpanAttributes;
  /** The span of the same trace that this one repeats. */
  readonly linkedSpanId: string | undefined;
}

/** A call that is over, as the span that its stages are part of. */
export interface CallSpan {
  readonly name: string;
  /** Its own place in the trace. */
  readonly trace: TraceContext;
  readonly parentSpanId: string | undefined;
  /** Monotonic time, milliseconds. */
  readonly endMs: number;
  readonly error: string | undefined;
  readonly attributes: SpanAttributes;
}

/** Makes a call and its stages spans. Stages that other processes have told are left to them. */
export function spansOf(
  call: CallSpan,
  stages: Stages,
  { withTold }: { readonly withTold: boolean },
): Span[] {
  const { trace, parentSpanId, endMs } = call;
  const { traceId, state } = trace;
  const root: Span = {
    name: call.name,
    kind: 'server',
    traceId,
    spanId: trace.spanId,
    parentSpanId,
    state,
    startMs: unixMs(stages.startMs),
    endMs: unixMs(endMs),
    error: call.error,
    attributes: call.attributes,
    linkedSpanId: undefined,
  };
  const parts = stages.list.filter(({ isTold }) => withTold || !isTold);
  return [
    root,
    ...parts.map((stage) => ({
      name: stage.spanName ?? stage.name,
      kind: kindOf(stage),
      traceId,
      spanId: spanIdOf(stage),
      parentSpanId: stage.parent === undefined ? trace.spanId : spanIdOf(stage.parent),
      state,
      startMs: unixMs(stage.startMs),
      endMs: unixMs(stage.endMs ?? endMs),
      error: stage.error,
      attributes: attributesOf(stage),
      linkedSpanId: stage.follows && spanIdOf(stage.follows),
    })),
  ];
}

/** A stage that a process is called for is the span of its caller. */
function kindOf({ address }: Stage): SpanKind {
  return address === undefined ? 'internal' : 'client';
}

function attributesOf({ address, cause, process, isTold, attributes }: Stage): SpanAttributes {
  const split = address?.lastIndexOf(':') ?? 0;
  return {
    ...attributes,
    ...(address !== undefined && {
      'server.address': address.slice(0, split),
      'server.port': Number(address.slice(split + 1)),
    }),
    ...(cause !== undefined && { 'autoglm.cause': cause }),
    ...(isTold && { 'autoglm.process': process }),
  };
}

function unixMs(ms: number): number {
  return performance.timeOrigin + ms;
}
