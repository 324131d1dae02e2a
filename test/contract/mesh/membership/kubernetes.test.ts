import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { systemClock } from '#mesh/async/clock.ts';
import { podAccess } from '#mesh/membership/kubernetes-api.ts';
import { kubernetesMembership } from '#mesh/membership/kubernetes-membership.ts';
import { skipWithoutOpenssl } from '#test/certificate.ts';
import { memoryLog } from '#test/memory-log.ts';
import { refusal } from '#test/refusal.ts';
import { FakeKubernetes, listOf, sliceOf } from './fake-kubernetes.ts';
import { follow } from './followed.ts';

const REGISTRY = { kind: 'kubernetes', namespace: 'phones', service: 'autoglm-{role}' } as const;

/** Follows the llm-backbones of a scripted cluster, whose list has an endpoint. */
async function start(test: TestContext) {
  const kubernetes = await FakeKubernetes.start(test);
  kubernetes.list = { body: listOf('7', [sliceOf('a', ['10.0.0.1'])]) };
  const { log, lines } = memoryLog();
  const parts = { log, clock: systemClock, access: kubernetes.access };
  const view = follow(test, kubernetesMembership(REGISTRY, 'llm-backbone', parts));
  await view.until(['10.0.0.1:8051']);
  return { kubernetes, view, lines };
}

/** Resolves when the server has received so many requests. */
async function received({ requests }: FakeKubernetes, count: number): Promise<void> {
  while (requests.length < count) await new Promise((resolve) => setTimeout(resolve, 5));
}

describe('kubernetesMembership', { skip: skipWithoutOpenssl, timeout: 60_000 }, () => {
  it('lists the slices of the role and watches from that version', async (test) => {
    const { kubernetes, view } = await start(test);
    await received(kubernetes, 2);

    kubernetes.send('ADDED', sliceOf('b', ['10.0.0.2'], '8'));
    await view.until(['10.0.0.1:8051', '10.0.0.2:8051']);
    kubernetes.send('MODIFIED', sliceOf('a', ['10.0.0.3'], '9'));
    await view.until(['10.0.0.2:8051', '10.0.0.3:8051']);
    kubernetes.send('DELETED', sliceOf('b', [], '10'));
    await view.until(['10.0.0.3:8051']);

    const path = '/apis/discovery.k8s.io/v1/namespaces/phones/endpointslices';
    const query = 'labelSelector=kubernetes.io/service-name=autoglm-llm-backbone';
    assert.equal(kubernetes.requests[0], `${path}?${query}`);
    assert.match(kubernetes.requests[1] ?? '', /watch=1&allowWatchBookmarks=true.*Version=7$/);
  });

  it('says that an endpoint that terminates leaves', async (test) => {
    const { kubernetes, view } = await start(test);
    await received(kubernetes, 2);
    const conditions = { ready: false, serving: true, terminating: true };
    const slice = { ...sliceOf('a', []), endpoints: [{ addresses: ['10.0.0.1'], conditions }] };

    kubernetes.send('MODIFIED', slice);
    kubernetes.send('ADDED', sliceOf('b', ['10.0.0.2'], '8'));
    await view.until(['10.0.0.1:8051', '10.0.0.2:8051']);

    assert.deepEqual(
      view.lists.at(-1)?.map(({ isLeaving }) => isLeaving),
      [true, false],
    );
  });

  it('watches on from the last bookmark when a watch ends', async (test) => {
    const { kubernetes, view } = await start(test);
    await received(kubernetes, 2);

    kubernetes.send('BOOKMARK', { metadata: { resourceVersion: '40' } });
    kubernetes.endWatch();
    await received(kubernetes, 3);
    kubernetes.send('ADDED', sliceOf('b', ['10.0.0.2'], '41'));
    await view.until(['10.0.0.1:8051', '10.0.0.2:8051']);

    assert.match(kubernetes.requests[2] ?? '', /watch=1.*resourceVersion=40$/);
  });

  for (const how of ['answered', 'sent']) {
    it(`lists again when 410 Gone is ${how}`, async (test) => {
      const { kubernetes, view } = await start(test);
      await received(kubernetes, 2);
      kubernetes.list = { body: listOf('90', [sliceOf('c', ['10.0.0.9'])]) };

      if (how === 'answered') {
        kubernetes.refusals.push(410);
        kubernetes.endWatch();
      } else kubernetes.send('ERROR', { kind: 'Status', code: 410 });
      await view.until(['10.0.0.9:8051']);
      await received(kubernetes, how === 'answered' ? 5 : 4);

      assert.match(kubernetes.requests.at(-1) ?? '', /resourceVersion=90$/);
    });
  }

  it('keeps its list while the server is cut off, and follows it again after', async (test) => {
    const { kubernetes, view, lines } = await start(test);
    await received(kubernetes, 2);

    kubernetes.refusals.push(503, 503);
    kubernetes.cut();
    await received(kubernetes, 5);
    const numLists = view.lists.length;
    kubernetes.send('ADDED', sliceOf('b', ['10.0.0.2'], '8'));
    await view.until(['10.0.0.1:8051', '10.0.0.2:8051']);

    assert.equal(numLists, 1);
    const said = lines.map(({ msg }) => msg);
    assert(said.some((msg) => /endpoints of autoglm-llm-backbone cannot be followed/.test(msg)));
    assert(said.some((msg) => /are up to date/.test(msg)));
  });

  it('reads the renewed token for the next call', async (test) => {
    const { kubernetes } = await start(test);
    await received(kubernetes, 2);

    await kubernetes.renewToken('second');
    kubernetes.endWatch();
    await received(kubernetes, 3);

    assert.deepEqual(kubernetes.tokens, ['Bearer first', 'Bearer first', 'Bearer second']);
  });

  it('says which permission a refused account lacks', async (test) => {
    const kubernetes = await FakeKubernetes.start(test);
    kubernetes.list = { status: 403 };
    const { log, lines } = memoryLog();
    const parts = { log, clock: systemClock, access: kubernetes.access };
    follow(test, kubernetesMembership(REGISTRY, 'llm-backbone', parts));

    await received(kubernetes, 2);

    assert.match(lines[0]?.msg ?? '', /answered 403 .*needs list and watch of endpointslices/);
  });
});

describe('podAccess', () => {
  it('refuses a process outside a pod, naming the key', () => {
    assert.throws(() => podAccess({}), refusal('INVALID_REQUEST', /key "registry"/, 'registry'));
  });
});
