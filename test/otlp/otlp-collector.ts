import { createServer, type Server as HttpServer, type IncomingMessage } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';
import {
  Server as GrpcServer,
  type handleUnaryCall,
  ServerCredentials,
  type ServiceDefinition,
} from '@grpc/grpc-js';
import { isRecord } from '#mesh/json-value.ts';
import { type Wait, within } from '#test/bounded.ts';
import {
  attributesIn,
  listIn,
  type OtlpMessage,
  type OtlpSignal,
  readExportRequest,
  recordIn,
} from './otlp-messages.ts';

/** A span as a collector has received it. */
export interface ReceivedSpan {
  /** `service.name` of the process that sent it. */
  readonly service: string;
  readonly name: string;
  readonly kind: number;
  readonly traceId: string;
  readonly spanId: string;
  /** "" for the first span of a trace. */
  readonly parentSpanId: string;
  readonly traceState: string;
  readonly startNs: bigint;
  readonly endNs: bigint;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly linkedSpanIds: readonly string[];
  readonly numEvents: number;
  /** 2 for an error. */
  readonly statusCode: number;
}

/** A metric as a collector has received it. */
export interface ReceivedMetric {
  /** `service.name` of the process that sent it. */
  readonly service: string;
  readonly name: string;
  readonly description: string;
  readonly unit: string;
  readonly kind: 'gauge' | 'sum' | 'histogram';
  /** 2 if values count from the start of the process; undefined for a gauge. */
  readonly temporality: number | undefined;
  readonly points: readonly ReceivedPoint[];
}

export interface ReceivedPoint {
  readonly attributes: Readonly<Record<string, unknown>>;
  /** Value, or of a histogram its sum. */
  readonly value: number;
  /** Counts `[num_bounds + 1]`; empty for what is no histogram. */
  readonly bucketCounts: readonly number[];
  readonly bounds: readonly number[];
  readonly startNs: bigint;
  readonly endNs: bigint;
}

const EXPORT = {
  requestStream: false,
  responseStream: false,
  requestSerialize: (bytes: Buffer) => bytes,
  requestDeserialize: (bytes: Buffer) => bytes,
  responseSerialize: (bytes: Buffer) => bytes,
  responseDeserialize: (bytes: Buffer) => bytes,
} as const;

const SERVICES: Readonly<Record<OtlpSignal, ServiceDefinition>> = {
  traces: {
    export: { ...EXPORT, path: '/opentelemetry.proto.collector.trace.v1.TraceService/Export' },
  },
  metrics: {
    export: { ...EXPORT, path: '/opentelemetry.proto.collector.metrics.v1.MetricsService/Export' },
  },
};

/** A collector of traces and metrics on loopback, by OTLP over HTTP (protobuf and JSON) and gRPC. */
export class OtlpCollector {
  /** Every export request of spans, in its JSON form. */
  readonly requests: OtlpMessage[] = [];
  /** The same of metrics. */
  readonly metricRequests: OtlpMessage[] = [];
  /** Content types of the requests over HTTP, and `grpc`. */
  readonly protocols = new Set<string>();
  /** Set: nothing is answered. */
  isSilent = false;
  readonly #http: HttpServer;
  readonly #grpc: GrpcServer;
  readonly #waiting = new Set<() => void>();
  #grpcPort = 0;

  private constructor() {
    this.#http = createServer((request, response) => {
      void this.#receive(request).then(() => {
        if (!this.isSilent)
          response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
      });
    });
    this.#grpc = new GrpcServer();
    for (const signal of ['traces', 'metrics'] as const) {
      const receive: handleUnaryCall<Buffer, Buffer> = (call, answer) => {
        this.protocols.add('grpc');
        this.#take(readExportRequest(call.request, signal), signal);
        if (!this.isSilent) answer(null, Buffer.alloc(0));
      };
      this.#grpc.addService(SERVICES[signal], { export: receive });
    }
  }

  static async start(): Promise<OtlpCollector> {
    const collector = new OtlpCollector();
    await new Promise<void>((resolve) => collector.#http.listen(0, '127.0.0.1', resolve));
    collector.#grpcPort = await new Promise<number>((resolve, reject) => {
      const credentials = ServerCredentials.createInsecure();
      collector.#grpc.bindAsync('127.0.0.1:0', credentials, (error, port) =>
        error === null ? resolve(port) : reject(error),
      );
    });
    return collector;
  }

  /** Where it takes spans over HTTP. */
  get httpUrl(): string {
    return this.urlOf('traces');
  }

  /** Where it takes spans or metrics over HTTP. */
  urlOf(signal: OtlpSignal): string {
    const address = this.#http.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    return `http://127.0.0.1:${port}/v1/${signal}`;
  }

  get grpcUrl(): string {
    return `http://127.0.0.1:${this.#grpcPort}`;
  }

  get spans(): ReceivedSpan[] {
    return this.requests.flatMap(spansIn);
  }

  /** Everything that was sent, the last values last. */
  get metrics(): ReceivedMetric[] {
    return this.metricRequests.flatMap(metricsIn);
  }

  /** Resolves with the spans as soon as `isEnough` holds for them. */
  async until(isEnough: (spans: readonly ReceivedSpan[]) => boolean): Promise<ReceivedSpan[]> {
    await this.#untilSo(() => isEnough(this.spans), {
      what: 'the spans of a trace',
      trace: () => this.spans.map(({ service, name, traceId }) => `${service}: ${name} ${traceId}`),
    });
    return this.spans;
  }

  /** Resolves with the metrics as soon as `isEnough` holds for them. */
  async untilMetrics(
    isEnough: (metrics: readonly ReceivedMetric[]) => boolean,
  ): Promise<ReceivedMetric[]> {
    await this.#untilSo(() => isEnough(this.metrics), {
      what: 'metrics',
      trace: () => this.metrics.map(({ service, name }) => `${service}: ${name}`),
    });
    return this.metrics;
  }

  async #untilSo(isSo: () => boolean, wait: Wait): Promise<void> {
    const arrivals = async () => {
      while (!isSo()) await new Promise<void>((resolve) => this.#waiting.add(resolve));
    };
    await within(arrivals(), wait);
  }

  async close(): Promise<void> {
    this.#grpc.forceShutdown();
    this.#http.closeAllConnections();
    await new Promise<void>((resolve) => this.#http.close(() => resolve()));
  }

  async #receive(request: IncomingMessage): Promise<void> {
    const sent = await buffer(request);
    const bytes = request.headers['content-encoding'] === 'gzip' ? gunzipSync(sent) : sent;
    const type = request.headers['content-type'] ?? '';
    this.protocols.add(type);
    const signal = request.url === '/v1/metrics' ? 'metrics' : 'traces';
    if (type !== 'application/json') {
      this.#take(readExportRequest(bytes, signal), signal);
      return;
    }
    const json: unknown = JSON.parse(bytes.toString('utf8'));
    if (isRecord(json)) this.#take(json, signal);
  }

  #take(request: OtlpMessage, signal: OtlpSignal): void {
    (signal === 'traces' ? this.requests : this.metricRequests).push(request);
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }
}

function spansIn(request: OtlpMessage): ReceivedSpan[] {
  return listIn(request, 'resourceSpans').flatMap((part) => {
    const service = String(attributesIn(recordIn(part, 'resource'))['service.name']);
    return listIn(part, 'scopeSpans')
      .flatMap((scope) => listIn(scope, 'spans'))
      .map((span) => spanOf(span, service));
  });
}

function metricsIn(request: OtlpMessage): ReceivedMetric[] {
  return listIn(request, 'resourceMetrics').flatMap((part) => {
    const service = String(attributesIn(recordIn(part, 'resource'))['service.name']);
    return listIn(part, 'scopeMetrics')
      .flatMap((scope) => listIn(scope, 'metrics'))
      .map((metric) => metricOf(metric, service));
  });
}

function metricOf(metric: OtlpMessage, service: string): ReceivedMetric {
  const kind = (['gauge', 'sum', 'histogram'] as const).find((one) => one in metric) ?? 'gauge';
  const data = recordIn(metric, kind);
  const { aggregationTemporality: temporality } = data;
  return {
    service,
    name: String(metric['name']),
    description: String(metric['description']),
    unit: String(metric['unit'] ?? ''),
    kind,
    temporality: temporality === undefined ? undefined : Number(temporality),
    points: listIn(data, 'dataPoints').map((point) => ({
      attributes: attributesIn(point),
      value: Number(point['asDouble'] ?? point['sum'] ?? 0),
      bucketCounts: numbersIn(point, 'bucketCounts'),
      bounds: numbersIn(point, 'explicitBounds'),
      startNs: BigInt(String(point['startTimeUnixNano'])),
      endNs: BigInt(String(point['timeUnixNano'])),
    })),
  };
}

function numbersIn(holder: OtlpMessage, name: string): number[] {
  const value = holder[name];
  return Array.isArray(value) ? value.map(Number) : [];
}

function spanOf(span: OtlpMessage, service: string): ReceivedSpan {
  const text = (name: string) => String(span[name] ?? '');
  return {
    service,
    name: text('name'),
    kind: Number(span['kind']),
    traceId: text('traceId'),
    spanId: text('spanId'),
    parentSpanId: text('parentSpanId'),
    traceState: text('traceState'),
    startNs: BigInt(text('startTimeUnixNano')),
    endNs: BigInt(text('endTimeUnixNano')),
    attributes: attributesIn(span),
    linkedSpanIds: listIn(span, 'links').map((link) => String(link['spanId'])),
    numEvents: listIn(span, 'events').length,
    statusCode: Number(recordIn(span, 'status')['code'] ?? 0),
  };
}
