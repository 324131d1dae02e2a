import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PASS } from '#test/chaos/link-fault.ts';
import { clientOf, follow, logged, proxyTo, putter, recordOf, register } from './harness.ts';
import { registryAt, skipWithoutEtcd, startEtcd } from './real-etcd.ts';

const { signal } = new AbortController();

describe('a registry in trouble', { skip: skipWithoutEtcd, timeout: 240_000 }, () => {
  it('loses nobody when the leader of its three members is killed', async (test) => {
    const members = await startEtcd(test, { numMembers: 3 });
    const registry = registryAt(members.map(({ address }) => address));
    const view = follow(test, registry);
    register(test, registry, 'a:1');
    const put = putter(test, registry);
    await view.until(['a:1']);

    const leader = await leaderOf(members.map(({ address }) => address));
    await members[leader]?.kill();
    const killedAtMs = Date.now();
    for (let isPut = false; !isPut; ) {
      isPut = await put('b', recordOf('b:1')).then(
        () => true,
        () => new Promise((resolve) => setTimeout(() => resolve(false), 50)),
      );
    }
    const putAtMs = Date.now();
    await view.until(['a:1', 'b:1'], 2000);

    const seen = new Set(
      view.lists.slice(1).map((list) => list.some(({ address }) => address === 'a:1')),
    );
    assert.deepEqual(seen, new Set([true]));
    test.diagnostic(
      `a new leader after ${putAtMs - killedAtMs} ms, seen ${Date.now() - putAtMs} ms later`,
    );
  });

  it('is followed on through a compaction', async (test) => {
    const [etcd] = await startEtcd(test);
    assert(etcd !== undefined);
    const proxy = await proxyTo(test, etcd.address);
    const direct = registryAt([etcd.address]);
    const [client, put] = [clientOf(test, direct), putter(test, direct)];
    await put('a', recordOf('a:1'));
    const view = follow(test, registryAt([proxy.address]));
    await view.until(['a:1']);

    await proxy.set({ kind: 'hold' });
    await put('b', recordOf('b:1'));
    await put('b', recordOf('b:2'));
    const { revision } = await client.list('/autoglm/', signal);
    await client.call(({ kv }, call) => kv.compact({ revision, physical: true }, call), signal);
    await view.logged(/stays as it was/);
    await proxy.set(PASS);
    await view.until(['a:1', 'b:2'], 2000);
    await put('c', recordOf('c:1'));
    await view.until(['a:1', 'b:2', 'c:1'], 2000);
  });

  it('is up to date within 2 s after a partition, and lost nobody meanwhile', async (test) => {
    const [etcd] = await startEtcd(test);
    assert(etcd !== undefined);
    const proxy = await proxyTo(test, etcd.address);
    const [near, far] = [registryAt([etcd.address]), registryAt([proxy.address])];
    const put = putter(test, near);
    const view = follow(test, far);
    const { lines } = register(test, far, 'a:1');
    await view.until(['a:1']);

    // The lease ends meanwhile, and the process does as well as the watcher know nothing of it.
    await proxy.set({ kind: 'hold' });
    await view.logged(/stays as it was/);
    await logged(lines, /has lost its lease/);
    await follow(test, near).until([]);
    const kept = view.lists.at(-1)?.map(({ address }) => address);
    await put('b', recordOf('b:1'));
    const healedAtMs = Date.now();
    await proxy.set(PASS);
    await view.until(['a:1', 'b:1'], 2000);
    const upToDateMs = Date.now() - healedAtMs;
    await logged(lines, /is there/);

    assert.deepEqual(kept, ['a:1']);
    const seen = new Set(
      view.lists.slice(1).map((list) => list.some(({ address }) => address === 'a:1')),
    );
    assert.deepEqual(seen, new Set([true]));
    test.diagnostic(`up to date ${upToDateMs} ms after the partition`);
  });

  it('drops who died during a partition soon after it', async (test) => {
    const [etcd] = await startEtcd(test);
    assert(etcd !== undefined);
    const proxy = await proxyTo(test, etcd.address);
    const near = registryAt([etcd.address]);
    const [client, put] = [clientOf(test, near), putter(test, near)];
    await put('a', recordOf('a:1'));
    const view = follow(test, registryAt([proxy.address]));
    await view.until(['a:1']);

    await proxy.set({ kind: 'hold' });
    await view.logged(/stays as it was/);
    await client.delete('/autoglm/instances/llm-backbone/a', signal);
    await proxy.set(PASS);

    await view.until([], 3000);
  });
});

interface MemberStatus {
  readonly leader: string;
  readonly header: { readonly member_id: string };
}

/** Returns the index of the member that leads. */
async function leaderOf(addresses: readonly string[]): Promise<number> {
  const statuses = await Promise.all(
    addresses.map(async (address) => {
      const url = `http://${address}/v3/maintenance/status`;
      const response = await fetch(url, { method: 'POST', body: '{}' });
      const status: MemberStatus = JSON.parse(await response.text());
      return status;
    }),
  );
  return statuses.findIndex(({ leader, header }) => leader === header.member_id);
}
