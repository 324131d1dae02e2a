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
    const level = { name: 'prompt_tokens', help: 'Prompt tokens.', read: () => 1 };
    assert.throws(() => registry.show([level]), /two metrics/);
  });

  it('shows of each label set the level shown last, until it is taken back', () => {
    const registry = new MetricRegistry();
    const show = (model: string, value: number) =>
      registry.show([{ name: 'n', help: 'N.', read: () => value, labels: { model_name: model } }]);
    const values = () =>
      registry
        .collect()
        .flatMap(({ samples }) =>
          samples.map(({ labels, value }) => [labels['model_name'], value]),
        );
    const hideFirst = show('a', 1);
    const hideSecond = show('a', 2);
    show('b', 3);

    hideFirst();
    assert.deepEqual(values(), [
      ['a', 2],
      ['b', 3],
    ]);
    hideSecond();
    assert.deepEqual(values(), [['b', 3]]);
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
