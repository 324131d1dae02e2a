import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { cpuSecondsOf, scrape, sumOf } from '#test/e2e/counters.ts';
import { type Mesh, startMesh } from '#test/e2e/mesh.ts';
import { jsonPost } from '#test/e2e/request/chat-request.ts';
import { LONG_ANSWER } from '#test/e2e/request/load.ts';
import type { Figure } from './figure.ts';

const NUM_TOKENS = 200;
const WARM_UP_MS = 4000;
const MEASURED_MS = 12_000;

/** Roles whose CPU time is told apart. */
const ROLES = ['gateway', 'llm-backbone'] as const;

/** Sums of the mesh's counters at a moment; seconds are of CPU, a step or a gap. */
interface Counts {
  readonly ms: number;
  readonly numTokens: number;
  readonly numSteps: number;
  readonly stepSeconds: number;
  readonly numGaps: number;
  readonly numShortGaps: number;
  readonly gapSeconds: number;
  readonly cpuSeconds: Readonly<Record<(typeof ROLES)[number] | 'clients', number>>;
}

/**
 * Measures phone-nano's streams through every process: tokens a second, what each process spends on a
 * token, and how long the device is idle between two steps. The clients run on the same cores.
 */
export async function benchStreams(options: { readonly concurrency: number }): Promise<Figure[]> {
  const mesh = await startMesh();
  const ending = new AbortController();
  try {
    const streams = Array.from({ length: options.concurrency }, () => keepStreaming(mesh, ending));
    await delay(WARM_UP_MS);
    const before = await countsOf(mesh);
    await delay(MEASURED_MS);
    const after = await countsOf(mesh);
    ending.abort();
    await Promise.all(streams);
    return figuresOf(before, after, options.concurrency);
  } finally {
    ending.abort();
    await mesh.stop();
  }
}

/** Reads answers as bytes, so that the clients take as little of the cores as they can. */
async function keepStreaming(mesh: Mesh, { signal }: AbortController): Promise<void> {
  const body = { ...LONG_ANSWER, max_tokens: NUM_TOKENS, stream: true };
  while (!signal.aborted) {
    const answer = await fetch(`${mesh.url}/v1/chat/completions`, jsonPost(body));
    assert.equal(answer.status, 200);
    let tail = '';
    for await (const bytes of answer.body ?? []) tail = Buffer.from(bytes).toString('latin1');
    assert(tail.endsWith('data: [DONE]\n\n'), `an answer ends with ${tail}`);
  }
}

async function countsOf({ url }: Mesh): Promise<Counts> {
  const text = await scrape(url);
  const sum = (metric: string) => sumOf(text, metric);
  const { user, system } = process.cpuUsage();
  return {
    ms: performance.now(),
    numTokens: sum('vllm:generation_tokens_total'),
    numSteps: sum('autoglm:step_time_seconds_count'),
    stepSeconds: sum('autoglm:step_time_seconds_sum'),
    numGaps: sum('autoglm:step_gap_seconds_count'),
    numShortGaps: sum('autoglm:step_gap_seconds_bucket\\{[^}]*le="0.0001"\\}'),
    gapSeconds: sum('autoglm:step_gap_seconds_sum'),
    cpuSeconds: {
      gateway: cpuSecondsOf(text, 'gateway'),
      'llm-backbone': cpuSecondsOf(text, 'llm-backbone'),
      clients: (user + system) / 1e6,
    },
  };
}

function figuresOf(before: Counts, after: Counts, concurrency: number): Figure[] {
  const since = (read: (counts: Counts) => number) => read(after) - read(before);
  const numTokens = since((one) => one.numTokens);
  const seconds = since((one) => one.ms) / 1000;
  const numSteps = since((one) => one.numSteps);
  const numGaps = since((one) => one.numGaps);
  const stepMs = (1000 * since((one) => one.stepSeconds)) / numSteps;
  const gapUs = (1e6 * since((one) => one.gapSeconds)) / numGaps;
  const shortShare = since((one) => one.numShortGaps) / numGaps;
  return [
    { name: `tokens, ${concurrency} streams`, value: numTokens / seconds, unit: '/s' },
    ...([...ROLES, 'clients'] as const).map((role) => ({
      name: `CPU time of a token: ${role}`,
      value: (1e6 * since(({ cpuSeconds }) => cpuSeconds[role])) / numTokens,
      unit: 'µs',
    })),
    { name: 'sequences in a step, mean', value: numTokens / numSteps, unit: '' },
    { name: 'step, mean', value: stepMs, unit: 'ms' },
    { name: 'device idle between steps, mean', value: gapUs, unit: 'µs' },
    { name: 'gaps of at most 100 µs', value: 100 * shortShare, unit: '%' },
  ];
}
