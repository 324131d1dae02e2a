import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { connect, createServer } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, it, type TestContext } from 'node:test';
import { pino } from 'pino';
import { MetricRegistry } from '#mesh/metrics.ts';
import { MetricsServer, type MetricsServerOptions } from '#mesh/process/metrics-server.ts';
import { watchProcess } from '#mesh/process/process-metrics.ts';
import { within } from '#test/bounded.ts';
import { FakeClock } from '#test/fake-clock.ts';
import { freePort } from '#test/free-port.ts';
import { refusal } from '#test/refusal.ts';

async function open(test: TestContext, options: Partial<MetricsServerOptions> = {}) {
  const registry = new MetricRegistry();
  registry.counter('prompt_tokens', 'Prompt tokens.').add(5, { model_name: 'm' });
  watchProcess(registry, 'llm-backbone');
  const server = await MetricsServer.open({
    metricsListen: '127.0.0.1:0',
    registry,
    isEngine: false,
    log: pino({ enabled: false }),
    ...options,
  });
  test.after(() => server?.close());
  return server;
}

/** Bytes that the system does not take of a server at once. */
const PAGE_BYTES = 20_000_000;

/** Opens a server whose pages are counted, and are that large. */
async function openCounting(test: TestContext, options: Partial<MetricsServerOptions> = {}) {
  let numPages = 0;
  const registry = new MetricRegistry();
  const large = registry.counter('large', 'x'.repeat(PAGE_BYTES));
  large.add(1);
  const collect = registry.collect.bind(registry);
  registry.collect = () => {
    numPages += 1;
    return collect();
  };
  const server = await open(test, { registry, ...options });
  return { address: server?.address, numPages: () => numPages };
}

/** Asks for a path as a browser does that was led here by `host`. */
async function ask(address: string, { path = '/metrics', method = 'GET', host = address } = {}) {
  const asked = request(`http://${address}${path}`, { method, headers: { host } }).end();
  const [answer] = await once(asked, 'response');
  return { status: Number(answer.statusCode), body: await text(answer) };
}

describe('the page of metrics of a process', () => {
  it('shows what the process has, under our names, and its own facts without a prefix', async (t) => {
    const server = await open(t);

    const answer = await fetch(`http://${server?.address}/metrics`);

    const body = await answer.text();
    assert.equal(answer.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
    assert.match(body, /^autoglm:prompt_tokens_total\{model_name="m"\} 5$/m);
    assert.match(body, /^process_open_fds\{role="llm-backbone",process="llm-backbone"\} \d+$/m);
    assert.doesNotMatch(body, /^vllm:/m);
  });

  it('shows those of an engine under the names of vLLM too', async (t) => {
    const server = await open(t, { isEngine: true });

    const { body } = await ask(server?.address ?? '');

    assert.match(body, /^vllm:prompt_tokens_total\{engine="0",model_name="m"\} 5$/m);
    assert.doesNotMatch(body, /^vllm:process_/m);
  });

  it('answers nothing else', async (t) => {
    const { address = '' } = (await open(t)) ?? {};

    assert.equal((await ask(address, { path: '/' })).status, 404);
    assert.equal((await ask(address, { path: '/metrics2' })).status, 404);
    assert.equal((await ask(address, { method: 'POST' })).status, 405);
    assert.equal((await ask(address, { path: '/metrics?x' })).status, 200);
  });

  it('refuses a page that lets its own name point to this machine', async (t) => {
    const { address = '' } = (await open(t)) ?? {};

    assert.equal((await ask(address, { host: 'rebound.example' })).status, 403);
    assert.equal((await ask(address, { host: 'localhost:1' })).status, 200);
  });

  it('answers by any name where it listens for others', async (t) => {
    const { address = '' } = (await open(t, { metricsListen: '0.0.0.0:0' })) ?? {};

    const local = address.replace('0.0.0.0', '127.0.0.1');
    assert.equal((await ask(local, { host: 'backbone.example:9464' })).status, 200);
  });

  it('says that a request names no host', async (t) => {
    const { address = '' } = (await open(t)) ?? {};
    const socket = connect(Number(address.split(':')[1]), '127.0.0.1');

    socket.end('GET /metrics HTTP/1.1\r\nConnection: close\r\n\r\n');

    assert.match(await text(socket), /^HTTP\/1\.1 400 [\s\S]*see GET \/metrics/);
  });

  it('is made once for a client that does not await it', async (t) => {
    const { address = '', numPages } = await openCounting(t);
    const socket = connect(Number(address.split(':')[1]), '127.0.0.1').on('error', () => {});

    socket.write('GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(2000));
    socket.resume();
    await within(once(socket, 'close'), { what: 'the end of the connection' });

    assert.equal(numPages(), 1);
  });

  it('is taken within its time, or the connection ends', async (t) => {
    const clock = new FakeClock();
    const { address = '', numPages } = await openCounting(t, { clock });
    const socket = connect(Number(address.split(':')[1]), '127.0.0.1').on('error', () => {});
    socket.write('GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n');
    while (numPages() === 0) await new Promise((resolve) => setImmediate(resolve));

    clock.advance(10_000);
    socket.resume();
    await within(once(socket, 'close'), { what: 'the end of the connection' });

    assert.ok(socket.bytesRead < PAGE_BYTES, `${socket.bytesRead} bytes came`);
  });

  it('does not exist if it is off', async (t) => {
    assert.equal(await open(t, { metricsListen: 'off' }), undefined);
  });

  it('is refused, by its key, where it cannot listen', async (t) => {
    const port = await freePort();
    const holder = createServer().listen(port, '127.0.0.1');
    await once(holder, 'listening');
    t.after(() => holder.close());
    // What waits for the port is told at once that the time is over.
    let now = 0;
    const clock = { now: () => (now += 10_000), after: () => () => {} };

    const message = /cannot listen on 127.*EADDRINUSE.*key "metrics-listen"/;
    const metricsListen = `127.0.0.1:${port}`;
    await assert.rejects(
      open(t, { metricsListen, clock }),
      refusal('INVALID_REQUEST', message, 'metricsListen'),
    );
  });
});
