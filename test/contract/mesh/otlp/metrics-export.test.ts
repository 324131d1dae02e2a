import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MetricRegistry } from '#mesh/metrics.ts';
import { openMetricsExport } from '#mesh/otlp/open-metrics-export.ts';
import type { OtlpProtocol } from '#mesh/otlp/otlp-options.ts';
import { watchProcess } from '#mesh/process/process-metrics.ts';
import { within } from '#test/bounded.ts';
import { memoryLog } from '#test/memory-log.ts';
import { samplesOf } from '#test/metric-samples.ts';
import { OtlpCollector } from '#test/otlp/otlp-collector.ts';
import { refusal } from '#test/refusal.ts';

/** A registry with a metric of each kind. */
function filledRegistry(): MetricRegistry {
  const registry = new MetricRegistry();
  registry.counter('prompt_tokens', 'Prompt tokens.').add(7, { model_name: 'm' });
  registry.show([{ name: 'embedding_cache_bytes', help: 'Bytes.', read: () => 512 }]);
  const seconds = registry.histogram('step_time_seconds', 'Time of a step.', [0.1, 1]);
  for (const [value, label] of [
    [0.05, 'a'],
    [0.5, 'a'],
    [2, 'a'],
    [3, 'a'],
    [0.5, 'b'],
  ] as const) {
    seconds.observe(value, { label });
  }
  watchProcess(registry, 'gateway');
  return registry;
}

async function open(url: string, protocol: OtlpProtocol, env = {}) {
  const registry = filledRegistry();
  const { log, lines } = memoryLog();
  const options = { otlpMetricsEndpoint: url, otlpMetricsProtocol: protocol };
  const sending = await openMetricsExport(options, { role: 'gateway', registry, log, env });
  assert(sending !== undefined);
  return { sending, registry, lines };
}

/** Returns how many messages were sent, by what became of them. */
function exportsOf(registry: MetricRegistry): unknown[] {
  return samplesOf(registry, 'metric_exports').map(({ labels, value }) => [
    labels['result'],
    value,
  ]);
}

describe('metrics that are sent', () => {
  for (const protocol of ['http/protobuf', 'http/json', 'grpc'] as const) {
    it(`reach a collector by ${protocol} as they are`, async (t) => {
      const collector = await OtlpCollector.start();
      t.after(() => collector.close());
      const url = protocol === 'grpc' ? collector.grpcUrl : collector.urlOf('metrics');
      const { sending, registry } = await open(url, protocol);

      await sending.close();

      const received = new Map(collector.metrics.map((one) => [one.name, one]));
      const tokens = received.get('autoglm.prompt_tokens');
      const [point] = tokens?.points ?? [];
      assert(tokens !== undefined && point !== undefined);
      assert.deepEqual(
        { ...tokens, points: [point.attributes, point.value] },
        {
          service: 'gateway',
          name: 'autoglm.prompt_tokens',
          description: 'Prompt tokens.',
          unit: '',
          kind: 'sum',
          temporality: 2,
          points: [{ model_name: 'm' }, 7],
        },
      );
      assert(point.startNs < point.endNs);
      const cache = received.get('autoglm.embedding_cache_bytes');
      assert.deepEqual([cache?.kind, cache?.unit, cache?.points[0]?.value], ['gauge', 'By', 512]);
      const steps = received.get('autoglm.step_time_seconds');
      assert.deepEqual(
        steps?.points.map(({ attributes, value, bucketCounts, bounds }) => {
          return [attributes, value, bucketCounts, bounds];
        }),
        [
          [{ label: 'a' }, 5.55, [1, 1, 2], [0.1, 1]],
          [{ label: 'b' }, 0.5, [0, 1, 0], [0.1, 1]],
        ],
      );
      assert.deepEqual([steps?.kind, steps?.unit, steps?.temporality], ['histogram', 's', 2]);
      assert(received.has('process_cpu_seconds'), 'the facts of the process');
      assert.deepEqual(exportsOf(registry), [
        ['taken', 1],
        ['lost', 0],
      ]);
    });
  }

  it('are sent again and again, counted from the start', async (t) => {
    const collector = await OtlpCollector.start();
    t.after(() => collector.close());
    const env = { OTEL_METRIC_EXPORT_INTERVAL: '20' };
    const { sending, registry } = await open(collector.urlOf('metrics'), 'http/json', env);
    const tokens = () =>
      collector.metrics
        .filter(({ name }) => name === 'autoglm.prompt_tokens')
        .map(({ points: [point] }) => point?.value);
    await collector.untilMetrics(() => tokens().length > 0);

    registry.counter('prompt_tokens', '').add(3, { model_name: 'm' });

    await collector.untilMetrics(() => tokens().at(-1) === 10);
    await sending.close();
  });
});

describe('a collector of metrics', () => {
  it('that is down holds nobody up, is said once, and counted', async () => {
    const collector = await OtlpCollector.start();
    const url = collector.urlOf('metrics');
    await collector.close();
    const { sending, registry, lines } = await open(url, 'http/json');

    await within(sending.close(), { what: 'the end' });

    const failures = lines.filter(({ msg }) => /metrics do not reach/.test(msg));
    // Its own retries may outlast the end of the process.
    assert(failures.length <= 1);
    assert.deepEqual(exportsOf(registry)[0], ['taken', 0]);
  });

  it('that never answers does not keep a process from ending', async (t) => {
    const collector = await OtlpCollector.start();
    t.after(() => collector.close());
    collector.isSilent = true;
    const { sending, registry } = await open(collector.urlOf('metrics'), 'http/json');

    await within(sending.close(), { what: 'the end' });

    assert.equal(collector.metricRequests.length, 1);
    assert.deepEqual(exportsOf(registry)[0], ['taken', 0]);
  });
});

describe('what the variables ask for', () => {
  const parts = () => ({ role: 'gateway', registry: new MetricRegistry(), log: memoryLog().log });

  it('is nothing by default', async () => {
    assert.equal(await openMetricsExport({}, { ...parts(), env: {} }), undefined);
  });

  it('is refused if it counts otherwise', async () => {
    const env = {
      OTEL_METRICS_EXPORTER: 'otlp',
      OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: 'delta',
    };
    const message = /TEMPORALITY_PREFERENCE: must be cumulative, got delta$/;
    await assert.rejects(
      openMetricsExport({}, { ...parts(), env }),
      refusal('INVALID_REQUEST', message),
    );
  });
});
