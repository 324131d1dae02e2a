import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Counter, Gauge, Histogram, MetricRegistry } from '#mesh/metrics.ts';
import { prometheusText } from '#mesh/prometheus-text.ts';

describe('metrics', () => {
  it('counts by label set', () => {
    const counter = new Counter('request_success', 'Finished requests.');

    counter.add(1, { finished_reason: 'stop' });
    counter.add(2, { finished_reason: 'stop' });
    counter.add(1, { finished_reason: 'length' });

    assert.equal(counter.value({ finished_reason: 'stop' }), 3);
    assert.equal(counter.collect().length, 2);
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

  it('writes each family once under every prefix, with the labels of its process', () => {
    const registry = new MetricRegistry();
    registry.register(new Gauge('num_requests_running', 'Running requests.', () => 2));
    registry.register(new Counter('prompt_tokens', 'Prompt tokens.')).add(5, { model_name: 'a"b' });
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
