import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:http2';
import { createServer } from 'node:net';
import { PassThrough } from 'node:stream';
import { after, before, describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { credentials, loadPackageDefinition, makeGenericClientConstructor } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import type { Metadata } from 'nice-grpc-common';
import { pino } from 'pino';
import { type Clock, systemClock } from '#mesh/async/clock.ts';
import { MeshError } from '#mesh/errors.ts';
import { createMeshClient, openChannel } from '#mesh/grpc/grpc-client.ts';
import { type MeshServer, startMeshServer } from '#mesh/grpc/grpc-server.ts';
import { Health } from '#mesh/grpc/health.ts';
import { PROTO_ROOT } from '#mesh/paths.ts';
import { INSTANCE_SERVICE } from '#mesh/process/instance.ts';
import { InstanceServiceDefinition } from '#protos/autoglm/mesh/v1/instance.ts';
import {
  HealthDefinition,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from '#protos/grpc/health/v1/health.ts';

import { FakeClock } from '#test/fake-clock.ts';
import { freePort } from '#test/free-port.ts';
import { Lines } from '#test/lines.ts';
import { refusal } from '#test/refusal.ts';

const log = pino({ level: 'silent' });

describe('an internal gRPC server', () => {
  const health = new Health([INSTANCE_SERVICE]);
  let server: MeshServer;
  let thrown: Error = new Error('unset');

  before(async () => {
    server = await startMeshServer({
      listen: '127.0.0.1:0',
      log,
      health,
      serviceNames: [INSTANCE_SERVICE],
      addServices: (target) =>
        target.add(InstanceServiceDefinition, {
          getStatus: async () => {
            throw thrown;
          },
          getMetrics: async () => ({ families: [] }),
          watch: async function* () {},
        }),
    });
  });
  after(() => server.close(1000));

  function instanceClient() {
    const channel = openChannel(server.address, 'tokens');
    return { channel, client: createMeshClient(InstanceServiceDefinition, channel) };
  }

  it('carries reason, message, param and retry delay of a MeshError to the caller', async () => {
    const { channel, client } = instanceClient();
    thrown = new MeshError('QUEUE_FULL', '9 requests wait, 8 are allowed', {
      param: 'n',
      retryAfterMs: 1500,
    });

    const received = await client.getStatus({}).then(
      () => assert.fail('the call succeeded'),
      (error: unknown) => error,
    );

    assert.ok(received instanceof MeshError);
    assert.equal(received.reason, 'QUEUE_FULL');
    assert.equal(received.message, '9 requests wait, 8 are allowed');
    assert.equal(received.param, 'n');
    assert.equal(received.retryAfterMs, 1500);
    channel.close();
  });

  it('keeps a stream though more than a thousand calls beside it are cancelled', async () => {
    const { channel } = instanceClient();
    const watcher = createMeshClient(HealthDefinition, channel);
    const kept = watcher.watch({ service: '' })[Symbol.asyncIterator]();
    await kept.next();

    // HTTP/2 ends a session with everything on it after a thousand of them.
    for (let round = 0; round < 30; round++) {
      const cancelled = Array.from({ length: 50 }, async () => {
        for await (const _ of watcher.watch({ service: '' })) break;
      });
      await Promise.all(cancelled);
    }

    health.setServing(true);
    assert.equal((await kept.next()).value?.status, ServingStatus.SERVING);
    health.setServing(false);
    await kept.return?.();
    channel.close();
  });

  it('cuts an error that is too long for trailers, and loses no other stream over it', async () => {
    const { channel, client } = instanceClient();
    const watching = new AbortController();
    const seen: ServingStatus[] = [];
    const watch = (async () => {
      const events = createMeshClient(HealthDefinition, channel).watch(
        { service: '' },
        { signal: watching.signal },
      );
      for await (const { status } of events) seen.push(status);
    })();
    const sizes: number[] = [];
    for (const text of ['x', '字', '😀', '\ud800', '\0']) {
      const long = text.repeat(60_000);
      thrown = new MeshError('UNSUPPORTED_MEDIA', long, { param: long });
      const onTrailer = (trailer: Metadata) => {
        const encoded = trailer.get('grpc-status-details-bin');
        sizes.push(encoded?.length ?? 0);
      };

      await assert.rejects(client.getStatus({}, { onTrailer }), (error: unknown) => {
        assert(error instanceof MeshError);
        assert.equal(error.reason, 'UNSUPPORTED_MEDIA');
        assert(error.message.length <= 1024, `${error.message.length} characters`);
        return true;
      });
    }
    await client.getMetrics({});
    watching.abort();
    await watch.catch(() => {});

    assert.deepEqual(seen, [ServingStatus.NOT_SERVING]);
    assert.equal(sizes.length, 5);
    // The trailers also hold the message, percent-encoded to at most 9 bytes per character, and
    // base64: together 14 KiB.
    for (const size of sizes) assert(size > 0 && size < 4096, `${size} bytes of details`);
    channel.close();
  });

  it('keeps a deadline of the next minute, and none that is too far to be kept', async () => {
    const client = connect(`http://${server.address}`);
    const statusOf = async (timeout: string) => {
      const call = client.request({
        ':method': 'POST',
        ':path': '/grpc.health.v1.Health/Watch',
        'content-type': 'application/grpc',
        te: 'trailers',
        'grpc-timeout': timeout,
      });
      call.end(Buffer.alloc(5));
      const ended = once(call.resume(), 'trailers').then(([trailers]) => trailers['grpc-status']);
      const running = setTimeout(300, 'running');
      const status: unknown = await Promise.race([ended, running]);
      call.close();
      return status;
    };

    for (const timeout of ['30S', '2147483S', '2147484S', '720H', '99999999H', '99999999S']) {
      assert.equal(await statusOf(timeout), 'running', timeout);
    }
    assert.equal(await statusOf('20m'), '4');
    assert.equal(await statusOf('0n'), '4');
    client.close();
  });

  it('shows an unforeseen error as ENGINE_FAILED without its text', async () => {
    const { channel, client } = instanceClient();
    thrown = new TypeError('secret detail');

    await assert.rejects(client.getStatus({}), (error: unknown) => {
      assert.ok(error instanceof MeshError);
      assert.equal(error.reason, 'ENGINE_FAILED');
      assert.doesNotMatch(error.message, /secret/);
      return true;
    });
    channel.close();
  });

  it('reports an unreachable peer as NO_READY_ENDPOINT', async () => {
    const channel = openChannel('127.0.0.1:1', 'tokens');

    const call = createMeshClient(InstanceServiceDefinition, channel).getMetrics({});

    await assert.rejects(call, { reason: 'NO_READY_ENDPOINT' });
    channel.close();
  });

  it('streams every change of health to a watcher', async () => {
    const channel = openChannel(server.address, 'tokens');
    const client = createMeshClient(HealthDefinition, channel);
    const abort = new AbortController();
    const seen: ServingStatus[] = [];

    for await (const { status } of client.watch({ service: '' }, { signal: abort.signal })) {
      seen.push(status);
      if (seen.length === 3) break;
      health.setServing(!health.serving);
    }

    assert.deepEqual(seen, [
      ServingStatus.NOT_SERVING,
      ServingStatus.SERVING,
      ServingStatus.NOT_SERVING,
    ]);
    channel.close();
  });

  it('answers NOT_FOUND for the health of a service it does not have', async () => {
    const channel = openChannel(server.address, 'tokens');

    const check = createMeshClient(HealthDefinition, channel).check({ service: 'x.Y' });

    await assert.rejects(check, { reason: 'NOT_FOUND' });
    channel.close();
  });

  it('lists its services by reflection, and only those it has', async () => {
    assert.deepEqual(await reflectedServices(server.address), [
      'autoglm.mesh.v1.InstanceService',
      'grpc.health.v1.Health',
    ]);
  });

  for (const [listen, message] of [
    ['[fe80::1%lo]:8051', /zone of an IPv6 address/],
    ['fe80::1%lo:8051', /zone of an IPv6 address/],
    ['::1:8051', /\[::1\]:8051/],
    ['127.0.0.1', /is not host:port/],
    ['127.0.0.1:', /is not host:port/],
    [':8051', /is not host:port/],
    ['127.0.0.1:99999', /is not host:port/],
    ['[::1]:x', /is not host:port/],
    ['unix:/tmp/socket', /is not host:port/],
  ] as const) {
    it(`refuses to listen on ${listen}, where no caller would reach it`, async () => {
      const starting = startMeshServer({
        listen,
        log,
        health: new Health([]),
        serviceNames: [],
        addServices: () => {},
      });

      await assert.rejects(starting, refusal('INVALID_REQUEST', message, 'listen'));
    });
  }

  it('listens on an IPv6 address', async () => {
    const six = await startMeshServer({
      listen: '[::1]:0',
      log,
      health: new Health([]),
      serviceNames: [],
      addServices: () => {},
    });
    await six.close(0);

    assert.match(six.address, /^\[::1\]:[1-9]\d*$/);
  });

  it('names the key to change when the address stays taken', async () => {
    const clock = new FakeClock();
    const { second, lines } = startSecond(server.address, clock);
    await lines.match(/is in use; waiting at most 5 s/);

    clock.advance(5000);

    await assert.rejects(second, { message: /cannot listen on .*the key "listen"/ });
  });

  it('starts at the address of one that is just ending', async () => {
    const port = await freePort();
    const holder = createServer().listen(port, '127.0.0.1');
    await once(holder, 'listening');
    const { second, lines } = startSecond(`127.0.0.1:${port}`, systemClock);
    await lines.match(/is in use/);

    holder.close();

    const started = await second;
    assert.equal(started.address, `127.0.0.1:${port}`);
    await started.close(0);
  });

  function startSecond(listen: string, clock: Clock) {
    const stream = new PassThrough();
    const second = startMeshServer({
      listen,
      log: pino(stream),
      health,
      serviceNames: [],
      addServices: () => {},
      clock,
    });
    return { second, lines: new Lines(stream) };
  }
});

/**
 * Lists the services as a foreign client does: with grpc-js and the published reflection proto
 * alone.
 */
async function reflectedServices(address: string): Promise<string[]> {
  const definition = loadSync('grpc/reflection/v1/reflection.proto', {
    includeDirs: [PROTO_ROOT, 'node_modules/@grpc/reflection/build/proto'],
    keepCase: true,
  });
  const service = definition['grpc.reflection.v1.ServerReflection'];
  assert.ok(service !== undefined && loadPackageDefinition(definition));
  const Client = makeGenericClientConstructor(service as never, 'ServerReflection');
  const client = new Client(address, credentials.createInsecure());
  const call = client['serverReflectionInfo']?.call(client);
  assert.ok(call);
  call.write({ list_services: '' });
  const [answer] = await new Promise<unknown[]>((resolve, reject) => {
    call.once('data', (message: unknown) => resolve([message]));
    call.once('error', reject);
  });
  call.end();
  client.close();
  const listed = JSON.stringify(answer).matchAll(/"name":"([^"]+)"/g);
  return [...listed].map((match) => String(match[1])).sort();
}
