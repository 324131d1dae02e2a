import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { VERSION } from '#mesh/process/instance.ts';
import { InstanceState } from '#protos/autoglm/mesh/v1/instance.ts';
import { PASS } from '#test/chaos/link-fault.ts';
import { samplesOf } from '#test/metric-samples.ts';
import { clientOf, follow, KEYS, logged, proxyTo, register, restart } from './harness.ts';
import { createEtcd, registryAt, skipWithoutEtcd, startEtcd } from './real-etcd.ts';

const { signal } = new AbortController();

/** Milliseconds after which a process that died is in no list: its lease, and a second. */
const GHOST_MS = 4000;

/** Milliseconds within which a process looks for its entry and writes it again. */
const LOOK_MS = 7000;

describe('announceStatus', { skip: skipWithoutEtcd, timeout: 120_000 }, () => {
  it('registers a process when it is ready, with what others need to know', async (test) => {
    const [etcd] = await startEtcd(test);
    assert(etcd !== undefined);
    const registry = registryAt([etcd.address]);
    const view = follow(test, registry);
    const { status } = register(test, registry, 'a:1');

    await view.until(['a:1']);
    status.change({ servedNames: ['tiny', 'small'] });
    const { keys } = await clientOf(test, registry).list(KEYS, signal);

    assert.equal(view.lists.at(-1)?.[0]?.weight, 2);
    assert.equal(view.lists.at(-1)?.[0]?.zone, 'north');
    const record: object = JSON.parse(keys[0]?.value.toString() ?? '');
    assert.deepEqual(Object.keys(record).sort(), [
      'address',
      'device',
      'fingerprint',
      'models',
      'version',
      'weight',
      'zone',
    ]);
    assert.equal(Reflect.get(record, 'version'), VERSION);
    assert.equal(Reflect.get(record, 'fingerprint'), 'a1');
  });

  for (const { end, state } of [
    { end: 'drains', state: InstanceState.INSTANCE_STATE_DRAINING },
    { end: 'fails', state: InstanceState.INSTANCE_STATE_FAILED },
  ]) {
    it(`withdraws a process at once when it ${end}`, async (test) => {
      const [etcd] = await startEtcd(test);
      assert(etcd !== undefined);
      const registry = registryAt([etcd.address]);
      const view = follow(test, registry);
      const { status } = register(test, registry, 'a:1');
      await view.until(['a:1']);

      status.change({ state });

      await view.until([], 500);
    });
  }

  it('waits for an etcd that is not there yet', async (test) => {
    const [etcd] = await createEtcd(test);
    assert(etcd !== undefined);
    const registry = registryAt([etcd.address]);
    const { lines } = register(test, registry, 'a:1');
    await logged(lines, /gives no lease.*ECONNREFUSED/);

    await etcd.start();

    await follow(test, registry).until(['a:1']);
  });

  it('is registered again soon after somebody has deleted its entry alone', async (test) => {
    const [etcd] = await startEtcd(test);
    assert(etcd !== undefined);
    const registry = registryAt([etcd.address]);
    const view = follow(test, registry);
    const { lines } = register(test, registry, 'a:1');
    await view.until(['a:1']);
    const client = clientOf(test, registry);
    const { keys } = await client.list(KEYS, signal);

    await client.delete(keys[0]?.key.toString() ?? '', signal);
    await view.until([]);

    await view.until(['a:1'], LOOK_MS);
    await logged(lines, /was deleted from/);
  });

  it('leaves the lists within its lease and a second when it is cut off, and comes back', async (test) => {
    const [etcd] = await startEtcd(test);
    assert(etcd !== undefined);
    const proxy = await proxyTo(test, etcd.address);
    const view = follow(test, registryAt([etcd.address]));
    const { lines, metrics } = register(test, registryAt([proxy.address]), 'a:1');
    const leaseHeld = () => samplesOf(metrics, 'registry_lease_held')[0]?.value;
    await view.until(['a:1']);
    const before = leaseHeld();

    const cutAtMs = Date.now();
    await proxy.set({ kind: 'hold' });
    await view.until([], GHOST_MS);
    const goneMs = Date.now() - cutAtMs;
    await logged(lines, /has lost its lease/);
    const meanwhile = leaseHeld();
    await proxy.set(PASS);
    await view.until(['a:1'], 2000);

    assert.deepEqual([before, meanwhile, leaseHeld()], [1, 0, 1]);

    test.diagnostic(`gone after ${goneMs} ms`);
  });

  it('is listed again after etcd was killed and restarted, and never drops out', async (test) => {
    const [etcd] = await startEtcd(test);
    assert(etcd !== undefined);
    const registry = registryAt([etcd.address]);
    const view = follow(test, registry);
    const { lines } = register(test, registry, 'a:1');
    await view.until(['a:1']);

    await restart(etcd, { lines, view });
    await view.until(['a:1']);

    const lists = view.lists.slice(1).map((list) => list.map(({ address }) => address).join());
    assert.deepEqual(new Set(lists), new Set(['a:1']));
  });
});
