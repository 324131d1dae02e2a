import assert from 'node:assert/strict';
import { request as httpRequest } from 'node:http';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { within } from '#test/bounded.ts';
import { scrape, scraped } from '#test/e2e/counters.ts';
import { type Mesh, startMesh } from '#test/e2e/mesh.ts';
import {
  type Body,
  jsonPost,
  onText,
  postChat,
  streamAnswer,
  userMessage,
} from '#test/e2e/request/chat-request.ts';
import { chatRequest, readPhoneCases } from '#test/e2e/request/phone-cases.ts';
import { OtlpCollector } from '#test/otlp/otlp-collector.ts';
import { MetricWatch } from './metric-watch.ts';

/** Milliseconds between two looks at all metrics. */
const LOOK_MS = 50;
/** Seconds after which an answer is broken off; the longest one takes more. */
const DEADLINE_S = 10;
/** More requests at once than the gateway takes, and than the backbones let wait. */
const CROWD = 40;

/** Sets of labels that requests which all fail may add. */
const MAX_ADDED = 12;

const LIMIT = 'a limit, known when the process starts';
const FAULT = 'it counts a fault that no load makes:';

/** Families that this load need not move, with the reason. */
const AT_REST: Readonly<Record<string, string>> = {
  autoglm_build_info: 'it is 1 and tells by its labels',
  process_max_fds: LIMIT,
  'autoglm:cache_config_info': 'it is 1 and tells by its labels',
  'autoglm:encoder_items_limit': LIMIT,
  'autoglm:encoder_shared_memory_bytes':
    'small rows go in messages: test/contract/encoder/shared-rows.test.ts',
  'autoglm:encoder_row_pool_bytes': 'on a GPU only: test/contract/encoder/device-rows.test.ts',
  'autoglm:embedding_row_pool_bytes':
    'on a GPU only: test/contract/llm-backbone/device-rows.test.ts',
  'autoglm:encoder_queue_depth':
    'an item may wait for less than the time between two looks: test/unit/encoder/encoder-batch-queue.test.ts',
  'autoglm:encoder_loaded': 'a tower that is not lazy is loaded before it is ready',
  'autoglm:engine_healthy': `${FAULT} test/unit/llm-backbone/served-model.test.ts`,
  'autoglm:failed_steps_total': `${FAULT} test/unit/llm-backbone/served-model.test.ts`,
  'autoglm:gateway_body_bytes_limit': LIMIT,
  'autoglm:gateway_connections_limit': LIMIT,
  'autoglm:gateway_kept_answer_bytes_limit': LIMIT,
  'autoglm:gateway_requests_in_flight_limit': LIMIT,
  'autoglm:gateway_backbone_ejected': 'one that is away is not ready, which comes first',
  'autoglm:encoder_endpoints_ejected': 'one that is away is not ready, which comes first',
  'autoglm:encode_hedges_total': 'test/e2e/traces/hedges.test.ts',
  'autoglm:num_preemptions_total':
    'the KV cache holds all of it: test/contract/llm-backbone/media.test.ts',
  'autoglm:trace_spans_dropped_total': `${FAULT} test/contract/mesh/trace/open-telemetry.test.ts`,
  'autoglm:log_errors_total': `${FAULT} test/e2e/log-destinations.test.ts`,
  'autoglm:log_lines_dropped_total': `${FAULT} test/e2e/log-destinations.test.ts`,
};

/** Most times that all is used once more. */
const MAX_ROUNDS = 3;

/** Questions with a screenshot, with speech, with both, and without. */
const CASES = ['text', 'img_text', 'audio', 'img_audio'].flatMap((group) =>
  readPhoneCases('eval.json')
    .filter((one) => one.group === group)
    .slice(0, 2),
);

/** An answer so long that others meet it. */
function long(words: string, more: Body = {}): Body {
  return { messages: userMessage(words), max_tokens: 400, ignore_eos: true, ...more };
}

describe('the metrics of a mesh that is used', { timeout: 240_000 }, () => {
  let collector: OtlpCollector;
  let mesh: Mesh;
  const watch = new MetricWatch();
  let isWatching = true;
  let watching: Promise<void> | undefined;

  before(async () => {
    collector = await OtlpCollector.start();
    mesh = await startMesh({
      numBackbones: 2,
      numEncoders: { 'vision-encoder': 2 },
      keys: [`otlp-traces-endpoint: ${collector.httpUrl}`, 'recovery-wait-s: 1'],
      gateway: [
        `request-timeout-s: ${DEADLINE_S}`,
        `max-concurrent-requests: ${CROWD / 2}`,
        'trace-sample-ratio: 1',
        'degraded-cache-mb: 4',
      ],
      backbone: [
        'max-num-seqs: 4',
        'max-num-waiting: 2',
        `speculative-config: '{"method":"ngram","num_speculative_tokens":2,"prompt_lookup_min":1,"prompt_lookup_max":3}'`,
      ],
      env: { OTEL_BSP_SCHEDULE_DELAY: '50' },
    });
    watch.look(await scrape(mesh.url));
    watching = keepLooking();
  });
  after(async () => {
    isWatching = false;
    await watching;
    await mesh.stop();
    await collector.close();
  });

  async function keepLooking(): Promise<void> {
    while (isWatching) {
      watch.look(await scrape(mesh.url));
      await delay(LOOK_MS);
    }
  }

  async function untilReady(metric: string, count: number): Promise<void> {
    const look = async () => {
      while ((await scraped(mesh.url, metric)) < count) await delay(LOOK_MS);
    };
    await within(look(), { what: `${count} of ${metric}`, boundMs: 60_000 });
  }

  /** Kills a backbone when several streams have begun on each; resolves when all have ended. */
  async function killWithinAnswers(): Promise<void> {
    const [pid] = await mesh.pids('llm-backbone');
    assert(pid !== undefined);
    const questions = ['one', 'two', 'three', 'four'];
    const begun = new Set<string>();
    const streams = questions.map((words) => {
      const onBegin = onText(() => {
        if (begun.size < questions.length && begun.add(words).size === questions.length) {
          process.kill(pid, 'SIGKILL');
        }
      });
      return streamAnswer(mesh.url, long(words, { max_tokens: 1500 }), onBegin);
    });
    await Promise.all(streams);
  }

  it('each move, or are known to rest for a reason', async () => {
    const isStill = (name: string) => !watch.hasMoved(name) && !Object.hasOwn(AT_REST, name);
    // What is told for a moment may fall between two looks, and a killed process takes its counts along.
    let still = watch.names;
    for (let round = 0; round < MAX_ROUNDS && still.length > 0; round++) {
      await useAll();
      still = watch.names.filter(isStill);
    }

    assert.deepEqual(still, [], 'these told nothing of all that');
    const unknown = Object.keys(AT_REST).filter((name) => !watch.names.includes(name));
    assert.deepEqual(unknown, [], 'nobody serves these');
  });

  it('are those of vLLM once more under its names', () => {
    const ours = new Set(watch.names);
    const theirs = watch.allNames.filter((name) => name.startsWith('vllm:'));

    assert(theirs.length > 20);
    const alone = theirs.filter((name) => !ours.has(name.replace('vllm:', 'autoglm:')));
    assert.deepEqual(alone, []);
  });

  it('grow no label by what clients write', async () => {
    const labels = async () =>
      new Set((await scrape(mesh.url)).replaceAll(/,?le="[^"]*"/g, '').match(/\{.*\}/g));
    const before = await labels();
    const hostile = Array.from({ length: 300 }, (_, i) => `no"\\\n{such}${i}`);

    for (const name of hostile) {
      const headers = { 'x-request-id': encodeURIComponent(name), traceparent: name.slice(0, 3) };
      const path = `/${encodeURIComponent(name)}`;
      await (await fetch(`${mesh.url}${path}`, { method: 'POST', headers })).text();
      await (await fetch(`${mesh.url}/v1/models${path}`)).text();
      await postChat(mesh.url, { model: name, messages: userMessage('Hi'), [name]: 1 });
    }

    const added = [...(await labels())].filter((one) => !before.has(one));
    // Those of a route that was not asked before, of a status or of no route.
    assert(added.length <= MAX_ADDED, added.join('\n'));
    assert.deepEqual(
      added.filter((one) => one.includes('such')),
      [],
    );
  });

  /** Does with the mesh what its metrics tell of. */
  async function useAll(): Promise<void> {
    // What is asked twice is found in the caches.
    for (let time = 0; time < 2; time++) {
      await Promise.all(CASES.map((one) => postChat(mesh.url, chatRequest(one))));
    }
    await Promise.all([
      postChat(mesh.url, { messages: userMessage('打开微信 打开微信'), max_tokens: 60 }),
      postChat(mesh.url, long('many', { n: 2, max_tokens: 20 })),
      postChat(mesh.url, { messages: 'no list' }),
      streamAnswer(mesh.url, long('late', { max_tokens: 8000 })),
    ]);
    for (let time = 0; time < 2; time++) await keyed();
    await Promise.all(Array.from({ length: CROWD }, (_, i) => postChat(mesh.url, long(`${i}`))));
    await leave();
    await halfABody();
    await killWithinAnswers();
    await untilReady('autoglm:gateway_backbone_ready', 2);
    const [encoder] = await mesh.pids('vision-encoder');
    assert(encoder !== undefined);
    process.kill(encoder, 'SIGKILL');
    await untilReady('autoglm:encoder_endpoints_ready', 6);
    const kept = long('kept', { max_tokens: 4, temperature: 0 });
    await postChat(mesh.url, kept);
    for (const pid of await mesh.pids('llm-backbone')) process.kill(pid, 'SIGKILL');
    const degraded = async () => {
      while ((await scraped(mesh.url, 'autoglm:gateway_degraded_replies_total')) === 0) {
        await postChat(mesh.url, kept);
      }
    };
    await within(degraded(), { what: 'an answer that was kept' });
    await untilReady('autoglm:gateway_backbone_ready', 2);
  }

  async function keyed(): Promise<void> {
    const post = jsonPost({ messages: userMessage('Hi'), max_tokens: 4 });
    const headers = { ...post.headers, 'idempotency-key': 'living-metrics' };
    await (await fetch(`${mesh.url}/v1/chat/completions`, { ...post, headers })).text();
  }

  /** Leaves a stream that has begun. */
  async function leave(): Promise<void> {
    const leaving = new AbortController();
    const post = jsonPost(long('leaving', { stream: true }));
    const { signal } = leaving;
    const answer = await fetch(`${mesh.url}/v1/chat/completions`, { ...post, signal });
    assert.equal(answer.status, 200);
    leaving.abort();
  }

  /** Sends a part of a body, and leaves when its bytes were seen. */
  async function halfABody(): Promise<void> {
    const headers = { 'content-type': 'application/json', 'content-length': '1000' };
    const half = httpRequest(`${mesh.url}/v1/chat/completions`, { method: 'POST', headers });
    half.on('error', () => {});
    half.write('{"messages"');
    const name = 'autoglm:gateway_unfinished_body_bytes';
    const seen = async () => {
      while (!watch.hasMoved(name)) await delay(LOOK_MS);
    };
    await within(seen(), { what: name });
    half.destroy();
  }
});
