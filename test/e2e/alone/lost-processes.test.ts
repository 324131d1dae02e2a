import assert from 'node:assert/strict';
import { cp, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import OpenAI from 'openai';
import { scraped } from '#test/e2e/counters.ts';
import { autoglm, type Mesh, property, startMesh } from '#test/e2e/mesh.ts';
import {
  onText,
  postChat,
  type StreamedAnswer,
  streamAnswer,
  userMessage,
} from '#test/e2e/request/chat-request.ts';
import { LONG_ANSWER } from '#test/e2e/request/load.ts';
import { PHONE_NANO } from '#test/e2e/request/phone-cases.ts';
import { uniqueImage } from '#test/e2e/request/unique-media.ts';
import { scratchFolder } from '#test/scratch-folder.ts';

/** Requests that the decoder answers at the same time; further ones wait. */
const NUM_PLACES = 8;
/** Longest answer to an image while one of two encoders has just been stopped, ms. */
const NOTICING_MS = 4500;
/** Longest answer to an image once that encoder is known to be silent, ms: less than to notice it. */
const USUAL_MS = 2500;
/** Longest time from an encoder that listens to the first image it may get, ms. */
const REUSE_MS = 300;
const NUM_LATER_IMAGES = 4;
const NUM_SDK_REQUESTS = 16;

const QUESTION = { messages: userMessage('Who are you?'), max_tokens: 4 };

/** Returns the time of a log line, ms since the epoch. */
function timeOf(line: string): number {
  const time = property(JSON.parse(line), 'time');
  assert(typeof time === 'number' || typeof time === 'string', line);
  return new Date(time).getTime();
}

const SDK_REQUEST = {
  model: 'phone-nano',
  messages: [{ role: 'user', content: 'Who are you?' }],
  ignore_eos: true,
  max_tokens: 100,
} satisfies OpenAI.ChatCompletionCreateParams & { ignore_eos: boolean };

async function askWhole(client: OpenAI): Promise<string | null | undefined> {
  const { choices } = await client.chat.completions.create(SDK_REQUEST);
  return choices[0]?.finish_reason;
}

/** Streams an answer; resolves to why it ended, or "lost" if it broke off when it had begun. */
async function askStreamed(client: OpenAI): Promise<string | null | undefined> {
  let finish: string | null | undefined;
  let hasBegun = false;
  const stream = await client.chat.completions.create({ ...SDK_REQUEST, stream: true });
  try {
    for await (const { choices } of stream) {
      hasBegun = true;
      finish = choices[0]?.finish_reason ?? finish;
    }
  } catch (error) {
    if (!hasBegun) throw error;
    return 'lost';
  }
  return finish;
}

/**
 * Streams an answer of `numTokens`; resolves once it has begun, to a function that waits for its end.
 */
async function begunStream(url: string, numTokens: number): Promise<() => Promise<StreamedAnswer>> {
  let answer: Promise<StreamedAnswer> | undefined;
  await new Promise<void>((resolve, reject) => {
    answer = streamAnswer(url, { ...LONG_ANSWER, max_tokens: numTokens }, onText(resolve));
    answer.catch(reject);
  });
  return async () => {
    assert(answer !== undefined);
    return answer;
  };
}

describe('a mesh that loses processes', () => {
  let mesh: Mesh;
  let encoderModel: string;
  before(async () => {
    encoderModel = join(scratchFolder('model'), 'encoder');
    await cp(PHONE_NANO, encoderModel, { recursive: true });
    mesh = await startMesh({
      numEncoders: { 'vision-encoder': 2, 'speech-encoder': 1 },
      keys: ['liveness-timeout-s: 4', 'recovery-wait-s: 2'],
      encoders: [`model: ${encoderModel}`],
      backbone: ['scheduling-policy: priority', `max-num-seqs: ${NUM_PLACES}`],
    });
  });
  after(() => mesh.stop());

  const begunStreams = (count: number, numTokens: number) =>
    Promise.all(Array.from({ length: count }, () => begunStream(mesh.url, numTokens)));

  async function askAboutImage(): Promise<{ status: number; body: unknown; tookMs: number }> {
    const body = { messages: userMessage([await uniqueImage()]), max_tokens: 2 };
    const startMs = performance.now();
    const answer = await postChat(mesh.url, body);
    return { ...answer, tookMs: performance.now() - startMs };
  }

  it('answers the more urgent of two waiting requests first where that is allowed', async () => {
    const running = await begunStreams(NUM_PLACES, 500);
    const ended: number[] = [];
    const waiting = [5, 5, -5].map(async (priority) => {
      const { status, body } = await postChat(mesh.url, { ...LONG_ANSWER, priority });
      assert.equal(status, 200, JSON.stringify(body));
      ended.push(priority);
    });

    await Promise.all([...waiting, ...running.map((end) => end())]);

    assert.deepEqual(ended, [-5, 5, 5]);
  });

  it('reads images with one encoder while the other stands still, and with both afterwards', async () => {
    const [pid] = await mesh.pids('vision-encoder');
    assert(pid !== undefined);
    await askAboutImage();
    const numLines = mesh.lines.seen.length;

    process.kill(pid, 'SIGSTOP');
    const first = await Promise.all([askAboutImage(), askAboutImage()]);
    await mesh.lines.match(/vision encoder .* is not ready: silent for 3 s/, numLines);
    const later: Awaited<ReturnType<typeof askAboutImage>>[] = [];
    while (later.length < NUM_LATER_IMAGES) later.push(await askAboutImage());

    for (const { status, body, tookMs } of first) {
      assert.equal(status, 200, JSON.stringify(body));
      assert(tookMs < NOTICING_MS, `an image waited for ${tookMs} ms`);
    }
    for (const { status, body, tookMs } of later) {
      assert.equal(status, 200, JSON.stringify(body));
      assert(tookMs < USUAL_MS, `a later image waited for ${tookMs} ms`);
    }
    await mesh.lines.match(/vision-encoder does not answer .*killing it/, numLines);
    const listening = await mesh.lines.match(/"role":"vision-encoder".*listening/, numLines);
    const used = await mesh.lines.match(/vision encoder .* is ready/, numLines);
    const reuseMs = timeOf(used) - timeOf(listening);
    assert(reuseMs < REUSE_MS, `an encoder that listens was used ${reuseMs} ms later`);
    assert.equal((await askAboutImage()).status, 200);
  });

  it('loses only streams that had begun when its backbone is killed under an openai client', async () => {
    const [pid] = await mesh.pids('llm-backbone');
    assert(pid !== undefined);
    const client = new OpenAI({ baseURL: `${mesh.url}/v1`, apiKey: 'none' });
    const begun = await begunStreams(NUM_PLACES - 1, 6000);
    const asked = [askWhole(client)];
    for (let i = 1; i < NUM_SDK_REQUESTS; i++) {
      asked.push(i % 2 === 0 ? askWhole(client) : askStreamed(client));
    }
    // One of them has a place, mostly the first, whose client sees nothing of an answer that has begun.
    while ((await scraped(mesh.url, 'vllm:num_requests_waiting')) < NUM_SDK_REQUESTS - 2);
    const numLines = mesh.lines.seen.length;

    process.kill(pid, 'SIGKILL');

    const ends = await Promise.all(asked);
    const others = ends.filter((end) => end !== 'length');
    assert(others.length === 0 || (others.length === 1 && others[0] === 'lost'), ends.join());
    for (const end of begun) assert((await end()).error !== undefined, 'a stream ended in silence');
    await mesh.lines.match(/llm-backbone was killed by SIGKILL/, numLines);
  });

  it('refuses a prompt in whose step two backbones crashed, and no other', async () => {
    // Long enough to run on at a backbone that was started again until that one crashes too.
    const poison = {
      ...LONG_ANSWER,
      messages: userMessage('Who are you really?'),
      max_tokens: 8000,
    };
    const running: Promise<StreamedAnswer>[] = [];
    for (let i = 0; i < 2; i++) {
      const [pid] = await mesh.pids('llm-backbone');
      assert(pid !== undefined);
      const numLines = mesh.lines.seen.length;
      let isCrashed = false;
      const crash = onText(() => {
        if (!isCrashed) process.kill(pid, 'SIGSEGV');
        isCrashed = true;
      });
      running.push(streamAnswer(mesh.url, poison, crash));
      await mesh.lines.match(/llm-backbone crashed with .* in its step/, numLines);
      await mesh.lines.match(/backbone .* is ready/, numLines);
    }
    for (const { done, error } of await Promise.all(running)) {
      assert.equal(done, false);
      assert(error !== undefined, 'a stream ended in silence');
    }

    const [again, other] = [await postChat(mesh.url, poison), await postChat(mesh.url, QUESTION)];

    assert.equal(again.status, 422, JSON.stringify(again.body));
    assert.match(
      String(property(again.body, 'error', 'message')),
      /the prompt .*2 processes crashed/,
    );
    assert.equal(other.status, 200, JSON.stringify(other.body));
  });

  it('goes on without images when no encoder for them can start again, and says so', async () => {
    await rename(encoderModel, `${encoderModel}-away`);
    const pids = await mesh.pids('vision-encoder');
    assert.equal(pids.length, 2);
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    const numLines = mesh.lines.seen.length;
    await mesh.lines.match(/vision-encoder exited with status 1/, numLines);

    const text = await postChat(mesh.url, QUESTION);
    const image = await askAboutImage();
    const health = await fetch(`${mesh.url}/health`);
    const { stdout } = await autoglm(['status', '--config', mesh.config]);

    assert.equal(text.status, 200, JSON.stringify(text.body));
    assert.equal(image.status, 503, JSON.stringify(image.body));
    assert(!JSON.stringify(image.body).includes(encoderModel), JSON.stringify(image.body));
    assert.match(String(property(image.body, 'error', 'message')), /image|vision/);
    const state: unknown = await health.json();
    assert.equal(property(state, 'status'), 'degraded');
    assert.deepEqual(property(state, 'away'), ['image']);
    assert.match(stdout, /degraded.*no encoder for image is ready/);

    await rename(`${encoderModel}-away`, encoderModel);
    await mesh.lines.match(/vision encoder .* is ready/, numLines);
    assert.equal((await askAboutImage()).status, 200);
  });
});
