// W3C Trace Context, https://www.w3.org/TR/trace-context/: how a call names the span it belongs to.

/** A call's place in a trace. */
export interface TraceContext {
  /** 32 lower-case hex digits, not all zero. */
  readonly traceId: string;
  /** 16 lower-case hex digits, not all zero. */
  readonly spanId: string;
  /** Whether the caller records this trace. */
  readonly isSampled: boolean;
  /** The header `tracestate`, which is passed on as it came; "": none. */
  readonly state: string;
}

/** Names of the HTTP headers and of the gRPC metadata. */
export const TRACEPARENT = 'traceparent';
export const TRACESTATE = 'tracestate';

const FORM = /^([\da-f]{2})-([\da-f]{32})-([\da-f]{16})-([\da-f]{2})(-.*)?$/;
const VERSION = '00';
const INVALID_VERSION = 'ff';
const SAMPLED = 1;
const NO_TRACE = '0'.repeat(32);
const NO_SPAN = '0'.repeat(16);

/** A longer `tracestate` is dropped, which the standard allows. */
const MAX_STATE_CHARS = 512;
const STATE = /^[\x20-\x7e]+$/;

/**
 * Reads the two headers; undefined if there is no trace in them, or if `traceparent` is malformed,
 * which the standard takes for none.
 */
export function parseTraceparent(parent: unknown, state: unknown): TraceContext | undefined {
  if (typeof parent !== 'string') return undefined;
  const [, version, traceId, spanId, flags, rest] = FORM.exec(parent) ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  if (version === INVALID_VERSION || (version === VERSION && rest !== undefined)) return undefined;
  if (traceId === NO_TRACE || spanId === NO_SPAN) return undefined;
  const isSampled = (Number.parseInt(flags, 16) & SAMPLED) !== 0;
  return { traceId, spanId, isSampled, state: isState(state) ? state : '' };
}

function isState(state: unknown): state is string {
  return typeof state === 'string' && state.length <= MAX_STATE_CHARS && STATE.test(state);
}

/** Writes the header `traceparent`. */
export function traceparentOf({ traceId, spanId, isSampled }: TraceContext): string {
  return `${VERSION}-${traceId}-${spanId}-${isSampled ? '01' : '00'}`;
}

/** Returns the metadata with which a call is made from a span; undefined: without any. */
export function traceHeaders(
  trace: TraceContext | undefined,
): Readonly<Record<string, string>> | undefined {
  if (trace === undefined) return undefined;
  const parent = { [TRACEPARENT]: traceparentOf(trace) };
  return trace.state === '' ? parent : { ...parent, [TRACESTATE]: trace.state };
}

/** Returns the fields of a log line that say to which span it belongs. */
export function traceFields(
  trace: Pick<TraceContext, 'traceId' | 'spanId'> | undefined,
): Readonly<Record<string, string>> {
  return trace === undefined ? {} : { trace_id: trace.traceId, span_id: trace.spanId };
}

export function newTraceId(): string {
  return randomHex(4);
}

export function newSpanId(): string {
  return randomHex(2);
}

/** Where a new id is drawn, as words and as bytes. */
const words = new Uint32Array(4);
const bytes = Buffer.from(words.buffer);

/**
 * Returns random words of 32 bits as hex digits, never all zero; ids need to differ, not to be
 * secret. They are one flat string: a text put together from parts is kept as all its parts.
 */
function randomHex(numWords: number): string {
  for (let at = 0; at < numWords; at++) words[at] = 1 + Math.floor(Math.random() * (2 ** 32 - 1));
  return bytes.toString('hex', 0, 4 * numWords);
}
