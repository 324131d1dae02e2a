import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { PassThrough } from 'node:stream';
import { describe, it } from 'node:test';
import { pino } from 'pino';
import { startGateway } from '#gateway/gateway.ts';
import { gatewayOptions } from '#gateway/options.ts';
import { MeshError } from '#mesh/errors.ts';
import { resolveOptions } from '#mesh/options.ts';
import { within } from '#test/bounded.ts';
import { FakeClock } from '#test/fake-clock.ts';
import { Lines } from '#test/lines.ts';
import { accepted, delta, finished } from './fake-backbone.ts';
import { CHAT, eventsOf, jsonOf, startHarness } from './harness.ts';

const PATH = '/v1/chat/completions';

/** Returns a script that finishes when the test says so. */
function held() {
  let finish = () => {};
  const done = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const script = async function* () {
    yield accepted();
    yield delta({ text: 'a' });
    await done;
    yield finished();
  };
  return { script, finish };
}

describe('A gateway that drains', () => {
  it('listens no more, so that proxies go elsewhere, and lets the running request finish', async () => {
    const { backbone, gateway, get, post } = await startHarness();
    const { script, finish } = held();
    backbone.script = script;
    const running = await post(PATH, { ...CHAT, stream: true });
    await backbone.until('start');

    const drained = gateway.drain(60_000);

    await assert.rejects(post(PATH, CHAT));
    await assert.rejects(get('/health'));
    finish();
    const text = await running.text();
    await within(drained, { what: 'the end of the drain', trace: () => backbone.trace });
    assert.equal(eventsOf(text).at(-1), '[DONE]');
    await backbone.kill();
  });

  it('ends what runs longer than the limit with an error event', async () => {
    const { backbone, gateway, post } = await startHarness();
    backbone.script = held().script;
    const running = await post(PATH, { ...CHAT, stream: true });
    await backbone.until('start');

    const drained = gateway.drain(0);
    await within(drained, { what: 'the end of the drain', trace: () => backbone.trace });

    assert.match(JSON.stringify(eventsOf(await running.text()).at(-1)), /"code":"draining"/);
    await backbone.kill();
  });

  it('is not ready during its delay, and still takes requests on connections that end', async () => {
    const { backbone, gateway, get, post } = await startHarness({ drainDelayS: 60 });

    const drained = gateway.drain(60_000);

    const [health, ready, alive] = [
      await get('/health'),
      await get('/readyz'),
      await get('/livez'),
    ];
    const taken = await post(PATH, CHAT);
    assert.deepEqual([health.status, ready.status, alive.status], [503, 503, 200]);
    assert.equal((await jsonOf(health))['status'], 'draining');
    assert.equal(taken.status, 200);
    assert.equal(taken.headers.get('connection'), 'close');
    await taken.text();
    gateway.hasten?.();
    await within(drained, { what: 'the end of the drain', trace: () => backbone.trace });
    await backbone.kill();
  });

  it('tells clients why their streams end when it has to hurry', async () => {
    const { backbone, gateway, post } = await startHarness();
    backbone.script = held().script;
    const running = await post(PATH, { ...CHAT, stream: true });
    await backbone.until('start');

    const drained = gateway.drain(60_000);
    gateway.hasten?.();
    await within(drained, { what: 'the end of the drain', trace: () => backbone.trace });

    assert.match(JSON.stringify(eventsOf(await running.text()).at(-1)), /"code":"draining"/);
    await backbone.kill();
  });

  it('does not wait for a client that does not read its stream', async () => {
    const { backbone, gateway, url } = await startHarness();
    backbone.script = async function* () {
      yield accepted();
      for (;;) yield delta({ text: 'a'.repeat(100_000) });
    };
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.on('error', () => {});
    const body = JSON.stringify({ ...CHAT, stream: true });
    const head = [
      `POST ${PATH} HTTP/1.1`,
      'host: 127.0.0.1',
      'content-type: application/json',
      `content-length: ${body.length}`,
    ];
    socket.pause().write(`${head.join('\r\n')}\r\n\r\n${body}`);
    await backbone.until('start');

    const drained = gateway.drain(100);

    await within(drained, { what: 'the end of the drain', boundMs: 10_000 });
    socket.destroy();
    await backbone.kill();
  });
});

describe('A gateway that cannot start', () => {
  it('names the port in use and the key that changes it', async () => {
    const { url, close } = await startHarness();
    const port = Number(new URL(url).port);
    const options = resolveOptions(gatewayOptions, { host: '127.0.0.1', port }, {});

    const clock = new FakeClock();
    const stream = new PassThrough();

    const refused = startGateway(options, pino(stream), clock);
    await new Lines(stream).match(/is in use; waiting at most 5 s/);
    clock.advance(5000);

    await assert.rejects(refused, (error: unknown) => {
      assert(error instanceof MeshError);
      assert.equal(
        error.message,
        `port ${port} is in use; choose another with the key "port" (--port)`,
      );
      return true;
    });
    await close();
  });

  it('takes the port of one that is just ending', async () => {
    const { url, close } = await startHarness();
    const options = resolveOptions(
      gatewayOptions,
      { host: '127.0.0.1', port: Number(new URL(url).port) },
      {},
    );
    const stream = new PassThrough();
    const starting = startGateway(options, pino(stream));
    await new Lines(stream).match(/is in use/);

    await close();

    const gateway = await starting;
    assert.equal(gateway.url, url);
    await gateway.drain(0);
  });
});
