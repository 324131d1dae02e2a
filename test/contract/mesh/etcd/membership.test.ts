import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { clientOf, follow, KEYS, putter, recordOf } from './harness.ts';
import { createEtcd, registryAt, skipWithoutEtcd, startEtcd } from './real-etcd.ts';

const { signal } = new AbortController();

/** Starts an etcd; returns its registry with a function that writes keys. */
async function start(test: TestContext) {
  const [etcd] = await startEtcd(test);
  assert(etcd !== undefined);
  const registry = registryAt([etcd.address]);
  return { etcd, registry, put: putter(test, registry) };
}

describe('openMembership of etcd', { skip: skipWithoutEtcd, timeout: 120_000 }, () => {
  it('yields who is registered, and every change', async (test) => {
    const { registry, put } = await start(test);
    const client = clientOf(test, registry);
    await put('one', recordOf('a:1', { zone: 'north', weight: 2 }));
    const other = { key: '/autoglm/instances/vision-encoder/x', value: recordOf('v:1'), lease: 0n };
    await client.put(other, signal);

    const view = follow(test, registry);
    await view.until(['a:1']);
    await put('two', recordOf('b:1'));
    await view.until(['a:1', 'b:1']);
    await client.delete(`${KEYS}/one`, signal);
    await view.until(['b:1']);

    const first = { address: 'a:1', zone: 'north', weight: 2, isLeaving: false };
    assert.deepEqual(view.lists[0], [first]);
  });

  it('skips what is no process of the mesh and names it once', async (test) => {
    const { registry, put } = await start(test);
    await put('foreign', 'hello');
    await put('no-port', recordOf('host'));
    await put('light', recordOf('c:1', { weight: -1 }));

    const view = follow(test, registry);
    await view.until([]);
    await put('good', recordOf('a:1'));
    await view.until(['a:1']);

    const said = view.lines.map(({ msg }) => msg).filter((msg) => msg.includes('is skipped'));
    assert.equal(said.length, 3);
    assert(said.some((msg) => /foreign" is not a process .* it is not JSON/.test(msg)));
    assert(said.some((msg) => /no-port".*host:port/.test(msg)));
    assert(said.some((msg) => /light".*weight/.test(msg)));
  });

  it('asks the newer of two processes at one address, and says so once', async (test) => {
    const { registry, put } = await start(test);
    await put('z-older', recordOf('a:1', { zone: 'old' }));
    await put('a-newer', recordOf('a:1', { zone: 'new' }));

    const view = follow(test, registry);
    await view.until(['a:1']);
    await put('third', recordOf('b:1'));
    await view.until(['a:1', 'b:1']);

    const zones = view.lists.at(-1)?.map(({ zone }) => zone);
    const said = view.lines.filter(({ msg }) =>
      msg.includes('two processes are registered at a:1'),
    );
    assert.deepEqual(zones, ['new', '']);
    assert.equal(said.length, 1);
    assert.match(said[0]?.msg ?? '', /z-older/);
  });

  it('says that etcd is not there yet, and goes on when it comes', async (test) => {
    const [etcd] = await createEtcd(test);
    assert(etcd !== undefined);
    const registry = registryAt([etcd.address]);
    const view = follow(test, registry);
    await view.logged(/etcd at .* cannot be followed.*not known yet.*ECONNREFUSED/);
    assert.equal(view.addresses(), undefined);

    await etcd.start();
    await view.until([]);
    await putter(test, registry)('one', recordOf('a:1'));
    await view.until(['a:1']);

    await view.logged(/etcd at .* is there/);
  });

  it('keeps its list while etcd is away, and is up to date soon after it is back', async (test) => {
    const { etcd, registry, put } = await start(test);
    await put('one', recordOf('a:1'));
    const view = follow(test, registry);
    await view.until(['a:1']);

    await etcd.kill();
    await view.logged(/cannot be followed: .* stays as it was/);
    const kept = view.addresses();
    await etcd.start();
    const backAtMs = Date.now();
    await putter(test, registry)('two', recordOf('b:1'));
    await view.until(['a:1', 'b:1'], 2000);

    assert.deepEqual(kept, ['a:1']);
    test.diagnostic(`up to date ${Date.now() - backAtMs} ms after etcd was back`);
  });
});
