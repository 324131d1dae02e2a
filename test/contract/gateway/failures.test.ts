import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { ERRORS, type ErrorReason, isErrorReason, MeshError } from '#mesh/errors.ts';
import { aborted, accepted, delta, FakeBackbone, finished, saying } from './fake-backbone.ts';
import {
  CHAT,
  errorOf,
  eventsOf,
  type Harness,
  type HarnessOptions,
  startHarness,
  untilReady,
} from './harness.ts';

const PATH = '/v1/chat/completions';

let harness: Harness;

async function start(options: HarnessOptions = {}): Promise<Harness> {
  harness = await startHarness(options);
  return harness;
}

function failing(reason: ErrorReason, details = {}) {
  return async function* () {
    throw new MeshError(reason, `told ${reason}`, details);
  };
}

/** Asserts that an answer asks to come back this much later, or up to a quarter more. */
function assertComesBack({ headers }: Response, leastMs: number): void {
  const ms = Number(headers.get('retry-after-ms'));
  assert(ms > leastMs * 0.8 && ms <= leastMs * 1.25 + 1, `${ms} ms`);
  assert.equal(Number(headers.get('retry-after')), Math.ceil(ms / 1000));
}

const REFUSALS = Object.keys(ERRORS)
  .filter(isErrorReason)
  .filter((reason) => reason !== 'CANCELLED');

describe('A failure before the first token', () => {
  afterEach(() => harness.close());

  for (const reason of REFUSALS) {
    it(`answers ${reason} with ${ERRORS[reason].http} ${ERRORS[reason].type}`, async () => {
      const { backbone, post } = await start();
      backbone.script = failing(reason, { param: 'messages', retryAfterMs: 2500 });

      for (const stream of [false, true]) {
        const response = await post(PATH, { ...CHAT, stream });

        assert.equal(response.status, ERRORS[reason].http);
        assertComesBack(response, 2500);
        assert.deepEqual(await errorOf(response), {
          message: `told ${reason}`,
          type: ERRORS[reason].type,
          param: 'messages',
          code: reason.toLowerCase(),
        });
      }
    });
  }

  it('goes to another endpoint when that may help', async () => {
    const backbones = [new FakeBackbone(), new FakeBackbone(), new FakeBackbone()];
    const { post, get } = await start({ backbones });
    for (const one of backbones) one.script = failing('QUEUE_FULL');
    const good = backbones[1];
    if (good !== undefined) good.script = () => saying('ok');

    const responses = await Promise.all([1, 2, 3].map(() => post(PATH, CHAT)));

    assert.deepEqual(
      responses.map(({ status }) => status),
      [200, 200, 200],
    );
    assert.match(
      await (await get('/metrics')).text(),
      /autoglm:gateway_retries_total\{reason="QUEUE_FULL"\} [1-9]/,
    );
  });

  for (const balancing of ['least_work', 'least_conn'] as const) {
    it(`shows in metrics which endpoint is left out for it (${balancing})`, async () => {
      const backbones = [new FakeBackbone(), new FakeBackbone()] as const;
      const [bad, good] = backbones;
      const { post, get } = await start({ backbones, balancing, maxFails: 2 });
      bad.script = failing('ENGINE_FAILED');
      good.script = () => saying('ok');
      const ejected = async ({ address }: FakeBackbone) => {
        const page = await (await get('/metrics')).text();
        const [, value] =
          new RegExp(`^autoglm:gateway_backbone_ejected{address="${address}"} (.)$`, 'm').exec(
            page,
          ) ?? [];
        return value;
      };
      assert.deepEqual([await ejected(bad), await ejected(good)], ['0', '0']);

      // Each prompt prefers an endpoint of its own.
      for (let i = 0; i < 64 && bad.starts.length < 2; i++) {
        const messages = [{ role: 'user', content: `question ${i}` }];
        assert.equal((await post(PATH, { ...CHAT, messages })).status, 200);
      }

      assert.deepEqual([await ejected(bad), await ejected(good)], ['1', '0']);
    });
  }

  it('goes to each endpoint once, although more attempts are allowed', async () => {
    const backbones = [new FakeBackbone(), new FakeBackbone(), new FakeBackbone()];
    const { post } = await start({ backbones, maxAttempts: 10 });
    for (const one of backbones) {
      one.script = () => {
        one.script = () => saying('asked twice');
        return failing('QUEUE_FULL')();
      };
    }

    const response = await post(PATH, CHAT);

    assert.equal(response.status, 429);
    assert.deepEqual(
      backbones.map(({ starts }) => starts.length),
      [1, 1, 1],
    );
  });

  it('is told after the allowed number of attempts', async () => {
    const backbones = [new FakeBackbone(), new FakeBackbone(), new FakeBackbone()];
    const { post } = await start({ backbones, maxAttempts: 2 });
    for (const one of backbones) one.script = failing('QUEUE_FULL');

    const response = await post(PATH, CHAT);

    assert.equal(response.status, 429);
    assert.equal(backbones.flatMap(({ starts }) => starts).length, 2);
  });

  it('is retried for a fifth of the requests at most while the whole pool refuses', async () => {
    const backbones = [new FakeBackbone(), new FakeBackbone(), new FakeBackbone()];
    const { post } = await start({ backbones });
    for (const one of backbones) one.script = failing('QUEUE_FULL');
    const numRequests = 400;
    const numAtOnce = 40;

    const ask = async () => {
      for (let i = 0; i < numRequests / numAtOnce; i++) {
        assert.equal((await post(PATH, CHAT)).status, 429);
      }
    };
    await Promise.all(Array.from({ length: numAtOnce }, ask));

    const numAttempts = backbones.flatMap(({ starts }) => starts).length;
    // Ten are saved up at the beginning.
    assert(numAttempts <= 1.2 * numRequests + 10, `${numAttempts} attempts`);
    assert(numAttempts > numRequests, `${numAttempts} attempts`);
  });

  it('is not retried where another endpoint would refuse as well', async () => {
    const backbones = [new FakeBackbone(), new FakeBackbone()];
    const { post } = await start({ backbones });
    for (const one of backbones) one.script = failing('CONTEXT_LENGTH_EXCEEDED');

    const response = await post(PATH, CHAT);

    assert.equal(response.status, 400);
    assert.equal(backbones.flatMap(({ starts }) => starts).length, 1);
  });

  it('repeats no announcement when the answer was accepted twice', async () => {
    const backbones = [new FakeBackbone(), new FakeBackbone()];
    const { post } = await start({ backbones });
    let numCalls = 0;
    for (const one of backbones) {
      one.script = async function* () {
        yield accepted();
        if (++numCalls === 1) throw new MeshError('ENGINE_FAILED', 'step failed');
        yield delta({ text: 'a' });
        yield finished();
      };
    }

    const events = eventsOf(await (await post(PATH, { ...CHAT, stream: true })).text());

    assert.equal(numCalls, 2);
    assert.equal(events.filter((event) => JSON.stringify(event).includes('"role"')).length, 1);
    assert.equal(events.at(-1), '[DONE]');
  });

  it('is 503 without a ready endpoint, with the time to retry', async () => {
    const { backbone, post, url } = await start();
    backbone.health.setServing(false);
    await untilReady(url, 0);

    const response = await post(PATH, CHAT);

    assert.equal(response.status, 503);
    assertComesBack(response, 600);
    assert.equal((await errorOf(response)).code, 'no_ready_endpoint');
  });

  it('is 503 when the only backbone dies, without naming its address', async () => {
    const { backbone, post } = await start();
    backbone.script = async function* (_, signal) {
      yield accepted();
      await aborted(signal);
    };
    const answer = post(PATH, CHAT);
    await backbone.until('start');

    await backbone.kill();

    const response = await answer;
    const { message } = await errorOf(response);
    assert.equal(response.status, 503);
    assert(!message.includes('127.0.0.1'), message);
  });

  it('waits for the only backbone when it dies, and is sent again', async () => {
    const { backbone, post } = await start({ recoveryWaitS: 10 });
    const { address } = backbone;
    backbone.script = async function* (_, signal) {
      yield accepted();
      await aborted(signal);
    };
    const answers = [post(PATH, CHAT), post(PATH, { ...CHAT, stream: true })];
    await backbone.until('start');

    await backbone.kill();
    backbone.script = () => saying('again');
    backbone.health.setServing(true);
    await backbone.start(address);

    for (const answer of await Promise.all(answers)) {
      assert.equal(answer.status, 200);
      assert.match(await answer.text(), /again/);
    }
  });

  it('waits for a backbone that is away when it comes', async () => {
    const { backbone, post, url } = await start({ recoveryWaitS: 10 });
    backbone.health.setServing(false);
    await untilReady(url, 0);

    const answer = post(PATH, CHAT);
    backbone.health.setServing(true);

    assert.equal((await answer).status, 200);
  });

  it('is 503 when more wait for a backbone than may', async () => {
    const { backbone, post, url } = await start({ recoveryWaitS: 10, maxHeldRequests: 1 });
    backbone.health.setServing(false);
    await untilReady(url, 0);

    const answers = [1, 2, 3].map(() => post(PATH, CHAT));
    const refused = await Promise.race(answers);
    backbone.health.setServing(true);

    assert.equal(refused.status, 503);
    const statuses = (await Promise.all(answers)).map(({ status }) => status);
    assert.deepEqual(statuses.sort(), [200, 503, 503]);
  });

  it('says 404 and what exists for an unknown model', async () => {
    const { post } = await start({ backbones: [new FakeBackbone(['one', 'two'])] });

    const response = await post(PATH, { ...CHAT, model: 'gpt' });

    assert.equal(response.status, 404);
    assert.deepEqual(await errorOf(response), {
      message: 'model "gpt" does not exist; this server has one, two',
      type: 'invalid_request_error',
      param: 'model',
      code: 'model_not_found',
    });
  });

  it('is 429 beyond the limit of concurrent requests', async () => {
    const { backbone, post, get } = await start({ maxConcurrentRequests: 1 });
    let finish = () => {};
    const held = new Promise<void>((resolve) => {
      finish = resolve;
    });
    backbone.script = async function* () {
      yield accepted();
      await held;
      yield finished();
    };
    const first = post(PATH, CHAT);
    await backbone.until('start');

    const second = await post(PATH, CHAT);
    const load = await (await get('/load')).json();
    finish();

    assert.equal(second.status, 429);
    assertComesBack(second, 1000);
    assert.equal((await errorOf(second)).type, 'rate_limit_error');
    assert.deepEqual(load, { server_load: 1 });
    assert.equal((await first).status, 200);
  });

  it('is 504 past the deadline, and the backbone is told to stop', async () => {
    const { backbone, post } = await start({ requestTimeoutS: 0.5 });
    backbone.script = async function* (_, signal) {
      await aborted(signal);
      yield accepted();
    };

    const response = await post(PATH, CHAT);

    assert.equal(response.status, 504);
    assert.match((await errorOf(response)).message, /deadline of 0.5 s/);
    await backbone.until('cancelled');
  });

  it('is 500 when a backbone ends without finishing', async () => {
    const { backbone, post } = await start();
    backbone.script = async function* () {
      yield accepted();
    };

    const response = await post(PATH, CHAT);

    assert.equal(response.status, 500);
    assert.equal((await errorOf(response)).code, 'engine_failed');
  });
});

describe('A failure after the first token', () => {
  afterEach(() => harness.close());

  it('is an explicit error event in the end, never a silent or a complete one', async () => {
    const backbones = [new FakeBackbone(), new FakeBackbone()];
    const { post, get } = await start({ backbones, maxResumes: 2 });
    for (const one of backbones) {
      one.script = async function* () {
        yield accepted();
        yield delta({ text: 'a' });
        throw new MeshError('ENGINE_FAILED', 'step failed');
      };
    }

    const response = await post(PATH, { ...CHAT, stream: true });
    const text = await response.text();

    assert.equal(response.status, 200);
    assert.deepEqual(eventsOf(text).at(-1), {
      error: {
        message: 'step failed',
        type: 'server_error',
        param: null,
        code: 'engine_failed',
        doc: 'services/mesh/ERRORS.md#engine_failed',
      },
    });
    assert(!text.includes('[DONE]'));
    assert.equal(backbones.flatMap(({ starts }) => starts).length, 3);
    const page = await (await get('/metrics')).text();
    assert.match(page, /^autoglm:gateway_broken_streams_total 1$/m);
  });

  it('is an error event when the backbone dies', async () => {
    const { backbone, post } = await start();
    backbone.script = async function* (_, signal) {
      yield accepted();
      yield delta({ text: 'a' });
      await aborted(signal);
    };
    const response = await post(PATH, { ...CHAT, stream: true });
    await backbone.until('start');

    await backbone.kill();

    const last = eventsOf(await response.text()).at(-1);
    assert.match(JSON.stringify(last), /"error":.*"server_error"/);
  });

  it('turns a whole answer into an error', async () => {
    const { backbone, post } = await start();
    backbone.script = async function* () {
      yield accepted();
      yield delta({ text: 'a' });
      throw new MeshError('DRAINING', 'leaving');
    };

    const response = await post(PATH, CHAT);

    assert.equal(response.status, 503);
  });
});
