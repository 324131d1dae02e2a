import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type CallContext, Metadata } from 'nice-grpc-common';
import { MetricRegistry } from '#mesh/metrics.ts';
import { HEARTBEAT_INTERVAL_MS } from '#mesh/peers/heartbeat.ts';
import { createInstanceService } from '#mesh/process/instance.ts';
import { StatusBroadcast } from '#mesh/process/status-broadcast.ts';
import { InstanceState, WatchResponse } from '#protos/autoglm/mesh/v1/instance.ts';
import { FakeClock } from '#test/fake-clock.ts';
import { IDLE, statusOf } from '#test/scripted-instance.ts';

function contextOf(signal: AbortSignal): CallContext {
  const [metadata, header, trailer] = [Metadata(), Metadata(), Metadata()];
  return { metadata, peer: '', header, trailer, sendHeader: () => {}, signal };
}

/** Resolves when all work that is due has run. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Starts a watcher of a process whose time a test moves. */
function startWatch() {
  const load = { ...IDLE };
  const status = statusOf({}, { load });
  const clock = new FakeClock();
  const abort = new AbortController();
  const service = createInstanceService(status, new MetricRegistry(), clock);
  const stream = service.watch({}, contextOf(abort.signal));
  const messages = stream[Symbol.asyncIterator]();
  const next = async () => {
    const { done, value } = await messages.next();
    return done === true ? undefined : value;
  };
  return { status, load, clock, abort, next };
}

describe('InstanceService.Watch', () => {
  it('tells everything at once', async () => {
    const { next } = startWatch();

    const facts = await next();

    assert.equal(facts?.role, 'llm-backbone');
    assert.equal(facts.state, InstanceState.INSTANCE_STATE_READY);
    assert.deepEqual(facts.servedNames, ['tiny']);
    assert.equal(facts.numerics?.isa, 'reference');
    assert.deepEqual(facts.load, IDLE);
    assert.match(facts.instanceName ?? '', /-[0-9a-f]{8}$/);
  });

  it('tells of a change at once', async () => {
    const { status, next } = startWatch();
    await next();

    const second = next();
    status.change({ state: InstanceState.INSTANCE_STATE_DRAINING, detail: 'leaving' });

    const facts = await second;
    assert.equal(facts?.state, InstanceState.INSTANCE_STATE_DRAINING);
    assert.equal(facts.detail, 'leaving');
  });

  it('beats before a second has passed if nothing changes', async () => {
    const { clock, next } = startWatch();
    await next();
    let hasCome = false;

    const second = next().finally(() => {
      hasCome = true;
    });
    await settled();
    clock.advance(HEARTBEAT_INTERVAL_MS - 101);
    await settled();
    assert.equal(hasCome, false);
    clock.advance(1);

    assert.deepEqual(await second, WatchResponse.create({ loadOnly: true, load: IDLE }));
    assert.equal(HEARTBEAT_INTERVAL_MS, 1000);
  });

  it('tells of a change of the load alone, at most every 100 ms', async () => {
    const { clock, next, load } = startWatch();
    await next();

    const second = next();
    await settled();
    clock.advance(50);
    load.numRunning = 1;
    load.numRunning = 2;
    clock.advance(50);

    assert.deepEqual(
      await second,
      WatchResponse.create({ loadOnly: true, load: { ...IDLE, numRunning: 2 } }),
    );
  });

  it('tells of the load in turn if many watch, and of facts at once', async () => {
    const load = { ...IDLE };
    const status = statusOf({}, { load });
    const clock = new FakeClock();
    const broadcast = new StatusBroadcast(status, clock);
    const { signal } = new AbortController();
    const counts = Array.from({ length: 150 }, () => ({ loads: 0, facts: 0 }));
    for (const count of counts) {
      void (async () => {
        for await (const { loadOnly } of broadcast.watch(signal)) {
          count[loadOnly ? 'loads' : 'facts'] += 1;
        }
      })();
    }
    await settled();

    load.numRunning = 1;
    clock.advance(100);
    await settled();
    const first = counts.filter(({ loads }) => loads === 1).length;
    clock.advance(100);
    await settled();
    const second = counts.filter(({ loads }) => loads === 1).length;
    status.change({ detail: 'new' });
    await settled();

    assert.deepEqual([first, second], [100, 150]);
    assert(counts.every(({ facts, loads }) => facts === 2 && loads === 1));
  });

  it('joins the messages that a slow watcher has not read', async () => {
    const { status, load, clock, next } = startWatch();
    status.change({ detail: 'new' });
    load.numRunning = 3;
    clock.advance(100);

    const message = await next();

    assert.equal(message?.loadOnly, false);
    assert.equal(message.detail, 'new');
    assert.equal(message.load?.numRunning, 3);
  });

  it('ends with the call', async () => {
    const { abort, next, clock } = startWatch();
    await next();

    const second = next();
    abort.abort();

    assert.equal(await second, undefined);
    assert.equal(clock.numTimers, 0);
  });
});
