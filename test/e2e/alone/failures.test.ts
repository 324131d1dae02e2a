import assert from 'node:assert/strict';
import { once } from 'node:events';
import { cp, writeFile } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { scraped } from '#test/e2e/counters.ts';
import { type Mesh, property, spawnMesh, startMesh } from '#test/e2e/mesh.ts';
import { onText, postChat, streamAnswer, userMessage } from '#test/e2e/request/chat-request.ts';
import { GOLDEN_TEXTS } from '#test/e2e/request/golden.ts';
import { LONG_ANSWER, runLoad } from '#test/e2e/request/load.ts';
import { PHONE_NANO } from '#test/e2e/request/phone-cases.ts';
import { scratchFolder } from '#test/scratch-folder.ts';

/** Request whose answer outlasts whatever a test does meanwhile; it fills the context. */
const ENDLESS_ANSWER = { ...LONG_ANSWER, max_tokens: 8000 };
/** Time after which a second signal counts as one of its own, ms. */
const SECOND_SIGNAL_MS = 600;
/** Longest time from the drain limit, or from a second signal, to the end of every process, ms. */
const ENDING_MS = 5000;

const QUESTION = { messages: userMessage('你是谁?') };

const TEXT_ALONE = { numEncoders: { 'vision-encoder': 0, 'speech-encoder': 0 } };

interface Moment {
  readonly come: Promise<void>;
  readonly arrive: () => void;
}

function moment(): Moment {
  let arrive = () => {};
  const come = new Promise<void>((resolve) => {
    arrive = resolve;
  });
  return { come, arrive };
}

describe('a mesh under load', () => {
  let mesh: Mesh;
  before(async () => {
    mesh = await startMesh({ keys: ['liveness-timeout-s: 4', 'recovery-wait-s: 30'] });
  });
  after(() => mesh.stop());

  it('serves 64 streams at once for five seconds without an error', async () => {
    const answers = await runLoad({
      url: mesh.url,
      numStreams: 64,
      until: AbortSignal.timeout(5000),
    });

    assert(answers.length >= 64);
    assert.deepEqual(
      answers.filter(({ done }) => !done),
      [],
    );
    assert.equal(new Set(answers.map(({ text }) => text)).size, 1, 'one seed gives one text');
  });

  it('goes on with every answer when its only backbone is killed and started again', async () => {
    const [pid] = await mesh.pids('llm-backbone');
    assert(pid !== undefined);
    const firstText = moment();
    const loadEnd = new AbortController();
    const load = runLoad({
      url: mesh.url,
      numStreams: 16,
      until: loadEnd.signal,
      numTokens: 500,
      onFirstText: firstText.arrive,
    });
    await firstText.come;
    const numLines = mesh.lines.seen.length;

    loadEnd.abort();
    process.kill(pid, 'SIGKILL');
    await mesh.lines.match(/llm-backbone was killed by SIGKILL/, numLines);
    const answers = await load;
    await mesh.lines.match(/backbone .* is ready/, numLines);
    const whole = await streamAnswer(mesh.url, { ...LONG_ANSWER, max_tokens: 500 });

    for (const { done, error } of answers) assert(done, error);
    assert.deepEqual(new Set(answers.map(({ text }) => text)), new Set([whole.text]));
    assert((await scraped(mesh.url, 'autoglm:gateway_resumes_total')) > 0, 'nothing was running');
  });

  it('goes on with an answer of a frozen backbone, and answers who waits meanwhile', async () => {
    const [pid] = await mesh.pids('llm-backbone');
    assert(pid !== undefined);
    const firstText = moment();
    const long = { ...LONG_ANSWER, max_tokens: 2000 };
    const running = streamAnswer(mesh.url, long, onText(firstText.arrive));
    await firstText.come;
    const numLines = mesh.lines.seen.length;

    process.kill(pid, 'SIGSTOP');
    const waiting = [1, 2, 3].map(() => postChat(mesh.url, QUESTION));
    await mesh.lines.match(/llm-backbone does not answer .*killing it/, numLines);

    const { done, error, text } = await running;
    assert(done, error);
    for (const { status, body } of await Promise.all(waiting)) {
      assert.equal(status, 200, JSON.stringify(body));
      assert.equal(property(body, 'choices', 0, 'message', 'content'), GOLDEN_TEXTS[0]?.answer);
    }
    assert.equal(text, (await streamAnswer(mesh.url, long)).text);
  });
});

describe('the end of a mesh', () => {
  it('lets running answers finish when it is stopped', async () => {
    const mesh = await startMesh();
    const firstText = moment();
    const answer = streamAnswer(mesh.url, LONG_ANSWER, onText(firstText.arrive));
    await firstText.come;

    const status = mesh.stop();

    assert.equal((await answer).done, true);
    assert.equal(await status, 0);
  });

  it('does not wait longer than the limit for a client that reads nothing', async () => {
    const limitS = 2;
    const mesh = await startMesh({ ...TEXT_ALONE, flags: [`--drain-timeout-s=${limitS}`] });
    const body = { ...ENDLESS_ANSWER, n: 8, logprobs: true, top_logprobs: 20, stream: true };
    const sending = request(`${mesh.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
    });
    sending.on('error', () => {}).end(JSON.stringify(body));
    const [answer]: IncomingMessage[] = await once(sending, 'response');
    assert.equal(answer?.statusCode, 200);
    answer.pause().on('error', () => {});
    const beganMs = performance.now();

    const status = await mesh.stop();

    const tookMs = performance.now() - beganMs;
    assert.equal(status, 0);
    assert(tookMs > limitS * 1000, 'nothing was running when the mesh was told to stop');
    assert(tookMs < limitS * 1000 + ENDING_MS, `the mesh ended after ${tookMs} ms`);
    assert.deepEqual(
      mesh.lines.seen.filter((line) => line.includes('killing it')),
      [],
    );
    sending.destroy();
  });

  it('tells clients why their streams end when it is told to stop twice', async () => {
    const mesh = await startMesh(TEXT_ALONE);
    let firstMs: number | undefined;
    let secondMs: number | undefined;
    const { done, error } = await streamAnswer(
      mesh.url,
      ENDLESS_ANSWER,
      onText(() => {
        const nowMs = performance.now();
        if (firstMs === undefined) {
          firstMs = nowMs;
          mesh.supervisor.kill('SIGTERM');
        } else if (secondMs === undefined && nowMs - firstMs > SECOND_SIGNAL_MS) {
          secondMs = nowMs;
          mesh.supervisor.kill('SIGTERM');
        }
      }),
    );
    await mesh.lines.ended;

    assert(secondMs !== undefined, 'the stream did not go on after the first signal');
    assert.equal(done, false);
    assert.match(error ?? '', /shutting down|drain/);
    const tookMs = performance.now() - secondMs;
    assert(tookMs < ENDING_MS, `the mesh ended after ${tookMs} ms`);
    assert.equal(await mesh.exit, 130);
  });

  it('comes to every process when the supervisor is killed', async () => {
    const mesh = await startMesh();

    mesh.supervisor.kill('SIGKILL');

    // All processes write to this stream; it ends with the last of them.
    await mesh.lines.ended;
    await assert.rejects(fetch(`${mesh.url}/ping`));
  });
});

describe('a mesh that cannot start', () => {
  it('names the key of a port in use', async (t) => {
    const squatter = createServer().listen(0, '127.0.0.1');
    t.after(() => squatter.close());
    await once(squatter, 'listening');
    const address = squatter.address();
    assert(typeof address === 'object' && address !== null);

    const mesh = await spawnMesh({ port: address.port });

    await mesh.lines.match(/EADDRINUSE.*key \\"port\\" in the section \\"gateway\\"/);
    assert.equal(await mesh.exit, 1);
  });

  it('ends with the reason of the process that refused', async () => {
    const model = scratchFolder('model');
    await cp(PHONE_NANO, model, { recursive: true });
    await writeFile(join(model, 'tokenizer.json'), '{}');

    const mesh = await spawnMesh({ backbone: [`model: ${model}`] });

    await mesh.lines.match(/tokenizer\.json/);
    await mesh.lines.match(/llm-backbone exited with status 1 .* before it had started/);
    assert.equal(await mesh.exit, 1);
  });

  it('ends when an encoder cannot have its device, and names it', async () => {
    const mesh = await spawnMesh({ encoders: ['device: cpu:999'] });

    await mesh.lines.match(/device .*cpu:999.*core 999 is not available/);
    await mesh.lines.match(/-encoder exited with status 1 .* before it had started/);
    assert.equal(await mesh.exit, 1);
  });
});
