import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import type { InstanceOverview, MeshOverview } from '#mesh/overview/mesh-overview.ts';
import { InstanceState } from '#protos/autoglm/mesh/v1/instance.ts';
import { within } from '#test/bounded.ts';
import { FakeBackbone } from '../fake-backbone.ts';
import { CHAT, errorOf, type Harness, type HarnessOptions, startHarness } from '../harness.ts';

const PATH = '/v1/autoglm/mesh';

let harness: Harness;

async function start(options?: HarnessOptions): Promise<Harness> {
  harness = await startHarness(options);
  return harness;
}

async function overview(): Promise<MeshOverview> {
  const response = await harness.get(PATH);
  assert.equal(response.status, 200);
  assert.equal(response.headers.get('cache-control'), 'no-store');
  return (await response.json()) as MeshOverview; // The type of the route, which is tested here.
}

/** Asks until an instance has the wanted state. */
async function untilState(address: string, state: InstanceOverview['state']) {
  const look = async () => {
    for (;;) {
      const { instances } = await overview();
      const found = instances.find((one) => one.address === address);
      if (found?.state === state) return found;
      // Overviews are made anew twice a second.
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  return within(look(), { what: `${address} as ${state}`, trace: () => [] });
}

describe(`GET ${PATH}`, () => {
  afterEach(() => harness.close());

  it('describes the gateway and each process, with its device, load and counters', async () => {
    const { backbone, post } = await start();
    backbone.metrics.counter('generation_tokens', 'Tokens').add(7);
    backbone.metrics.counter('prefix_cache_queries', 'Tokens').add(10);
    backbone.metrics.counter('prefix_cache_hits', 'Tokens').add(4);
    await (await post('/v1/chat/completions', CHAT)).text();

    const { object, gateway, instances, num_omitted } = await overview();

    assert.deepEqual([object, gateway.state, num_omitted], ['mesh', 'ready', 0]);
    assert.deepEqual([gateway.requests_total, gateway.failures_total], [1, 0]);
    assert.equal(gateway.ttft_count, 1);
    const [instance, ...others] = instances;
    assert(instance !== undefined);
    assert.deepEqual(others, []);
    assert.equal(instance.address, backbone.address);
    assert.deepEqual(
      [instance.role, instance.state, instance.device],
      ['llm-backbone', 'ready', 'cpu'],
    );
    assert.equal(instance.model, 'phone-nano');
    assert.equal(instance.load?.capacity, 8);
    assert.deepEqual(instance.counters, {
      prompt_tokens: 0,
      generation_tokens: 7,
      cache_queries: 10,
      cache_hits: 4,
    });
    assert(instance.uptime_ms !== null && instance.uptime_ms > 0);
  });

  it('keeps what it knew of a process that has died', async () => {
    const backbones = [new FakeBackbone(), new FakeBackbone()];
    await start({ backbones });
    await overview();
    const [dead] = backbones;
    assert(dead !== undefined);

    await dead.kill();
    const instance = await untilState(dead.address, 'away');

    assert.deepEqual([instance.model, instance.device], ['phone-nano', 'cpu']);
    assert.deepEqual([instance.load, instance.counters], [null, null]);
    assert.equal((await overview()).gateway.state, 'ready');
  });

  it('shows a process that drains', async () => {
    const backbones = [new FakeBackbone(), new FakeBackbone()];
    await start({ backbones });
    const [leaving] = backbones;
    assert(leaving !== undefined);

    leaving.status.change({
      state: InstanceState.INSTANCE_STATE_DRAINING,
      detail: 'shutting down',
    });
    leaving.health.setServing(false);
    const instance = await untilState(leaving.address, 'draining');

    assert.equal(instance.detail, 'shutting down');
  });

  it('names the encoders that are not heard', async () => {
    await start({ scrape: ['127.0.0.1:1'] });

    const { instances } = await overview();

    const encoder = instances.find(({ address }) => address === '127.0.0.1:1');
    assert.deepEqual([encoder?.role, encoder?.state, encoder?.model], ['encoder', 'away', null]);
  });

  it('waits for no process longer than a second', async () => {
    const { backbone } = await start();
    let release = () => {};
    backbone.metricsHold = new Promise((resolve) => {
      release = resolve;
    });

    const begin = performance.now();
    const { instances } = await overview();
    release();

    assert(performance.now() - begin < 5000);
    assert.deepEqual([instances[0]?.state, instances[0]?.counters], ['ready', null]);
  });

  it('needs a key where requests do', async () => {
    const { get } = await start({ apiKey: 'one' });

    const refused = await get(PATH);
    const taken = await get(PATH, { headers: { authorization: 'Bearer one' } });

    assert.equal(refused.status, 401);
    assert.match((await errorOf(refused)).message, /API key is required/);
    assert.equal(taken.status, 200);
  });
});
