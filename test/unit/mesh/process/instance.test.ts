import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type CallContext, Metadata } from 'nice-grpc-common';
import { MetricRegistry } from '#mesh/metrics.ts';
import { HEARTBEAT_INTERVAL_MS } from '#mesh/peers/heartbeat.ts';
import { createInstanceService } from '#mesh/process/instance.ts';
import { InstanceState } from '#protos/autoglm/mesh/v1/instance.ts';
import { FakeClock } from '#test/fake-clock.ts';
import { statusOf } from '#test/scripted-instance.ts';

function contextOf(signal: AbortSignal): CallContext {
  const [metadata, header, trailer] = [Metadata(), Metadata(), Metadata()];
  return { metadata, peer: '', header, trailer, sendHeader: () => {}, signal };
}

/** Starts a watcher of a process whose time a test moves. */
function startWatch() {
  const status = statusOf();
  const clock = new FakeClock();
  const abort = new AbortController();
  const service = createInstanceService(status, new MetricRegistry(), clock);
  const stream = service.watch({}, contextOf(abort.signal));
  const messages = stream[Symbol.asyncIterator]();
  const next = async () => {
    const { done, value } = await messages.next();
    return done === true ? undefined : value;
  };
  return { status, clock, abort, next };
}

describe('InstanceService.Watch', () => {
  it('tells everything at once', async () => {
    const { next } = startWatch();

    const facts = await next();

    assert.equal(facts?.role, 'llm-backbone');
    assert.equal(facts.state, InstanceState.INSTANCE_STATE_READY);
    assert.deepEqual(facts.servedNames, ['tiny']);
    assert.equal(facts.numerics?.isa, 'reference');
    assert.deepEqual(facts.load, { numRunning: 0, numWaiting: 0, capacity: 8 });
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

  it('repeats itself once a second if nothing changes', async () => {
    const { clock, next } = startWatch();
    const first = await next();
    let hasCome = false;

    const second = next().finally(() => {
      hasCome = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    clock.advance(HEARTBEAT_INTERVAL_MS - 1);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(hasCome, false);
    clock.advance(1);

    assert.deepEqual(await second, first);
    assert.equal(HEARTBEAT_INTERVAL_MS, 1000);
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
