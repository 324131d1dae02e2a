import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { codePath } from '#deploy/local/code-path.ts';
import { startMesh } from '#test/e2e/mesh.ts';
import { type Body, postChat, userMessage } from '#test/e2e/request/chat-request.ts';
import { OtlpCollector } from '#test/otlp/otlp-collector.ts';
import { PROGRAM_FLAGS } from '#test/program.ts';
import { type Estimate, type Figure, medianWithSpread } from '../figure.ts';
import { processCpuUs } from './process-cpu.ts';
import type { PathRound, Variant } from './traced-path.ts';

/** The least work that a request can be: what is added to it shows most. */
const ONE_TOKEN: Body = { messages: userMessage('Hi'), max_tokens: 1, temperature: 0 };

const NUM_WARM_REQUESTS = 3000;
const NUM_BLOCKS = 20;
const NUM_REQUESTS = 100;
const AT_ONCE = 8;

/** Shares of sampled requests for which figures are made. */
const RATIOS = [0.01, 0.1, 1] as const;

/** The processes that a request costs time. */
const ROLES = ['gateway', 'llm-backbone'] as const;

/** Batches go soon, and nothing is lost because one is slow to go. */
const BATCHES = { OTEL_BSP_SCHEDULE_DELAY: '50', OTEL_BSP_MAX_QUEUE_SIZE: '100000' };

/**
 * Measures what tracing costs a one-token request in CPU time. What is added is a few microseconds in
 * thousands, far less than by what two runs differ; so it is measured by itself (`traced-path.ts`) and
 * told as a share of what a whole request costs a mesh without tracing.
 */
export async function benchTraces(): Promise<Figure[]> {
  const whole = await wholeRequests();
  const rounds = await tracedPaths();
  const wholeUs = ROLES.reduce((sum, _, at) => sum + (whole[at]?.value ?? 0), 0);
  const added = (variant: Variant) => rounds.map((round) => round[variant] - round.off);
  const parts = (['off once more', 'not sampled', 'sampled'] as const).map((variant) => ({
    name: `added to both, ${variant}`,
    ...medianWithSpread(added(variant)),
    unit: 'µs',
  }));
  const unsampled = added('not sampled');
  const sampled = added('sampled');
  const shares = RATIOS.map((ratio) => {
    const mixed = unsampled.map((one, at) => (1 - ratio) * one + ratio * (sampled[at] ?? 0));
    const name = `added to both, ${100 * ratio} % sampled`;
    return { name, ...inPercent(medianWithSpread(mixed), wholeUs), unit: '%' };
  });
  return [...whole, ...parts, ...shares];
}

/** Measures what a request costs each process of a mesh that traces nothing. */
async function wholeRequests(): Promise<Figure[]> {
  const mesh = await startMesh();
  try {
    const pids = await Promise.all(ROLES.map(async (role) => (await mesh.pids(role))[0] ?? 0));
    const cpu = () => Promise.all(pids.map(processCpuUs));
    await askAll(mesh.url, NUM_WARM_REQUESTS);
    const blocks: number[][] = [];
    for (let i = 0; i < NUM_BLOCKS; i++) {
      const before = await cpu();
      await askAll(mesh.url, NUM_REQUESTS);
      const after = await cpu();
      blocks.push(after.map((us, at) => (us - (before[at] ?? 0)) / NUM_REQUESTS));
    }
    return ROLES.map((role, at) => ({
      name: `CPU of a request, tracing off: ${role}`,
      ...medianWithSpread(blocks.map((block) => block[at] ?? 0)),
      unit: 'µs',
    }));
  } finally {
    await mesh.stop();
  }
}

async function askAll(url: string, count: number): Promise<void> {
  let numLeft = count;
  const ask = async () => {
    while (numLeft-- > 0) {
      const { status } = await postChat(url, ONE_TOKEN);
      assert.equal(status, 200);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, ask));
}

/** Measures what tracing touches of a request, in a process of its own. */
async function tracedPaths(): Promise<readonly PathRound[]> {
  const collector = await OtlpCollector.start();
  const child = fork(codePath('test/perf/traces/traced-path'), {
    // Without the condition "source" it runs what is built, as users do.
    execArgv: [...PROGRAM_FLAGS, '--expose-gc'],
    env: { ...process.env, ...BATCHES },
  });
  try {
    child.send(collector.httpUrl);
    const [rounds]: unknown[] = await Promise.race([once(child, 'message'), ended(child)]);
    assert(Array.isArray(rounds));
    return rounds;
  } finally {
    child.kill();
    await collector.close();
  }
}

async function ended(child: ReturnType<typeof fork>): Promise<never> {
  const [status] = await once(child, 'exit');
  throw new Error(`the traced path ended with status ${status}`);
}

function inPercent({ value, spread }: Estimate, whole: number): Estimate {
  const percent = (part: number) => (100 * part) / whole;
  return {
    value: percent(value),
    spread: { low: percent(spread.low), high: percent(spread.high) },
  };
}
