import assert from 'node:assert/strict';
import type { RequestListener, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { afterEach, describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { isAnyAddress, isPublicAddress } from '#gateway/media/address-rules.ts';
import { ByteBudget } from '#gateway/media/byte-budget.ts';
import type { ResolveHost } from '#gateway/media/guarded-connect.ts';
import { type FetchOptions, GuardedFetch } from '#gateway/media/guarded-fetch.ts';
import type { ErrorReason } from '#mesh/errors.ts';
import { refusal } from '#test/refusal.ts';
import { deferred } from './deferred.ts';
import { type MediaServer, startMediaServer, startRawServer } from './media-server.ts';

const PARAM = 'messages[0].content[0].image_url.url';
const MAX_ITEM_BYTES = 1000;
const MB = 1_000_000;
const never = new AbortController().signal;

/**
 * Options that allow every loopback address, so that the tests can fetch from their own servers.
 */
const OPEN: FetchOptions = {
  isAllowedAddress: isAnyAddress,
  intranet: true,
  allowedDomains: [],
  timeoutMs: 10_000,
  connectTimeoutMs: 2000,
  maxConcurrent: 32,
  resolveHost: () => Promise.resolve([]),
};

/** Options that allow one address only: 127.0.0.1. */
const ONE_PUBLIC: FetchOptions = { ...OPEN, isAllowedAddress: (a) => a === '127.0.0.1' };

const servers: MediaServer[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

async function serve(answer: RequestListener, host?: string): Promise<MediaServer> {
  const server = await startMediaServer(answer, host);
  servers.push(server);
  return server;
}

async function serveRaw(answer: (socket: Socket) => void): Promise<MediaServer> {
  const server = await startRawServer(answer);
  servers.push(server);
  return server;
}

interface FetchSetup {
  readonly options?: FetchOptions;
  readonly resolveHost?: ResolveHost;
  readonly signal?: AbortSignal;
}

function fetchFrom(url: string, { options = OPEN, resolveHost, signal = never }: FetchSetup = {}) {
  const fetcher = new GuardedFetch({ ...options, resolveHost: resolveHost ?? options.resolveHost });
  return fetcher.fetch(new URL(url), { ...call(), signal });
}

function call() {
  const limits = { maxItemBytes: MAX_ITEM_BYTES, maxTotalBytes: MAX_ITEM_BYTES };
  return {
    param: PARAM,
    budget: new ByteBudget(limits).item(PARAM),
    asker: { clientId: 'client' },
  };
}

/** Checks that a refusal has this reason, names the field and names no address. */
async function refused(fetching: Promise<unknown>, reason: ErrorReason, message: RegExp) {
  await assert.rejects(fetching, (error: unknown) => {
    refusal(reason, message, PARAM)(error);
    const text = error instanceof Error ? error.message : '';
    assert.ok(text.startsWith(PARAM), text);
    assert.doesNotMatch(text, /127\.0|::1|localhost/);
    return true;
  });
}

const resolveTo =
  (...addresses: readonly string[]): ResolveHost =>
  () =>
    Promise.resolve(
      addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    );

describe('GuardedFetch', () => {
  it('returns the body of an answer', async () => {
    const server = await serve((_, response) => response.end('media'));

    assert.equal((await fetchFrom(`${server.origin}/a?b=c`)).toString(), 'media');
    assert.deepEqual(server.requests, ['/a?b=c']);
  });

  it('asks for no compression, sends no credentials and keeps no connection', async () => {
    const server = await serve((request, response) =>
      response.end(JSON.stringify(request.headers)),
    );
    const headers: unknown = JSON.parse((await fetchFrom(server.origin)).toString());

    assert.deepEqual(headers, {
      accept: 'image/*, audio/*',
      'accept-encoding': 'identity',
      'user-agent': 'autoglm-mesh',
      connection: 'close',
      host: server.origin.slice('http://'.length),
    });
    await server.allClosed();
  });

  it('fetches over IPv6', async () => {
    const server = await serve((_, response) => response.end('six'), '::1');

    assert.equal((await fetchFrom(server.origin)).toString(), 'six');
  });

  it('connects to the addresses the resolver gave', async () => {
    const server = await serve((request, response) => response.end(request.headers.host));
    const url = `http://media.example:${server.port}/`;
    const bytes = await fetchFrom(url, { resolveHost: resolveTo('127.0.0.1') });

    assert.equal(bytes.toString(), `media.example:${server.port}`);
  });

  it('fetches ten items at the same time', async () => {
    const allThere = deferred();
    const server = await serve((request, response) => {
      if (server.requests.length === 10) allThere.resolve();
      void allThere.promise.then(() => response.end(request.url));
    });
    const paths = Array.from({ length: 10 }, (_, i) => `/${i}`);
    const bodies = await Promise.all(paths.map((path) => fetchFrom(server.origin + path)));

    assert.deepEqual(bodies.map(String), paths);
  });

  it('fetches no more items at the same time than allowed', async () => {
    const held: ServerResponse[] = [];
    const bothHeld = deferred();
    const server = await serve((request, response) => {
      if (request.url === '/other') return response.end();
      held.push(response);
      if (held.length === 2) bothHeld.resolve();
      return response;
    });
    const fetcher = new GuardedFetch({ ...OPEN, maxConcurrent: 2 });
    const fetching = ['/1', '/2', '/3'].map((path) =>
      fetcher.fetch(new URL(server.origin + path), { ...call(), signal: never }),
    );
    await bothHeld.promise;
    // All bytes sent before this round trip have arrived when it is over.
    await fetchFrom(`${server.origin}/other`);

    assert.deepEqual(server.requests.toSorted(), ['/1', '/2', '/other']);
    held.shift()?.end();
    await fetching[0];
    await fetchFrom(`${server.origin}/other`);
    assert.ok(server.requests.includes('/3'));
    for (const response of held) response.end();
    await Promise.all(fetching);
  });
});

describe('GuardedFetch and addresses', () => {
  it('refuses a literal private address without connecting', async () => {
    const server = await serve((_, response) => response.end('secret'));
    const options = { ...OPEN, isAllowedAddress: isPublicAddress };

    await refused(fetchFrom(server.origin, { options }), 'INVALID_REQUEST', /public internet/);
    assert.equal(server.numConnections(), 0);
  });

  for (const host of ['2130706433', '0x7f.1', '[::ffff:127.0.0.1]', '[::1]']) {
    it(`refuses loopback written as ${host}`, async () => {
      const server = await serve((_, response) => response.end('secret'));
      const options = { ...OPEN, isAllowedAddress: isPublicAddress };
      const url = `http://${host}:${server.port}/`;

      await refused(fetchFrom(url, { options }), 'INVALID_REQUEST', /public internet/);
      assert.equal(server.numConnections(), 0);
    });
  }

  for (const answers of [['10.0.0.1'], ['127.0.0.1', '10.0.0.1'], ['127.0.0.1', '::1']]) {
    it(`refuses a name that resolves to ${answers.join(' and ')} when only the first is public`, async () => {
      const server = await serve((_, response) => response.end('secret'));
      const url = `http://media.example:${server.port}/`;
      const setup = { options: ONE_PUBLIC, resolveHost: resolveTo(...answers) };

      await refused(fetchFrom(url, setup), 'INVALID_REQUEST', /public internet/);
      assert.equal(server.numConnections(), 0);
    });
  }

  it('asks a rebinding resolver once for each hop and connects to what it checked', async () => {
    const server = await serve((_, response) => response.end('media'));
    const answers = ['127.0.0.1', '10.0.0.1'];
    const resolveHost: ResolveHost = async () => [{ address: answers.shift() ?? '', family: 4 }];
    const url = `http://media.example:${server.port}/`;

    assert.equal((await fetchFrom(url, { options: ONE_PUBLIC, resolveHost })).toString(), 'media');
    assert.deepEqual(answers, ['10.0.0.1']);
  });

  it('refuses a rebinding resolver at the redirect', async () => {
    const server = await serve((_, response) =>
      response.writeHead(302, { location: '/again' }).end(),
    );
    const answers = ['127.0.0.1', '10.0.0.1'];
    const resolveHost: ResolveHost = async () => [{ address: answers.shift() ?? '', family: 4 }];
    const url = `http://media.example:${server.port}/`;
    const fetching = fetchFrom(url, { options: ONE_PUBLIC, resolveHost });

    await refused(fetching, 'INVALID_REQUEST', /public internet/);
    assert.deepEqual(server.requests, ['/']);
  });

  it('checks the peer again once connected, and sends it nothing', async () => {
    const server = await serve((_, response) => response.end('secret'));
    const verdicts = [true, false];
    const options = { ...OPEN, isAllowedAddress: () => verdicts.shift() ?? false };
    const setup = { options, resolveHost: resolveTo('127.0.0.1') };
    const url = `http://media.example:${server.port}/`;

    await refused(fetchFrom(url, setup), 'INVALID_REQUEST', /public internet/);
    await server.allClosed();
    assert.equal(server.numConnections(), 1);
    assert.deepEqual(server.requests, []);
  });

  it('says that a name does not resolve', async () => {
    const failing: ResolveHost = async () => {
      throw Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' });
    };
    for (const resolveHost of [failing, resolveTo()]) {
      const fetching = fetchFrom('http://media.example/', { resolveHost });
      await refused(fetching, 'MEDIA_FETCH_FAILED', /could not be resolved/);
    }
  });

  it('does not wait for a resolver that never answers', async () => {
    const options = { ...OPEN, connectTimeoutMs: 30 };
    const resolveHost: ResolveHost = () => new Promise(() => {});
    const server = await serve(() => {});
    const url = `http://media.example:${server.port}/`;
    const fetching = fetchFrom(url, { options, resolveHost });

    await refused(fetching, 'MEDIA_FETCH_FAILED', /did not accept the connection in time/);
  });
});

describe('GuardedFetch and redirects', () => {
  for (const status of [301, 302, 303, 307, 308]) {
    it(`follows ${status}`, async () => {
      const server = await serve((request, response) => {
        if (request.url === '/there') response.end('media');
        else response.writeHead(status, { location: '/there' }).end('ignored');
      });

      assert.equal((await fetchFrom(server.origin)).toString(), 'media');
    });
  }

  it('follows three and refuses the fourth', async () => {
    const server = await serve((request, response) => {
      const left = Number(request.url?.slice(1));
      if (left === 0) response.end('media');
      else response.writeHead(302, { location: `/${left - 1}` }).end();
    });

    assert.equal((await fetchFrom(`${server.origin}/3`)).toString(), 'media');
    await refused(fetchFrom(`${server.origin}/4`), 'MEDIA_FETCH_FAILED', /more than 3 redirects/);
  });

  it('refuses one to a private address without connecting there', async () => {
    const secret = await serve((_, response) => response.end('secret'), '::1');
    const server = await serve((_, response) =>
      response.writeHead(302, { location: `${secret.origin}/latest/meta-data` }).end(),
    );
    const fetching = fetchFrom(server.origin, { options: ONE_PUBLIC });

    await refused(fetching, 'INVALID_REQUEST', /public internet/);
    assert.equal(secret.numConnections(), 0);
  });

  for (const [location, message] of [
    ['file:///etc/passwd', /only http/],
    ['data:image/png;base64,AAAA', /only http/],
    ['http://user:secret@example.com/', /user name/],
    ['http://example.com.:99/', /host name/],
  ] as const) {
    it(`refuses one to ${location}`, async () => {
      const server = await serve((_, response) => response.writeHead(302, { location }).end());

      await refused(fetchFrom(server.origin), 'INVALID_REQUEST', message);
    });
  }

  it('refuses one out of the allowed domains', async () => {
    const server = await serve((_, response) =>
      response.writeHead(302, { location: `http://other.example:${server.port}/` }).end(),
    );
    const options = { ...OPEN, allowedDomains: ['media.example'] };
    const setup = { options, resolveHost: resolveTo('127.0.0.1') };
    const fetching = fetchFrom(`http://media.example:${server.port}/`, setup);

    await refused(fetching, 'INVALID_REQUEST', /not among the domains/);
    assert.equal(server.requests.length, 1);
  });

  for (const headers of [{}, { location: 'http://[' }]) {
    it(`reports one with ${JSON.stringify(headers)}`, async () => {
      const server = await serve((_, response) => response.writeHead(302, headers).end());

      await refused(fetchFrom(server.origin), 'MEDIA_FETCH_FAILED', /redirects to nowhere/);
    });
  }
});

describe('GuardedFetch and answers', () => {
  for (const status of [201, 204, 206, 304, 401, 404, 500]) {
    it(`reports status ${status}`, async () => {
      const server = await serve((_, response) => response.writeHead(status).end());
      const message = new RegExp(`answered with status ${status}`);

      await refused(fetchFrom(server.origin), 'MEDIA_FETCH_FAILED', message);
      await server.allClosed();
    });
  }

  it('takes a body of exactly the largest size', async () => {
    const server = await serve((_, response) => response.end(Buffer.alloc(MAX_ITEM_BYTES)));

    assert.equal((await fetchFrom(server.origin)).length, MAX_ITEM_BYTES);
  });

  it('refuses a declared length over the limit before the body', async () => {
    const server = await serve((_, response) => {
      response.writeHead(200, { 'content-length': MAX_ITEM_BYTES + 1 });
      response.flushHeaders();
    });

    await refused(fetchFrom(server.origin), 'PAYLOAD_TOO_LARGE', /larger than the 0.001 MB/);
    await server.allClosed();
  });

  it('cuts off an endless body at the limit and frees the connection', async () => {
    const server = await serve((_, response) => {
      const more = () => response.destroyed || response.write(Buffer.alloc(100), more);
      more();
    });

    await refused(fetchFrom(server.origin), 'PAYLOAD_TOO_LARGE', /larger than the 0.001 MB/);
    await server.allClosed();
  });

  it('returns no more than a declared length that is too small', async () => {
    const server = await serveRaw((socket) =>
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabcdef'),
    );

    assert.equal((await fetchFrom(server.origin)).toString(), 'abc');
  });

  it('gives up on a body in chunks of one byte', async () => {
    const server = await serveRaw((socket) =>
      socket.write(
        `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${'1\r\nx\r\n'.repeat(30_000)}`,
      ),
    );
    const fetcher = new GuardedFetch(OPEN);
    const limits = { maxItemBytes: MB, maxTotalBytes: MB };
    const large = { ...call(), budget: new ByteBudget(limits).item(PARAM), signal: never };

    const fetching = fetcher.fetch(new URL(server.origin), large);

    await refused(fetching, 'MEDIA_FETCH_FAILED', /chunks of a few bytes/);
    await server.allClosed();
  });

  it('reports a body shorter than its declared length', async () => {
    const server = await serveRaw((socket) =>
      socket.end('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc'),
    );

    await refused(
      fetchFrom(server.origin),
      'MEDIA_FETCH_FAILED',
      /connection to its server failed/,
    );
  });

  it('reports a server that does not speak HTTP', async () => {
    const server = await serveRaw((socket) => socket.end('220 mail.example ESMTP\r\n'));

    await refused(fetchFrom(server.origin), 'MEDIA_FETCH_FAILED', /does not answer in HTTP/);
  });

  it('reports headers without end', async () => {
    const server = await serveRaw((socket) => {
      socket.write(`HTTP/1.1 200 OK\r\n${'x-more: a\r\n'.repeat(4000)}`);
    });

    await refused(fetchFrom(server.origin), 'MEDIA_FETCH_FAILED', /does not answer in HTTP/);
    await server.allClosed();
  });

  it('refuses an answer compressed against its wish', async () => {
    const server = await serve((_, response) =>
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('bomb')),
    );

    await refused(fetchFrom(server.origin), 'MEDIA_FETCH_FAILED', /content encoding/);
  });

  it('reports a port nobody listens on', async () => {
    const server = await startMediaServer(() => {});
    await server.close();

    await refused(
      fetchFrom(server.origin),
      'MEDIA_FETCH_FAILED',
      /connection to its server failed/,
    );
  });

  it('reports a server without TLS behind an https URL', async () => {
    const server = await serveRaw((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    const url = server.origin.replace('http:', 'https:');

    await refused(fetchFrom(url), 'MEDIA_FETCH_FAILED', /does not speak TLS/);
  });
});

describe('GuardedFetch and time', () => {
  const options = { ...OPEN, timeoutMs: 60 };
  const tooLate = /did not deliver it within 0.06 s/;

  it('gives up on a server that never answers', async () => {
    const server = await serve(() => {});

    await refused(fetchFrom(server.origin, { options }), 'MEDIA_FETCH_FAILED', tooLate);
    await server.allClosed();
  });

  it('gives up on a body that stalls', async () => {
    const server = await serve((_, response) => response.write('a'));

    await refused(fetchFrom(server.origin, { options }), 'MEDIA_FETCH_FAILED', tooLate);
    await server.allClosed();
  });

  it('gives up on a body that drips', async () => {
    const server = await serve((_, response) => {
      const drip = setInterval(() => response.write('a'), 2);
      response.on('close', () => clearInterval(drip));
    });

    await refused(fetchFrom(server.origin, { options }), 'MEDIA_FETCH_FAILED', tooLate);
    await server.allClosed();
  });

  it('counts redirects into the same time', async () => {
    const server = await serve((request, response) => {
      if (request.url === '/') response.writeHead(302, { location: '/stall' }).end();
    });

    await refused(fetchFrom(server.origin, { options }), 'MEDIA_FETCH_FAILED', tooLate);
    assert.deepEqual(server.requests, ['/', '/stall']);
  });
});

describe('GuardedFetch and cancellation', () => {
  const left = new Error('the client left');

  it('passes an abort through and frees the connection', async () => {
    const controller = new AbortController();
    const server = await serve((_, response) => {
      response.write('a');
      controller.abort(left);
    });

    await assert.rejects(fetchFrom(server.origin, { signal: controller.signal }), left);
    await server.allClosed();
    assert.equal(server.numConnections(), 1);
  });

  it('does not begin for a client that has left', async () => {
    const server = await serve((_, response) => response.end('media'));

    await assert.rejects(fetchFrom(server.origin, { signal: AbortSignal.abort(left) }), left);
    assert.equal(server.numConnections(), 0);
  });

  it('does not connect once the client has left while the name was resolved', async () => {
    const controller = new AbortController();
    const server = await serve((_, response) => response.end('media'));
    const resolveHost: ResolveHost = async () => {
      controller.abort(left);
      return [{ address: '127.0.0.1', family: 4 }];
    };
    const url = `http://media.example:${server.port}/`;

    await assert.rejects(fetchFrom(url, { resolveHost, signal: controller.signal }), left);
    await server.allClosed();
    assert.deepEqual(server.requests, []);
  });
});
