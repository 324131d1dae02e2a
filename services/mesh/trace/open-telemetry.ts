// The one file that loads OpenTelemetry, and it is loaded only where spans are sent.
import {
  type Context,
  type ContextManager,
  context,
  createTraceState,
  type Link,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { OTLPTraceExporter as GrpcExporter } from '@opentelemetry/exporter-trace-otlp-grpc';
import { OTLPTraceExporter as JsonExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { OTLPTraceExporter as ProtobufExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { NodeSDK } from '@opentelemetry/sdk-node';
import {
  AlwaysOnSampler,
  BatchSpanProcessor,
  type IdGenerator,
  type SpanExporter,
} from '@opentelemetry/sdk-trace';
import { systemClock } from '#mesh/async/clock.ts';
import { Outage } from '#mesh/log/outage.ts';
import type { OtlpProtocol } from '#mesh/otlp/otlp-options.ts';
import { lastMessage, numberIn, otlpResource } from '#mesh/otlp/otlp-resource.ts';
import type { OtlpTarget } from '#mesh/otlp/otlp-target.ts';
import { VERSION } from '#mesh/process/instance.ts';
import { ExportQueue } from './export-queue.ts';
import type { Span } from './span.ts';
import type { Tracing, TracingParts } from './tracing.ts';

const EXPORTERS: Readonly<
  Record<OtlpProtocol, new (config: { readonly url?: string }) => SpanExporter>
> = {
  'http/protobuf': ProtobufExporter,
  'http/json': JsonExporter,
  grpc: GrpcExporter,
};

const KINDS = {
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  internal: SpanKind.INTERNAL,
} as const;

/** Sends spans that are over through OpenTelemetry's SDK. */
export class OpenTelemetry implements Tracing {
  readonly #ids = new GivenIds();
  readonly #queue: ExportQueue;
  readonly #sdk: NodeSDK;
  readonly #tracer: Tracer;

  constructor({ url, protocol }: OtlpTarget, parts: Required<TracingParts>) {
    const { role, registry, log, env } = parts;
    const exporter = new EXPORTERS[protocol](url === undefined ? {} : { url });
    this.#queue = new ExportQueue(exporter, {
      registry,
      maxQueued: numberIn(env, 'OTEL_BSP_MAX_QUEUE_SIZE') ?? 2048,
      outage: new Outage(log, systemClock),
    });
    this.#sdk = new NodeSDK({
      spanProcessors: [new BatchSpanProcessor({ exporter: this.#queue, ...batchLimits(env) })],
      idGenerator: this.#ids,
      sampler: new AlwaysOnSampler(),
      resource: otlpResource(role),
      resourceDetectors: [],
      contextManager: new NoContexts(),
      textMapPropagator: null,
      metricReaders: [],
      logRecordProcessors: [],
      instrumentations: [],
    });
    this.#sdk.start();
    this.#tracer = trace.getTracer('autoglm-mesh', VERSION);
  }

  record(spans: readonly Span[]): void {
    for (const span of spans) {
      if (this.#queue.takes()) this.#emit(span);
    }
  }

  async close(): Promise<void> {
    const flushed = this.#sdk.shutdown().catch(() => {
      // The queue has counted what is lost.
    });
    await lastMessage(flushed);
    trace.disable();
    context.disable();
  }

  #emit(span: Span): void {
    const { name, kind, startMs: startTime, endMs, error, attributes } = span;
    this.#ids.next(span);
    const links = span.linkedSpanId === undefined ? [] : [linkTo(span, span.linkedSpanId)];
    const otel = this.#tracer.startSpan(
      name,
      { kind: KINDS[kind], startTime, attributes: mutable(attributes), links },
      parentOf(span),
    );
    if (error !== undefined) {
      otel.setAttribute('error.type', error);
      otel.setStatus({ code: SpanStatusCode.ERROR, message: error });
    }
    otel.end(endMs);
  }
}

function mutable(
  attributes: Span['attributes'],
): Record<string, string | number | boolean | string[]> {
  const entries = Object.entries(attributes).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, typeof value === 'object' ? [...value] : value] as const],
  );
  return Object.fromEntries(entries);
}

function contextOf(span: Span, spanId: string) {
  const { traceId, state } = span;
  const traceState = state === '' ? {} : { traceState: createTraceState(state) };
  return { traceId, spanId, traceFlags: TraceFlags.SAMPLED, ...traceState };
}

function parentOf(span: Span): Context {
  const { parentSpanId } = span;
  if (parentSpanId === undefined) return ROOT_CONTEXT;
  return trace.setSpanContext(ROOT_CONTEXT, contextOf(span, parentSpanId));
}

function linkTo(span: Span, spanId: string): Link {
  return { context: contextOf(span, spanId) };
}

/** Gives each span the ids that it has: other processes know them already. */
class GivenIds implements IdGenerator {
  #traceId = '';
  #spanId = '';

  next({ traceId, spanId }: Span): void {
    this.#traceId = traceId;
    this.#spanId = spanId;
  }

  generateTraceId = () => this.#traceId;
  generateSpanId = () => this.#spanId;
}

/** Nothing here is traced by the context it runs in, whose tracking costs every promise time. */
class NoContexts implements ContextManager {
  active(): Context {
    return ROOT_CONTEXT;
  }

  with<A extends unknown[], F extends (...args: A) => ReturnType<F>>(
    _: Context,
    run: F,
    thisArg?: ThisParameterType<F>,
    ...args: A
  ): ReturnType<F> {
    return run.apply(thisArg, args);
  }

  bind<T>(_: Context, target: T): T {
    return target;
  }

  enable(): this {
    return this;
  }

  disable(): this {
    return this;
  }
}

type Environment = Required<TracingParts>['env'];

function batchLimits(env: Environment) {
  const maxQueueSize = numberIn(env, 'OTEL_BSP_MAX_QUEUE_SIZE');
  const maxExportBatchSize = numberIn(env, 'OTEL_BSP_MAX_EXPORT_BATCH_SIZE');
  const scheduledDelayMillis = numberIn(env, 'OTEL_BSP_SCHEDULE_DELAY');
  const exportTimeoutMillis = numberIn(env, 'OTEL_BSP_EXPORT_TIMEOUT');
  return {
    ...(maxQueueSize !== undefined && { maxQueueSize }),
    ...(maxExportBatchSize !== undefined && { maxExportBatchSize }),
    ...(scheduledDelayMillis !== undefined && { scheduledDelayMillis }),
    ...(exportTimeoutMillis !== undefined && { exportTimeoutMillis }),
  };
}
