import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { follow, KEYS, recordOf } from './harness.ts';
import { registryAt } from './real-etcd.ts';
import { startScriptedEtcd } from './scripted-etcd.ts';

/** Follows the llm-backbones of a scripted etcd that lists one. */
async function start(test: TestContext) {
  const etcd = await startScriptedEtcd(test);
  etcd.keys.set(`${KEYS}/a`, recordOf('a:1'));
  etcd.revision = 7n;
  const view = follow(test, registryAt([etcd.address]));
  await view.until(['a:1']);
  while (etcd.watchedFrom.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  /** Puts another key into the list, of which no watch tells. */
  const list = (name: string, address: string, revision: bigint) => {
    etcd.keys.set(`${KEYS}/${name}`, recordOf(address));
    etcd.revision = revision;
  };
  return { etcd, view, list };
}

describe('a membership of etcd', { timeout: 60_000 }, () => {
  it('watches from the revision after its list', async (test) => {
    const { etcd, view } = await start(test);
    const kv = { key: Buffer.from(`${KEYS}/b`), value: Buffer.from(recordOf('b:1')) };

    etcd.send({
      header: { revision: 8n },
      events: [{ type: 0, kv: { ...kv, createRevision: 8n } }],
    });
    await view.until(['a:1', 'b:1']);

    assert.deepEqual(etcd.watchedFrom, [8n]);
  });

  it('lists anew when the revision it watches from is compacted', async (test) => {
    const { etcd, view, list } = await start(test);
    list('b', 'b:1', 20n);

    etcd.send({ canceled: true, compactRevision: 15n });
    await view.until(['a:1', 'b:1']);
    await view.logged(/is read anew/);
    while (etcd.watchedFrom.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));

    assert.deepEqual(etcd.watchedFrom, [8n, 21n]);
  });

  it('lists anew when its watch is cancelled, and says why', async (test) => {
    const { etcd, view, list } = await start(test);
    list('b', 'b:1', 20n);

    etcd.send({ canceled: true, cancelReason: 'etcdserver: no leader' });
    await view.until(['a:1', 'b:1']);

    await view.logged(/stays as it was \(etcd has ended a watch: etcdserver: no leader\)/);
  });

  it('lists anew when its watch says nothing for 3 s, not even that it is there', async (test) => {
    const { view, list } = await start(test);
    list('b', 'b:1', 20n);

    await view.until(['a:1', 'b:1']);

    await view.logged(/was silent for 3 s/);
  });
});
