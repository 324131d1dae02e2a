import assert from 'node:assert/strict';
import { closeSync, openSync } from 'node:fs';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { MetricRegistry } from '#mesh/metrics.ts';
import { VERSION } from '#mesh/process/instance.ts';
import { PROCESS_METRICS, RESTARTS, watchProcess } from '#mesh/process/process-metrics.ts';
import { prometheusText } from '#mesh/prometheus-text.ts';
import { samplesOf } from '#test/metric-samples.ts';

function watched(): MetricRegistry {
  const registry = new MetricRegistry();
  watchProcess(registry, 'gateway');
  return registry;
}

function levelOf(registry: MetricRegistry, name: string): number {
  return samplesOf(registry, name)[0]?.value ?? Number.NaN;
}

/** Returns the number of looks at the event loop that were later than `le` seconds; "": all. */
function looksLaterThan(registry: MetricRegistry, le: string): number {
  const samples = samplesOf(registry, 'process_event_loop_delay_seconds');
  const count = samples.find(({ suffix }) => suffix === '_count')?.value ?? Number.NaN;
  return count - (samples.find(({ labels }) => labels['le'] === le)?.value ?? 0);
}

/** Resolves after the next look at the event loop. */
async function nextLook(registry: MetricRegistry): Promise<void> {
  const count = () => looksLaterThan(registry, '');
  const before = count();
  while (count() === before) await setImmediate();
}

describe('the metrics of a process', () => {
  it('have the names of Prometheus clients, each labelled with the role', () => {
    const families = watched().collect();

    assert.deepEqual(new Set(families.map(({ name }) => name)), PROCESS_METRICS);
    const samples = families.flatMap((family) => family.samples);
    assert.deepEqual(new Set(samples.map(({ labels }) => labels['role'])), new Set(['gateway']));
  });

  it('measure what the system says of this process', () => {
    const registry = watched();

    const { user, system } = process.cpuUsage();
    assert(levelOf(registry, 'process_cpu_seconds') >= (user + system) / 1e6);
    const share = levelOf(registry, 'process_resident_memory_bytes') / process.memoryUsage.rss();
    assert(share > 0.8 && share < 1.25, `${share} of the resident memory`);
    const ageS = Date.now() / 1000 - levelOf(registry, 'process_start_time_seconds');
    assert(Math.abs(ageS - process.uptime()) < 1, `${ageS} s old`);
    assert(levelOf(registry, 'process_max_fds') > levelOf(registry, 'process_open_fds'));
  });

  it('count descriptors as they open and close', () => {
    const registry = watched();
    const before = levelOf(registry, 'process_open_fds');

    const fds = Array.from({ length: 100 }, () => openSync('/dev/null', 'r'));
    const between = levelOf(registry, 'process_open_fds');
    for (const fd of fds) closeSync(fd);

    // Others in this process may open a few as well.
    assert(Math.abs(between - before - 100) < 50, `${before}, then ${between}`);
    assert(Math.abs(levelOf(registry, 'process_open_fds') - before) < 50);
  });

  it('show how long the event loop was held', async () => {
    const registry = watched();
    await nextLook(registry);
    const before = looksLaterThan(registry, '0.1');

    const startedMs = performance.now();
    while (performance.now() - startedMs < 150);
    await nextLook(registry);

    assert.equal(looksLaterThan(registry, '0.1'), before + 1);
  });

  it('tell how often the supervisor has started the process again', (t) => {
    process.env[RESTARTS] = '3';
    t.after(() => delete process.env[RESTARTS]);

    assert.equal(levelOf(watched(), 'process_restarts'), 3);
  });

  it('name the version in a sample of 1', () => {
    const families = watched()
      .collect()
      .filter(({ name }) => name === 'autoglm_build_info');

    const text = prometheusText([{ labels: {}, families }], ['']);

    const labels = `role="gateway",process="gateway",version="${VERSION}",node="${process.version}"`;
    assert(text.includes(`autoglm_build_info{${labels}} 1\n`), text);
  });
});
