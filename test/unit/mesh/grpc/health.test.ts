import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type CallContext, Metadata } from 'nice-grpc-common';
import { Health } from '#mesh/grpc/health.ts';
import { HealthCheckResponse_ServingStatus as ServingStatus } from '#protos/grpc/health/v1/health.ts';

function contextOf(signal: AbortSignal): CallContext {
  return {
    metadata: Metadata(),
    peer: '',
    header: Metadata(),
    trailer: Metadata(),
    sendHeader: () => {},
    signal,
  };
}

describe('Health', () => {
  it('tells a watcher of a change that came while the answer before was being sent', async () => {
    const health = new Health([]);
    const { signal } = new AbortController();
    const watch = health.implementation.watch({ service: '' }, contextOf(signal));
    const answers = watch[Symbol.asyncIterator]();

    const first = await answers.next();
    health.setServing(true);
    const second = await answers.next();

    assert.deepEqual(first.value, { status: ServingStatus.NOT_SERVING });
    assert.deepEqual(second.value, { status: ServingStatus.SERVING });
  });
});
