import assert from 'node:assert/strict';
import { request as httpRequest } from 'node:http';
import { afterEach, describe, it } from 'node:test';
import { aborted, accepted, delta, finished } from './fake-backbone.ts';
import { CHAT, eventsOf, type Harness, type HarnessOptions, startHarness } from './harness.ts';

const PATH = '/v1/chat/completions';
const JSON_TYPE = { 'content-type': 'application/json' };

let harness: Harness;

async function start(options: HarnessOptions = {}): Promise<Harness> {
  harness = await startHarness(options);
  return harness;
}

describe('A stream', () => {
  afterEach(() => harness.close());

  it('keeps a waiting stream alive with comment lines', async () => {
    const { backbone, post } = await start({ heartbeatIntervalS: 0.01 });
    let finish = () => {};
    const done = new Promise<void>((resolve) => {
      finish = resolve;
    });
    backbone.script = async function* () {
      await done;
      yield accepted();
      yield delta({ text: 'a' });
      yield finished();
    };

    const response = await post(PATH, { ...CHAT, stream: true });
    finish();
    const text = await response.text();

    assert.match(text, /^: keep-alive\n\n/);
    assert.equal(eventsOf(text).at(-1), '[DONE]');
  });

  it('cuts off a client that does not read its stream', async () => {
    const { backbone, url } = await start({ stallTimeoutS: 0.05 });
    const text = 'x'.repeat(64 * 1024);
    backbone.script = async function* (_, signal) {
      yield accepted();
      while (!signal.aborted) yield delta({ text });
    };
    const body = JSON.stringify({ ...CHAT, stream: true });
    const request = httpRequest(url + PATH, { method: 'POST', headers: JSON_TYPE });
    request.on('response', (response) => response.pause());
    request.on('error', () => {});

    request.end(body);

    await backbone.until('cancelled');
    request.destroy();
  });
});

describe('A client that leaves', () => {
  afterEach(() => harness.close());

  for (const stream of [true, false]) {
    it(`cancels its generation (stream: ${stream})`, async () => {
      const { backbone, post, get } = await start();
      backbone.script = async function* (_, signal) {
        yield accepted();
        yield delta({ text: 'a' });
        await aborted(signal);
      };
      const controller = new AbortController();
      const answer = post(
        PATH,
        { ...CHAT, stream },
        {
          headers: { 'content-type': 'application/json' },
          signal: controller.signal,
        },
      );
      await backbone.until('start');
      if (stream) await answer;

      controller.abort();

      if (!stream) await assert.rejects(answer, { name: 'AbortError' });
      await backbone.until('cancelled');
      const metrics = await (await get('/metrics')).text();
      assert.match(metrics, /autoglm:gateway_cancelled_requests_total 1/);
    });
  }
});
