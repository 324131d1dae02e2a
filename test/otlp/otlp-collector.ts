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
import { within } from '#test/bounded.ts';
import {
  attributesIn,
  listIn,
  type OtlpMessage,
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

const EXPORT = {
  path: '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
  requestStream: false,
  responseStream: false,
  requestSerialize: (bytes: Buffer) => bytes,
  requestDeserialize: (bytes: Buffer) => bytes,
  responseSerialize: (bytes: Buffer) => bytes,
  responseDeserialize: (bytes: Buffer) => bytes,
} as const;

const SERVICE: ServiceDefinition = { export: EXPORT };

/** A collector of traces on loopback, by OTLP over HTTP (protobuf and JSON) and gRPC. */
export class OtlpCollector {
  /** Every export request, in its JSON form. */
  readonly requests: OtlpMessage[] = [];
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
    const receive: handleUnaryCall<Buffer, Buffer> = (call, answer) => {
      this.protocols.add('grpc');
      this.#take(readExportRequest(call.request));
      if (!this.isSilent) answer(null, Buffer.alloc(0));
    };
    this.#grpc.addService(SERVICE, { export: receive });
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
    const address = this.#http.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    return `http://127.0.0.1:${port}/v1/traces`;
  }

  get grpcUrl(): string {
    return `http://127.0.0.1:${this.#grpcPort}`;
  }

  get spans(): ReceivedSpan[] {
    return this.requests.flatMap(spansIn);
  }

  /** Resolves with the spans as soon as `isEnough` holds for them. */
  async until(isEnough: (spans: readonly ReceivedSpan[]) => boolean): Promise<ReceivedSpan[]> {
    const wait = async () => {
      while (!isEnough(this.spans)) {
        await new Promise<void>((resolve) => this.#waiting.add(resolve));
      }
      return this.spans;
    };
    return await within(wait(), {
      what: 'the spans of a trace',
      trace: () => this.spans.map(({ service, name, traceId }) => `${service}: ${name} ${traceId}`),
    });
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
    if (type !== 'application/json') {
      this.#take(readExportRequest(bytes));
      return;
    }
    const json: unknown = JSON.parse(bytes.toString('utf8'));
    if (isRecord(json)) this.#take(json);
  }

  #take(request: OtlpMessage): void {
    this.requests.push(request);
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
