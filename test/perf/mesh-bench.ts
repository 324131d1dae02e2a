import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { createMeshClient, openChannel } from '#mesh/grpc/grpc-client.ts';
import {
  GenerateRequest,
  LlmBackboneServiceDefinition,
} from '#protos/autoglm/llm/v1/llm_backbone.ts';
import { cpuSecondsOf, scrape } from '#test/e2e/counters.ts';
import { type Mesh, startMesh } from '#test/e2e/mesh.ts';
import { type Body, postChat, userMessage } from '#test/e2e/request/chat-request.ts';
import { runLoad } from '#test/e2e/request/load.ts';
import type { Figure } from './figure.ts';

const ONE_TOKEN: Body = { messages: userMessage('Hi'), max_tokens: 1, temperature: 0 };
const NUM_CALLS = 200;
/** Requests after which V8 has compiled what it will, and a request costs what it always does. */
const NUM_WARM_UP_REQUESTS = 6000;
/**
 * Milliseconds between two scrapes meanwhile, as a monitor makes them. The first GET after thousands
 * of posts has V8 discard the code that it compiled for posts alone, and compile again.
 */
const SCRAPE_MS = 500;
const MEASURED_MS = 10_000;
const SOAK_S = 60;

/**
 * Measures requests per second through every process, and the time that the gateway adds to the
 * backbone's own.
 */
export async function benchGateway(options: { readonly concurrency: number }): Promise<Figure[]> {
  const mesh = await startMesh();
  try {
    await warmUp(mesh, options.concurrency);
    const callDirectly = directCall(mesh);
    await medianMs(callDirectly);
    const direct = await medianMs(callDirectly);
    const through = await medianMs(() => postChat(mesh.url, ONE_TOKEN));
    const { num, perSecond, cpuMs } = await measureRequests(mesh, options.concurrency);
    return [
      { name: 'one-token requests, warm-up', value: NUM_WARM_UP_REQUESTS, unit: '' },
      { name: 'one-token requests, counted', value: num, unit: '' },
      { name: 'one-token request, gRPC to the backbone', value: direct, unit: 'ms' },
      { name: 'one-token request, through the gateway', value: through, unit: 'ms' },
      { name: 'added by the gateway and its client', value: through - direct, unit: 'ms' },
      { name: `one-token requests, ${options.concurrency} at once`, value: perSecond, unit: '/s' },
      { name: 'CPU time of a one-token request: gateway', value: cpuMs, unit: 'ms' },
    ];
  } finally {
    await mesh.stop();
  }
}

async function warmUp(mesh: Mesh, concurrency: number): Promise<void> {
  const ending = new AbortController();
  const scrapes = keepScraping(mesh, ending.signal);
  await keepAsking(mesh, concurrency, (num) => num >= NUM_WARM_UP_REQUESTS);
  ending.abort();
  await scrapes;
}

async function keepScraping(mesh: Mesh, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await scrape(mesh.url);
    await delay(SCRAPE_MS);
  }
}

function directCall(mesh: Mesh): () => Promise<void> {
  const channel = openChannel(mesh.backboneAddress, 'tokens');
  const client = createMeshClient(LlmBackboneServiceDefinition, channel);
  const request = GenerateRequest.fromPartial({
    event: {
      $case: 'start',
      value: {
        prompt: {
          form: {
            $case: 'chat',
            value: { messages: [{ role: 'user', content: { $case: 'text', value: 'Hi' } }] },
          },
        },
        sampling: { temperature: 0, maxTokens: 1 },
      },
    },
  });
  async function* requests(): AsyncGenerator<GenerateRequest> {
    yield request;
  }
  return async () => {
    for await (const response of client.generate(requests())) {
      if (response.event?.$case === 'finished') return;
    }
    assert.fail('the stream ended without "finished"');
  };
}

async function medianMs(call: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < NUM_CALLS; i++) {
    const startedMs = performance.now();
    await call();
    times.push(performance.now() - startedMs);
  }
  return times.sort((a, b) => a - b)[NUM_CALLS / 2] ?? Number.NaN;
}

/** Returns how many requests are answered at so many at once, and what one costs the gateway. */
async function measureRequests(
  mesh: Mesh,
  concurrency: number,
): Promise<{ readonly num: number; readonly perSecond: number; readonly cpuMs: number }> {
  const cpuBefore = cpuSecondsOf(await scrape(mesh.url), 'gateway');
  const until = AbortSignal.timeout(MEASURED_MS);
  const startedMs = performance.now();
  const num = await keepAsking(mesh, concurrency, () => until.aborted);
  const perSecond = num / ((performance.now() - startedMs) / 1000);
  const cpuSeconds = cpuSecondsOf(await scrape(mesh.url), 'gateway') - cpuBefore;
  return { num, perSecond, cpuMs: (1000 * cpuSeconds) / num };
}

/** Keeps so many requests going until enough are answered; resolves to their number. */
async function keepAsking(
  mesh: Mesh,
  concurrency: number,
  isEnough: (num: number) => boolean,
): Promise<number> {
  let num = 0;
  const ask = async () => {
    while (!isEnough(num)) {
      const { status } = await postChat(mesh.url, ONE_TOKEN);
      assert.equal(status, 200);
      num += 1;
    }
  };
  await Promise.all(Array.from({ length: concurrency }, ask));
  return num;
}

/**
 * Runs 64 streams for `seconds`; fails on any error and shows whether memory grows after warm-up.
 */
export async function soak(options: { readonly seconds?: number }): Promise<Figure[]> {
  const { seconds = SOAK_S } = options;
  const mesh = await startMesh();
  try {
    const warmUpMs = Math.min(15, seconds / 2) * 1000;
    const warm = await load(mesh, warmUpMs);
    const before = await residentMb(mesh);
    const rest = await load(mesh, seconds * 1000 - warmUpMs);
    const after = await residentMb(mesh);
    return [
      { name: `answers to 64 streams in ${seconds} s`, value: warm + rest, unit: '' },
      { name: 'errors', value: 0, unit: '' },
      { name: 'resident after warm-up, all processes', value: before, unit: 'MB' },
      { name: 'resident at the end, all processes', value: after, unit: 'MB' },
    ];
  } finally {
    await mesh.stop();
  }
}

async function load(mesh: Mesh, durationMs: number): Promise<number> {
  const until = AbortSignal.timeout(durationMs);
  const answers = await runLoad({ url: mesh.url, numStreams: 64, until });
  const failed = answers.filter(({ done }) => !done);
  assert.deepEqual(failed, [], 'a stream failed');
  return answers.length;
}

/** Reads the resident memory of the supervisor and its children from Linux's /proc, MB. */
async function residentMb({ supervisor }: Mesh): Promise<number> {
  const pid = String(supervisor.pid);
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
  const sizes = [pid, ...children.trim().split(' ')].map(async (one) => {
    const status = await readFile(`/proc/${one}/status`, 'utf8');
    return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1000;
  });
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}
