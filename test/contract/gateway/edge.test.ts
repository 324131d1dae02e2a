import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, describe, it } from 'node:test';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { within } from '#test/bounded.ts';
import { readmeSection } from '#test/readme.ts';
import { CHAT, errorOf, type Harness, type HarnessOptions, startHarness } from './harness.ts';

const PATH = '/v1/chat/completions';
const JSON_TYPE = { 'content-type': 'application/json' };
const MB = 1_000_000;

let harness: Harness;

async function start(options: HarnessOptions = {}): Promise<Harness> {
  harness = await startHarness(options);
  return harness;
}

/** Sends bytes on a connection of their own and returns all that comes until it ends. */
async function rawAnswer(url: string, request: string | Buffer): Promise<string> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  socket.on('error', () => {});
  socket.write(request);
  return await within(text(socket), { what: 'the end of a connection' });
}

const head = (line: string, ...headers: string[]) =>
  `${[line, ...headers, 'connection: close'].join('\r\n')}\r\n\r\n`;

describe('A server without a key', () => {
  afterEach(() => harness.close());

  it('refuses requests that name another host, in the header or the target', async () => {
    const { url } = await start({ allowedHosts: ['box.example'] });
    const statusOf = async (target: string, ...hosts: string[]) => {
      const headers = hosts.map((host) => `Host: ${host}`);
      return (await rawAnswer(url, head(`GET ${target} HTTP/1.1`, ...headers))).slice(9, 12);
    };

    assert.equal(await statusOf('/v1/models', 'evil.example'), '403');
    assert.equal(await statusOf('/health', 'evil.example:8000'), '403');
    assert.equal(await statusOf('http://evil.example/v1/models', '127.0.0.1'), '403');
    assert.equal(await statusOf('http://127.0.0.1/v1/models', 'evil.example'), '403');
    assert.equal(await statusOf('/v1/models', '127.0.0.1', 'evil.example'), '400');
    assert.equal(await statusOf('/v1/models'), '400');
    assert.equal(await statusOf('/v1/models', 'BOX.example.:8000'), '200');
    assert.equal(await statusOf('http://localhost:1/v1/models', '127.0.0.1'), '200');
    assert.equal(await statusOf('/v1/models', '[::1]:8000'), '200');
    assert.match(
      await rawAnswer(url, head('GET / HTTP/1.1', 'Host: evil.example')),
      /allowed-hosts/,
    );
  });

  it('answers HTTP/1.0 without a host', async () => {
    const { url } = await start();

    assert.match(await rawAnswer(url, 'GET /health HTTP/1.0\r\n\r\n'), /^HTTP\/1\.1 200/);
  });
});

describe('A server with a key', () => {
  afterEach(() => harness.close());

  it('is called by any name', async () => {
    const { url } = await start({ apiKey: 'one' });
    const request = head(
      'GET /v1/models HTTP/1.1',
      'Host: any.example',
      'Authorization: Bearer one',
    );

    assert.match(await rawAnswer(url, request), /^HTTP\/1\.1 200/);
  });

  it('does not ask for a body that comes with a wrong key', async () => {
    const { url } = await start({ apiKey: 'one' });
    const headers = ['Host: a', 'Content-Length: 90000000', 'Expect: 100-continue', JSON_HEADER];

    const answer = await rawAnswer(url, head(`POST ${PATH} HTTP/1.1`, ...headers));

    assert.match(answer, /^HTTP\/1\.1 401/);
  });

  it('cuts off who sends a large body with a wrong key', async () => {
    const { url } = await start({ apiKey: 'one' });
    const first = head(
      `POST ${PATH} HTTP/1.1`,
      'Host: a',
      `Content-Length: ${90 * MB}`,
      JSON_HEADER,
    );

    const answer = await rawAnswer(url, Buffer.concat([Buffer.from(first), Buffer.alloc(30 * MB)]));

    assert.doesNotMatch(answer, /^HTTP\/1\.1 [^4]/);
  });

  it('takes keys and paths as clients write them', async () => {
    const { get } = await start({ apiKey: 'one' });
    const as = (authorization: string) => ({ headers: { authorization } });

    for (const key of ['Bearer  one', 'bearer one', 'BEARER\tone', ' Bearer one ']) {
      assert.equal((await get('/v1/models/nano/', as(key))).status, 404, key);
      assert.equal((await get('/v1/models//', as(key))).status, 200, key);
    }
    for (const path of ['/health/', '/health//?x=1', '/livez/', '/readyz', '/version/', '/']) {
      assert.equal((await get(path)).status, 200, path);
    }
    assert.equal((await get('/v1/models/')).status, 401);
  });
});

const JSON_HEADER = 'Content-Type: application/json';

describe('A body in another form', () => {
  afterEach(() => harness.close());

  it('is read through its content encodings, within the limit on decoded bytes', async () => {
    const { post } = await start({ maxBodyMb: 2 });
    const plain = Buffer.from(JSON.stringify({ ...CHAT, x: 'a'.repeat(1000) }));
    const send = (encoding: string, body: Buffer) =>
      post(PATH, '', { headers: { ...JSON_TYPE, 'content-encoding': encoding }, body });

    assert.equal((await send('gzip', gzipSync(plain))).status, 200);
    assert.equal((await send('X-GZIP', gzipSync(plain))).status, 200);
    assert.equal((await send('deflate', deflateSync(plain))).status, 200);
    assert.equal((await send('br', brotliCompressSync(plain))).status, 200);
    assert.equal((await send('gzip, br', brotliCompressSync(gzipSync(plain)))).status, 200);
    assert.equal((await send('identity', plain)).status, 200);
    assert.equal((await send('gzip', gzipSync(Buffer.alloc(3 * MB, ' ')))).status, 413);
    assert.equal((await send('br', brotliCompressSync(Buffer.alloc(9 * MB, ' ')))).status, 413);
    assert.equal((await send('gzip', gzipSync(plain).subarray(0, 40))).status, 400);
    assert.equal((await send('gzip', plain)).status, 400);
    assert.equal((await send('gzip,gzip,gzip', plain)).status, 415);
    const unknown = await send('compress', plain);
    assert.equal(unknown.status, 415);
    assert.match((await errorOf(unknown)).message, /gzip, deflate, br/);
  });

  it('is refused if it is not UTF-8, and may have a mark of UTF-8', async () => {
    const { post, backbone } = await start();
    const gbk = Buffer.concat([
      Buffer.from('{"messages":[{"role":"user","content":"'),
      Buffer.from([0xb4, 0xf2, 0xbf, 0xaa]),
      Buffer.from('"}]}'),
    ]);

    const refused = await post(PATH, '', { body: gbk, headers: JSON_TYPE });
    const taken = await post(PATH, `\ufeff${JSON.stringify(CHAT)}`);

    assert.equal(refused.status, 400);
    assert.match((await errorOf(refused)).message, /not UTF-8/);
    assert.equal(taken.status, 200);
    assert.equal(backbone.starts.length, 1);
  });

  it('is parsed in another thread if it is large', async () => {
    const { post, backbone } = await start();
    const content = '打'.repeat(600_000);

    const taken = await post(PATH, { messages: [{ role: 'user', content }] });
    const refused = await post(PATH, `{"messages": "${content}",}`);

    assert.equal(taken.status, 200);
    assert(JSON.stringify(backbone.starts).includes(content));
    assert.match((await errorOf(refused)).message, /not valid JSON/);
  });
});

describe('A body that does not come', () => {
  afterEach(() => harness.close());

  it('is cut off after the time for it', async () => {
    const { url } = await start({ bodyStallTimeoutS: 0.2 });
    const request = head(
      `POST ${PATH} HTTP/1.1`,
      'Host: 127.0.0.1',
      'Content-Length: 9000',
      JSON_HEADER,
    );

    const answer = await rawAnswer(url, `${request}{"x":"`);

    assert.match(answer, /^HTTP\/1\.1 408 [\s\S]*body-stall-timeout-s/);
  });

  it('gives way to others, so that half-sent bodies do not use up the memory', async () => {
    const { url, post } = await start({ unfinishedBodyMb: 2, maxBodyMb: 2, bodyStallTimeoutS: 60 });
    const halfSent = `${head(`POST ${PATH} HTTP/1.1`, 'Host: 127.0.0.1', `Content-Length: ${2 * MB}`, JSON_HEADER)}{"x":"`;
    const first = rawAnswer(url, halfSent);

    const taken = await post(PATH, { ...CHAT, x: 'a'.repeat(MB) });

    assert.equal(taken.status, 200);
    assert.match(await first, /^HTTP\/1\.1 429 [\s\S]*too slowly/);
  });
});

describe('Requests that no route takes', () => {
  afterEach(() => harness.close());

  it('are told which path they may have meant', async () => {
    const { post } = await start();
    const hintAt = async (path: string) => {
      const { message } = await errorOf(await post(path, CHAT));
      return /; (.*)$/.exec(message)?.[1];
    };

    assert.equal(await hintAt('/chat/completions'), 'did you mean /v1/chat/completions?');
    assert.equal(await hintAt('/v1/v1/messages'), 'did you mean /v1/messages?');
    assert.match((await hintAt('/v1/responses/resp_1')) ?? '', /^nothing is stored here/);
    assert.equal(await hintAt('/v1/nothing'), undefined);
  });

  it('are told the methods, with and without a body', async () => {
    const { url, get, post } = await start();

    const head = await get('/v1/models', { method: 'HEAD' });
    const put = await post(PATH, CHAT, { method: 'PUT' });
    const remove = await get('/v1/models/a/b', { method: 'DELETE' });
    const options = await get(PATH, { method: 'OPTIONS' });
    const unknown = await post(`/v1/nothing${'/x'.repeat(4000)}`, CHAT);

    assert.equal(head.status, 200);
    assert.equal(await head.text(), '');
    assert.deepEqual([put.status, put.headers.get('allow')], [405, 'POST']);
    assert.deepEqual([remove.status, remove.headers.get('allow')], [405, 'GET, HEAD']);
    assert.deepEqual([options.status, options.headers.get('allow')], [204, 'POST']);
    assert.equal(unknown.status, 404);
    const { message } = await errorOf(unknown);
    assert.match(message, /no such path: POST \/v1\/nothing\/x/);
    assert(message.length < 300);
    assert.match(
      await rawAnswer(url, `GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`),
      /^HTTP\/1\.1 431/,
    );
  });

  it('that a proxy could read otherwise are refused', async () => {
    const { url } = await start();
    const smuggled = [
      ['Content-Length: 4', 'Transfer-Encoding: chunked'],
      ['Content-Length: 4', 'Content-Length: 5'],
      ['Transfer-Encoding: chunked', 'Transfer-Encoding: identity'],
      ['Transfer-Encoding : chunked'],
      ['Content-Length: +4'],
    ];

    for (const headers of smuggled) {
      const lines = [`POST ${PATH} HTTP/1.1`, 'Host: 127.0.0.1', JSON_HEADER, ...headers];
      const answer = await rawAnswer(url, `${lines.join('\r\n')}\r\n\r\n0\r\n\r\n`);
      assert.match(answer, /^HTTP\/1\.1 400/, headers.join());
    }
  });
});

describe('Requests that Node itself would refuse', () => {
  afterEach(() => harness.close());

  const refusals = [
    {
      name: 'with another expectation',
      request: ['GET /livez HTTP/1.1', 'Host: a', 'Expect: the-unexpected'],
      status: 417,
      says: { code: 'expectation_failed', message: /the-unexpected/ },
    },
    {
      name: 'without a host',
      request: ['GET /livez HTTP/1.1'],
      status: 400,
      says: { code: 'invalid_request', message: /Host header/ },
    },
    {
      name: 'for a tunnel',
      request: ['CONNECT example.com:443 HTTP/1.1', 'Host: example.com:443'],
      status: 405,
      says: { code: 'method_not_allowed', message: /no proxy/ },
    },
    {
      name: 'with a head that is too long',
      request: ['GET /livez HTTP/1.1', 'Host: a', `X: ${'x'.repeat(20_000)}`],
      status: 431,
      says: { code: 'invalid_request', message: /16 kB/ },
    },
  ] as const;
  for (const { name, request, status, says } of refusals) {
    it(`are told why: ${name}`, async () => {
      const { url } = await start({ apiKey: 'one' });

      const answer = await rawAnswer(
        url,
        `${[...request, 'connection: close'].join('\r\n')}\r\n\r\n`,
      );

      assert.equal(answer.slice(9, 12), String(status));
      assert.match(answer, /\r\nx-request-id: /);
      const { error } = JSON.parse(answer.slice(answer.indexOf('\r\n\r\n')));
      assert.equal(error.code, says.code);
      assert.match(error.message, says.message);
    });
  }

  for (const coding of ['gzip, chunked', 'chunked, chunked', 'x, chunked']) {
    it(`are told why: a body in the transfer coding ${coding}`, async () => {
      const { url } = await start();
      const body = JSON.stringify(CHAT);
      const first = head(
        `POST ${PATH} HTTP/1.1`,
        'Host: localhost',
        JSON_HEADER,
        `Transfer-Encoding: ${coding}`,
      );

      const answer = await rawAnswer(
        url,
        `${first}${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
      );

      assert.match(answer, /^HTTP\/1\.1 400 [\s\S]*"type":"invalid_request_error"/);
    });
  }
});

describe('A page of another origin', () => {
  afterEach(() => harness.close());

  it('may send the headers that its client has, and read those it needs', async () => {
    const { get } = await start({ apiKey: 'one', corsAllowOrigin: ['https://a.example'] });
    const headers = {
      origin: 'https://a.example',
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization,content-type,x-stainless-os',
    };

    for (const path of [PATH, '/v1/models/a', '/nothing']) {
      const preflight = await get(path, { method: 'OPTIONS', headers });
      assert.equal(preflight.status, 204, path);
      assert.equal(
        preflight.headers.get('access-control-allow-headers'),
        headers['access-control-request-headers'],
      );
    }
    const refused = await get('/v1/models', { headers: { origin: 'https://a.example' } });
    assert.equal(refused.status, 401);
    assert.equal(refused.headers.get('access-control-allow-origin'), 'https://a.example');
    assert.match(
      refused.headers.get('access-control-expose-headers') ?? '',
      /retry-after.*x-request-id/,
    );
  });
});

describe('The page at /', () => {
  afterEach(() => harness.close());

  it('says what is here', async () => {
    const { get } = await start();

    const response = await get('/');

    assert.match(response.headers.get('content-type') ?? '', /^text\/html/);
    const page = await response.text();
    assert.match(page, /It is ready/);
    assert.match(page, /<code>phone-nano<\/code>/);
    assert.match(page, /POST \/v1\/chat\/completions/);
    assert.doesNotMatch(page, /src=|https?:/);
  });

  it('names the routes that the README names', async () => {
    const { get } = await start();

    const page = await (await get('/')).text();
    const shown = [...page.matchAll(/<li><code>(.*?)<\/code>/g)].map(([, item = '']) =>
      item.replaceAll(/<[^>]*>/g, ''),
    );
    const rows = readmeSection('routes').matchAll(/^\| `([^`]+)`/gm);
    const written = [...rows].map(([, route]) => route);

    assert.deepEqual(written.toSorted(), ['GET /', ...shown].toSorted());
  });

  it('names no model to who has no key', async () => {
    const { get } = await start({ apiKey: 'one' });

    assert.doesNotMatch(await (await get('/')).text(), /phone-nano/);
  });
});

describe('Connections', () => {
  afterEach(() => harness.close());

  it('are bounded for an address, but not for a proxy', async () => {
    const { url } = await start({ maxConnectionsPerAddress: 1 });
    const held = connect(Number(new URL(url).port), '127.0.0.1');
    held.on('error', () => {});
    await new Promise((resolve) => held.once('connect', resolve));
    const probe = head('GET /livez HTTP/1.1', 'Host: 127.0.0.1');

    const refused = await rawAnswer(url, probe);
    held.destroy();

    assert.match(refused, /^(HTTP\/1\.1 429 [\s\S]*"code":"queue_full"|$)/);
    await harness.close();
    const { url: other } = await start({
      maxConnectionsPerAddress: 1,
      trustedProxies: ['127.0.0.0/8'],
    });
    const sockets = [1, 2, 3].map(() => connect(Number(new URL(other).port), '127.0.0.1'));
    assert.match(await rawAnswer(other, probe), /^HTTP\/1\.1 200/);
    for (const socket of sockets) socket.destroy();
  });

  it('have sixteen answers at once, and then one that says so', async () => {
    const { url } = await start();
    const request = 'GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n';

    const answer = await rawAnswer(url, request.repeat(20));

    const statuses = [...answer.matchAll(/HTTP\/1\.1 (\d+) /g)].map(([, status]) => status);
    assert.deepEqual(statuses, [...Array.from({ length: 16 }, () => '200'), '429']);
    assert.match(answer, /"code":"queue_full"[^\n]*$/);
  });

  it('may ask as often as they like, one after the other', async () => {
    const { url } = await start();
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    let answers = '';
    socket.on('data', (data) => {
      answers += data;
    });

    for (let round = 1; round <= 40; round++) {
      socket.write('GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n');
      while (answers.split('HTTP/1.1 200').length <= round) {
        await within(once(socket, 'data'), { what: `answer ${round}` });
      }
    }
    socket.destroy();

    assert.equal(answers.split('HTTP/1.1').length, 41);
  });

  it('hold nobody up with requests whose answers they do not await', async () => {
    const { url, get } = await start();

    await rawAnswer(url, 'GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(10_000));

    const page = await (await get('/metrics')).text();
    const taken = page.matchAll(/^autoglm:http_requests_total\{handler="\/livez".*\} (\d+)$/gm);
    const numTaken = [...taken].reduce((sum, [, count]) => sum + Number(count), 0);
    assert.ok(numTaken <= 16, `${numTaken} requests were begun`);
  });

  it('that are too many leave probes an answer', async () => {
    const { url } = await start({ maxConnections: 3 });
    const held = [1, 2, 3].map(() => connect(Number(new URL(url).port), '127.0.0.1'));
    await Promise.all(held.map((one) => new Promise((resolve) => one.once('connect', resolve))));

    const probe = await rawAnswer(url, 'GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
    const work = await rawAnswer(url, 'GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
    for (const socket of held) socket.destroy();

    assert.match(probe, /^HTTP\/1\.1 200 [\s\S]*connection: close/i);
    assert.match(work, /^HTTP\/1\.1 429 [\s\S]*max-connections/);
  });
});

describe('Who asks', () => {
  afterEach(() => harness.close());

  it('is told to the backbone by address behind trusted proxies, or by key', async () => {
    const { post, backbone } = await start({ trustedProxies: ['127.0.0.1'] });
    const headers = { ...JSON_TYPE, 'x-forwarded-for': '1.1.1.1, 203.0.113.7' };
    await (await post(PATH, CHAT, { headers })).text();
    await harness.close();
    const keyed = await start({ apiKey: 'secret' });
    const key = { ...JSON_TYPE, authorization: 'Bearer secret' };
    await (await keyed.post(PATH, CHAT, { headers: key })).text();

    assert.equal(backbone.starts[0]?.clientId, 'address:203.0.113.7');
    assert.match(keyed.backbone.starts[0]?.clientId ?? '', /^key:[0-9a-f]{32}$/);
  });
});
