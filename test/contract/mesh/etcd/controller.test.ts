import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { readCensus, standForController } from '#mesh/membership/controller.ts';
import { parseRegistry } from '#mesh/registry-url.ts';
import { within } from '#test/bounded.ts';
import { memoryLog } from '#test/memory-log.ts';
import { clientOf } from './harness.ts';
import { registryAt, skipWithoutEtcd, startEtcd } from './real-etcd.ts';

const { signal } = new AbortController();

/** Starts a candidate; returns its log and its end. */
function stand(test: TestContext, registry: string, candidate: string) {
  const { log, lines } = memoryLog();
  const candidacy = standForController(registry, { log, candidate });
  let closing: Promise<void> | undefined;
  const close = () => {
    closing ??= candidacy.close();
    return closing;
  };
  test.after(close);
  const warnings = () => lines.map(({ msg }) => msg).filter((msg) => /differ|equal/.test(msg));
  return { warnings, close };
}

describe('the controller', { skip: skipWithoutEtcd, timeout: 120_000 }, () => {
  it('keeps the census of models, which its successor goes on with', async (test) => {
    const [etcd] = await startEtcd(test);
    assert(etcd !== undefined);
    const registry = registryAt([etcd.address]);
    const client = clientOf(test, registry);
    const lease = await client.grantLease(600, signal);
    const register = (name: string, fingerprint: string) => {
      const facts = { address: '127.0.0.1:1', models: ['m'], fingerprint, version: '1' };
      const value = JSON.stringify({ ...facts, device: 'cpu', zone: '', weight: 1 });
      return client.put({ key: `/autoglm/instances/llm-backbone/${name}`, value, lease }, signal);
    };
    const untilKinds = async (count: number) => {
      const address = parseRegistry(registry);
      assert(address.kind === 'etcd');
      const look = async () => {
        for (;;) {
          const { m = [] } = await readCensus(address, signal);
          if (m.length === count) return;
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      };
      await within(look(), { what: `${count} kinds of replicas` });
    };
    await register('one', 'a');
    const first = stand(test, registry, 'first');
    await untilKinds(1);
    await register('two', 'b');
    await untilKinds(2);
    const second = stand(test, registry, 'second');

    await first.close();
    await client.delete('/autoglm/instances/llm-backbone/two', signal);
    await untilKinds(1);

    assert.equal(first.warnings().length, 1);
    assert.match(
      first.warnings()[0] ?? '',
      /"m" differ: version 1, weights a; version 1, weights b/,
    );
    // It was told of the difference by what the first has kept.
    assert.deepEqual(second.warnings(), [
      'replicas of the model "m" are equal again: version 1, weights a',
    ]);
  });
});
