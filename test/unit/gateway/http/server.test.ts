import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { pino } from 'pino';
import { ApiKeys } from '#gateway/http/auth.ts';
import { BodyMemory } from '#gateway/http/body/body-memory.ts';
import { ClientAddresses } from '#gateway/http/client-address.ts';
import { Connections } from '#gateway/http/connections.ts';
import { HttpMetrics } from '#gateway/http/http-metrics.ts';
import { InFlight } from '#gateway/http/in-flight.ts';
import { createServer } from '#gateway/http/server.ts';
import { RequestHistory } from '#gateway/requests/request-history.ts';
import { RequestObserver } from '#gateway/requests/request-observer.ts';
import { MetricRegistry } from '#mesh/metrics.ts';
import { createSampler } from '#mesh/trace/sampler.ts';
import { FakeClock } from '#test/fake-clock.ts';

/** Creates a server whose only route throws an unexpected error; keeps the lines of its log. */
function createFailingServer() {
  const lines: string[] = [];
  const log = pino({ level: 'debug' }, { write: (line: string) => lines.push(line) });
  const clock = new FakeClock();
  const memory = new BodyMemory({
    maxBytes: 1000,
    maxUnfinishedBytes: 1000,
    clock,
    clientOf: () => '',
  });
  const addresses = new ClientAddresses([]);
  const connections = new Connections(
    { maxConnections: 10, maxPerAddress: 10 },
    { addresses, log, clock },
  );
  const { app } = createServer({
    routes: [
      {
        method: 'POST',
        path: '/fail',
        handle: async () => {
          throw new TypeError('secret detail');
        },
      },
    ],
    apiKeys: new ApiKeys(undefined),
    metrics: new HttpMetrics(new MetricRegistry()),
    observer: new RequestObserver({
      history: new RequestHistory({ maxEnded: 10, maxBytes: 100_000 }),
      tracing: undefined,
      sampler: createSampler({}, {}),
      slowMs: 1000,
    }),
    log,
    bodies: {
      receive: { maxBytes: 1000, memory, pace: { windowMs: 1000, clock } },
      json: { maxValues: 100, maxDepth: 8 },
      form: { maxParts: 4, files: () => ({ item: () => ({ take: () => {} }) }) },
    },
    connections,
    inFlight: new InFlight({ maxRequests: 10, timeoutMs: 1000 }),
    corsAllowOrigin: [],
    allowedHosts: [],
    stallMs: 1000,
  });
  return { app, lines };
}

describe('createServer', () => {
  it('answers an unforeseen failure without detail and logs it once with its stack', async () => {
    const { app, lines } = createFailingServer();

    const response = await app.inject({ method: 'POST', url: '/fail', payload: { a: 1 } });

    assert.equal(response.statusCode, 500);
    assert.deepEqual(response.json(), {
      error: {
        message: 'internal error; see the log of the gateway',
        type: 'server_error',
        param: null,
        code: 'engine_failed',
        doc: 'services/mesh/ERRORS.md#engine_failed',
      },
    });
    assert.equal(lines.filter((line) => line.includes('TypeError: secret detail')).length, 1);
  });

  it('writes no part of a body to its log', async () => {
    const { app, lines } = createFailingServer();

    await app.inject({ method: 'POST', url: '/fail', payload: { messages: 'private words' } });

    assert(lines.length > 0);
    assert(!lines.join('').includes('private words'));
  });
});
