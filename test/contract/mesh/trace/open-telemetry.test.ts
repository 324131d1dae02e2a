import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { after, describe, it } from 'node:test';
import { pino } from 'pino';
import { MetricRegistry } from '#mesh/metrics.ts';
import type { OtlpProtocol } from '#mesh/otlp/otlp-options.ts';
import { openTracing } from '#mesh/trace/open-tracing.ts';
import type { Span } from '#mesh/trace/span.ts';
import { newSpanId, newTraceId } from '#mesh/trace/trace-context.ts';
import type { Tracing } from '#mesh/trace/tracing.ts';
import { within } from '#test/bounded.ts';
import { OtlpCollector } from '#test/otlp/otlp-collector.ts';

const log = pino({ enabled: false });

function spanOf(fields: Partial<Span> = {}): Span {
  return {
    name: 'Generate',
    kind: 'server',
    traceId: newTraceId(),
    spanId: newSpanId(),
    parentSpanId: newSpanId(),
    state: 'vendor=1',
    startMs: 1_700_000_000_000,
    endMs: 1_700_000_000_250,
    error: undefined,
    attributes: { 'gen_ai.usage.input_tokens': 7, reasons: ['stop'], left: undefined },
    linkedSpanId: undefined,
    ...fields,
  };
}

interface Opened {
  readonly tracing: Tracing;
  readonly registry: MetricRegistry;
}

async function open(url: string, protocol: OtlpProtocol, env = {}): Promise<Opened> {
  const registry = new MetricRegistry();
  const options = { otlpTracesEndpoint: url, otlpTracesProtocol: protocol };
  const parts = { role: 'gateway', registry, log, env } as const;
  const tracing = await openTracing(options, parts);
  assert(tracing !== undefined);
  return { tracing, registry };
}

/** Returns how many spans a counter has counted, by the value of its label. */
function countOf(registry: MetricRegistry, name: string): Record<string, number> {
  const family = registry.collect().find((one) => one.name === name);
  return Object.fromEntries(
    (family?.samples ?? [])
      .filter(({ value }) => value > 0)
      .map(({ labels, value }) => [labels['reason'] ?? 'all', value]),
  );
}

describe('spans that are sent', () => {
  let collector: OtlpCollector | undefined;
  after(() => collector?.close());

  for (const [protocol, sent] of [
    ['http/protobuf', 'application/x-protobuf'],
    ['http/json', 'application/json'],
    ['grpc', 'grpc'],
  ] as const) {
    it(`reach a collector by ${protocol} as they are`, async () => {
      const own = await OtlpCollector.start();
      collector = own;
      const url = protocol === 'grpc' ? own.grpcUrl : own.httpUrl;
      const { tracing, registry } = await open(url, protocol);
      const lost = spanOf({ error: 'NO_READY_ENDPOINT', kind: 'client' });
      const { traceId } = lost;
      const again = spanOf({ traceId, parentSpanId: undefined, linkedSpanId: lost.spanId });

      tracing.record([lost, again]);
      await tracing.close();

      assert.deepEqual([...own.protocols], [sent]);
      assert.deepEqual(own.spans, [
        {
          service: 'gateway',
          name: 'Generate',
          kind: 3,
          traceId,
          spanId: lost.spanId,
          parentSpanId: lost.parentSpanId,
          traceState: 'vendor=1',
          startNs: 1_700_000_000_000_000_000n,
          endNs: 1_700_000_000_250_000_000n,
          attributes: {
            'gen_ai.usage.input_tokens': 7,
            reasons: ['stop'],
            'error.type': 'NO_READY_ENDPOINT',
          },
          linkedSpanIds: [],
          numEvents: 0,
          statusCode: 2,
        },
        {
          ...own.spans[1],
          kind: 2,
          spanId: again.spanId,
          parentSpanId: '',
          linkedSpanIds: [lost.spanId],
          statusCode: 0,
        },
      ]);
      assert.deepEqual(countOf(registry, 'trace_spans_exported'), { all: 2 });
      await own.close();
      collector = undefined;
    });
  }
});

describe('a collector that is down', () => {
  for (const protocol of ['http/protobuf', 'grpc'] as const) {
    it(`costs the spans, which are counted (${protocol})`, async () => {
      const closed = await closedUrl();
      const env = { OTEL_BSP_SCHEDULE_DELAY: '1', OTEL_BSP_EXPORT_TIMEOUT: '200' };
      const { tracing, registry } = await open(closed, protocol, env);

      tracing.record([spanOf(), spanOf(), spanOf()]);
      await within(tracing.close(), { what: 'the end of the tracing', trace: () => [] });
      await untilCounted(registry, 'trace_spans_dropped', { export_failed: 3 });
    });
  }
});

describe('a collector that takes and never answers', () => {
  it('holds nobody up: what has no room in the queue is dropped and counted', async () => {
    const sockets: Socket[] = [];
    const silent = createServer(() => {});
    silent.on('connection', (socket) => sockets.push(socket));
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as AddressInfo;
    const env = { OTEL_BSP_MAX_QUEUE_SIZE: '8', OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '4' };
    const { tracing, registry } = await open(
      `http://127.0.0.1:${port}/v1/traces`,
      'http/json',
      env,
    );

    for (let i = 0; i < 100; i++) tracing.record([spanOf()]);

    const { queue_full: numDropped = 0 } = countOf(registry, 'trace_spans_dropped');
    assert(numDropped >= 88 && numDropped < 100, `${numDropped} are dropped`);
    await within(tracing.close(), { what: 'the end of the tracing', trace: () => [] });
    for (const socket of sockets) socket.destroy();
    await new Promise<void>((resolve) => silent.close(() => resolve()));
  });
});

/** Returns a URL where nothing listens. */
async function closedUrl(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return `http://127.0.0.1:${port}/v1/traces`;
}

async function untilCounted(
  registry: MetricRegistry,
  name: string,
  counts: Record<string, number>,
): Promise<void> {
  const wanted = JSON.stringify(counts);
  const look = async () => {
    while (JSON.stringify(countOf(registry, name)) !== wanted) {
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  await within(look(), {
    what: `${name} ${wanted}`,
    trace: () => [JSON.stringify(countOf(registry, name))],
  });
}
