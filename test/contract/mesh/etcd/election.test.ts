import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { systemClock } from '#mesh/async/clock.ts';
import { Election, type Term } from '#mesh/membership/election.ts';
import { parseRegistry } from '#mesh/registry-url.ts';
import type { RequestOp } from '#protos/etcd/api/etcdserverpb/rpc.ts';
import { within } from '#test/bounded.ts';
import { PASS } from '#test/chaos/link-fault.ts';
import { memoryLog } from '#test/memory-log.ts';
import { clientOf, proxyTo } from './harness.ts';
import { registryAt, skipWithoutEtcd, startEtcd } from './real-etcd.ts';

const { signal } = new AbortController();

/** A process that stands for a role, with the terms that it has had. */
function stand(test: TestContext, registryText: string, candidate: string) {
  const registry = parseRegistry(registryText);
  assert(registry.kind === 'etcd');
  const terms: Term[] = [];
  let wake = () => {};
  const hold = async (term: Term) => {
    terms.push(term);
    wake();
    await new Promise<void>((resolve) => term.signal.addEventListener('abort', () => resolve()));
  };
  const { log } = memoryLog();
  const parts = { registry, role: 'controller', candidate, hold, log, clock: systemClock };
  const election = new Election(parts);
  let closing: Promise<void> | undefined;
  const close = () => {
    closing ??= election.close();
    return closing;
  };
  test.after(close);
  const next = async (count: number) => {
    while (terms.length < count) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    const term = terms[count - 1];
    assert(term !== undefined);
    return term;
  };
  const term = (count = 1) => within(next(count), { what: `term ${count} of ${candidate}` });
  return { election, terms, term, close };
}

/** Processes that lose the role as soon as they have it: few are slow enough to see only the loss. */
const NUM_RACES = 20;

/** A change that notes a text. */
function noteOf(text: string): RequestOp {
  const value = { key: Buffer.from('/autoglm/note'), value: Buffer.from(text), lease: 0n };
  return { request: { $case: 'requestPut', value } };
}

describe('Election', { skip: skipWithoutEtcd, timeout: 120_000 }, () => {
  it('gives the role to one process, and to the next when it ends', async (test) => {
    const [etcd] = await startEtcd(test);
    assert(etcd !== undefined);
    const registry = registryAt([etcd.address]);
    const one = stand(test, registry, 'one');
    const first = await one.term();
    const two = stand(test, registry, 'two');
    await first.change([noteOf('by one')]);

    const before = two.terms.length;
    await one.close();
    const second = await two.term();
    const { keys } = await clientOf(test, registry).list('/autoglm/note', signal);

    assert.equal(before, 0);
    assert.equal(first.signal.aborted, true);
    assert(second.revision > first.revision);
    // What the first did outlives it.
    assert.equal(keys[0]?.value.toString(), 'by one');
  });

  it('ends the term of a holder that is cut off before another begins, and fences it', async (test) => {
    const [etcd] = await startEtcd(test);
    assert(etcd !== undefined);
    const proxy = await proxyTo(test, etcd.address);
    const one = stand(test, registryAt([proxy.address]), 'one');
    const first = await one.term();
    const two = stand(test, registryAt([etcd.address]), 'two');

    await proxy.set({ kind: 'hold' });
    const second = await two.term();
    const isOver = first.signal.aborted;
    await second.change([noteOf('by two')]);
    await proxy.set(PASS);

    assert.equal(isOver, true);
    await assert.rejects(first.change([noteOf('by one')]));
  });

  it('ends the term of a holder whose key is gone, and refuses its changes', async (test) => {
    const [etcd] = await startEtcd(test);
    assert(etcd !== undefined);
    const registry = registryAt([etcd.address]);
    const one = stand(test, registry, 'one');
    const term = await one.term();

    await clientOf(test, registry).delete('/autoglm/roles/controller', signal);

    await assert.rejects(term.change([noteOf('late')]));
    const second = await one.term(2);

    assert.equal(term.signal.aborted, true);
    assert(second.revision > term.revision);
  });

  it('ends a term whose key goes before the view has seen it', async (test) => {
    const [etcd] = await startEtcd(test);
    assert(etcd !== undefined);
    const registry = registryAt([etcd.address]);
    const client = clientOf(test, registry);
    await client.list('/autoglm', signal);

    // The first watch of a process is opened while it takes the role.
    for (let i = 0; i < NUM_RACES; i += 1) {
      const one = stand(test, registry, `one of race ${i}`);
      await one.term();
      await client.delete('/autoglm/roles/controller', signal);
      await one.term(2);
      await one.close();
    }
  });
});
