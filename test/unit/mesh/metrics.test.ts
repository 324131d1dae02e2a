import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Counter, Histogram, MetricRegistry } from '#mesh/metrics.ts';
import { prometheusText } from '#mesh/prometheus-text.ts';

describe('metrics', () => {
  it('counts by label set', () => {
    const counter = new Counter('request_success', 'Finished requests.');

    counter.add(1, { finished_reason: 'stop' });
    counter.add(2, { finished_reason: 'stop' });
    counter.add(1, { finished_reason: 'length' });

    assert.deepEqual(
      counter.collect().map(({ labels, value }) => [labels['finished_reason'], value]),
      [
        ['stop', 3],
        ['length', 1],
      ],
    );
  });

  it('refuses a counter that falls', () => {
    assert.throws(() => new Counter('x', 'y').add(-1), /cannot fall/);
  });

  it('puts an observation into every bucket at or above it', () => {
    const histogram = new Histogram('ttft', 'seconds', [0.1, 1]);

    histogram.observe(0.1);
    histogram.observe(0.5);
    histogram.observe(7);

    const values = histogram.collect().map((sample) => [sample.suffix, sample.value]);
    assert.deepEqual(values, [
      ['_bucket', 1],
      ['_bucket', 2],
      ['_bucket', 3],
      ['_sum', 7.6],
      ['_count', 3],
    ]);
  });

  it('counts together what counts under one name', () => {
    const registry = new MetricRegistry();
    registry.counter('prompt_tokens', 'Prompt tokens.').add(2);
    registry.counter('prompt_tokens', 'Prompt tokens.').add(3);

    assert.deepEqual(
      registry.collect().map(({ name, samples }) => [name, samples.map(({ value }) => value)]),
      [['prompt_tokens', [5]]],
    );
  });

  it('shows what an inner registry has while it is open, and keeps what it counted', () => {
    const registry = new MetricRegistry();
    const samples = () =>
      registry
        .collect()
        .flatMap(({ name, samples: all }) =>
          all.map(({ labels, value }) => `${name} ${labels['model_name'] ?? ''} ${value}`),
        );
    const [first, second] = [new MetricRegistry(registry), new MetricRegistry(registry)];
    const show = (inner: MetricRegistry, model: string, value: number) =>
      inner.show([{ name: 'n', help: 'N.', read: () => value }], { model_name: model });
    show(first, 'a', 1);
    show(second, 'a', 2);
    show(second, 'b', 3);
    first.counter('tokens', 'Tokens.').add(4);
    second.counter('tokens', 'Tokens.').add(5);

    first.open();
    assert.deepEqual(samples(), ['n a 1', 'tokens  9']);
    second.open();
    assert.deepEqual(samples(), ['n a 2', 'n b 3', 'tokens  9']);
    first.close();
    assert.deepEqual(samples(), ['n a 2', 'n b 3', 'tokens  9']);
    second.close();
    assert.deepEqual(samples(), ['tokens  9']);
  });

  it('writes each family once under every prefix, with the labels of its process', () => {
    const registry = new MetricRegistry();
    registry.show([{ name: 'num_requests_running', help: 'Running requests.', read: () => 2 }]);
    registry.counter('prompt_tokens', 'Prompt tokens.').add(5, { model_name: 'a"b' });
    const families = registry.collect();

    const text = prometheusText(
      [
        { labels: { engine: '0' }, families },
        { labels: { engine: '1' }, families },
      ],
      ['autoglm:', 'vllm:'],
    );

    assert.equal(text.match(/# TYPE autoglm:num_requests_running gauge/g)?.length, 1);
    assert.match(text, /^autoglm:num_requests_running\{engine="0"\} 2$/m);
    assert.match(text, /^vllm:num_requests_running\{engine="1"\} 2$/m);
    assert.match(text, /^# TYPE vllm:prompt_tokens_total counter$/m);
    assert.match(text, /^vllm:prompt_tokens_total\{engine="0",model_name="a\\"b"\} 5$/m);
  });
});
