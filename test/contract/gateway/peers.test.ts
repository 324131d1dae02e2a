import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { Counter } from '#mesh/metrics.ts';
import { accepted, delta, FakeBackbone, finished, saying } from './fake-backbone.ts';
import {
  CHAT,
  errorOf,
  type Harness,
  type HarnessOptions,
  jsonOf,
  startHarness,
} from './harness.ts';

const PATH = '/v1/chat/completions';

let harness: Harness;

async function start(options: HarnessOptions = {}): Promise<Harness> {
  harness = await startHarness(options);
  return harness;
}

/** Asks `/v1/models` until it has these names. */
async function untilModels(names: readonly string[]): Promise<void> {
  for (;;) {
    const { data } = await jsonOf(await harness.get('/v1/models'));
    assert(Array.isArray(data));
    if (JSON.stringify(data.map(({ id }) => id)) === JSON.stringify(names)) return;
  }
}

describe('A backbone behind the gateway', { timeout: 60_000 }, () => {
  afterEach(() => harness.close());

  it('is asked anew when it serves another model without an outage', async () => {
    const { backbone, post } = await start({ backbones: [new FakeBackbone(['small'])] });
    const before = await jsonOf(await post(PATH, { ...CHAT, model: 'small' }));

    backbone.status.change({ servedNames: ['large'], fingerprint: 'fedcba98'.repeat(8) });
    await untilModels(['large']);

    const after = await jsonOf(await post(PATH, { ...CHAT, model: 'large' }));
    const gone = await post(PATH, { ...CHAT, model: 'small' });
    assert.equal(before['system_fingerprint'], 'fp_0123456789');
    assert.equal(after['system_fingerprint'], 'fp_fedcba98fe');
    assert.equal(gone.status, 404);
    assert.match((await errorOf(gone)).message, /this server has large/);
  });

  it('answers the request whose model it was picked for', async () => {
    const backbones = [new FakeBackbone(), new FakeBackbone()];
    backbones.forEach((one, i) => {
      one.status.change({ fingerprint: `${i}`.repeat(64) });
      one.script = () => saying(`from ${i}`);
    });
    const { post } = await start({ backbones });

    const answers = await Promise.all(
      Array.from({ length: 8 }, async () => JSON.stringify(await jsonOf(await post(PATH, CHAT)))),
    );

    for (const answer of answers) {
      const [, fingerprint] = /"system_fingerprint":"fp_(\d)/.exec(answer) ?? [];
      assert.match(answer, new RegExp(`from ${fingerprint}`));
    }
    assert(backbones.every(({ starts }) => starts.length > 0));
  });

  it('shares the prompts of one request with the others', async () => {
    const backbones = [new FakeBackbone(), new FakeBackbone()];
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    for (const one of backbones) {
      one.script = async function* () {
        yield accepted();
        await held;
        yield delta({ text: 'a' });
        yield finished();
      };
    }
    const { post } = await start({ backbones });

    const answer = post('/v1/completions', { prompt: ['a', 'b', 'c', 'd'] });
    for (const one of backbones) await one.until('start');
    release();

    assert.equal((await answer).status, 200);
    assert.deepEqual(
      backbones.map(({ starts }) => starts.length),
      [2, 2],
    );
  });

  it('is named by its address in metrics', async () => {
    const backbones = [new FakeBackbone(), new FakeBackbone()];
    for (const one of backbones) one.metrics.register(new Counter('steps', 'Steps.')).add(1);
    const { get } = await start({ backbones });

    const lines = (await (await get('/metrics')).text()).split('\n');

    for (const { address } of backbones) {
      assert(lines.includes(`autoglm:gateway_backbone_ready{address="${address}"} 1`));
      // vLLM gives the one engine of an instance this label.
      assert(lines.includes(`vllm:steps_total{engine="0",address="${address}"} 1`));
    }
  });
});
