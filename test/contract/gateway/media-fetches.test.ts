import assert from 'node:assert/strict';
import type { RequestListener } from 'node:http';
import type { Socket } from 'node:net';
import { afterEach, describe, it } from 'node:test';
import { within } from '#test/bounded.ts';
import {
  type MediaServer,
  startMediaServer,
  startRawServer,
} from '#test/contract/gateway/media/media-server.ts';
import { type Harness, startHarness } from './harness.ts';
import { PNG } from './media-files.ts';

const PATH = '/v1/chat/completions';

/** Most milliseconds by which fetches that hang may delay one from another host. */
const MAX_DELAY_MS = 1000;

let harness: Harness;
const servers: MediaServer[] = [];
afterEach(async () => {
  await harness.close();
  for (const server of servers.splice(0)) await server.close();
});

async function serve(answer: RequestListener): Promise<MediaServer> {
  const server = await startMediaServer(answer);
  servers.push(server);
  return server;
}

async function serveRaw(answer: (socket: Socket) => void): Promise<MediaServer> {
  const server = await startRawServer(answer);
  servers.push(server);
  return server;
}

/** Returns a chat that shows the model these pictures. */
const showing = (urls: readonly string[]) => ({
  messages: [
    { role: 'user', content: urls.map((url) => ({ type: 'image_url', image_url: { url } })) },
  ],
});

/** Asks with an image of a host that answers at once; the answer may take no longer than allowed. */
async function honestAnswer(): Promise<void> {
  const server = await serve((_, response) => response.end(PNG));
  const asking = harness.post(PATH, showing([`${server.origin}/screen.png`]));
  const wait = { what: 'the answer about the honest image', boundMs: MAX_DELAY_MS };
  const response = await within(asking, wait);

  assert.equal(response.status, 200, await response.text());
}

/** Sends requests whose images hang, from the same client, and leaves them running. */
function attack(urls: readonly string[], perRequest: number): void {
  for (let at = 0; at < urls.length; at += perRequest) {
    harness.post(PATH, showing(urls.slice(at, at + perRequest))).catch(() => {});
  }
}

describe('Fetches that hang', () => {
  it('do not delay an image of another host: 96 at one host, in one request', async () => {
    const hanging = await serve(() => {});
    harness = await startHarness({ mediaFetchAllowPrivate: true, limitMmPerPrompt: 'image=96' });

    attack(
      Array.from({ length: 96 }, (_, i) => `${hanging.origin}/${i}`),
      96,
    );
    await honestAnswer();
  });

  it('do not delay an image of another host: 96 hosts, which accept and say nothing', async () => {
    const hanging = await Promise.all(Array.from({ length: 96 }, () => serveRaw(() => {})));
    harness = await startHarness({ mediaFetchAllowPrivate: true });

    attack(
      hanging.map(({ origin }) => origin),
      8,
    );
    await honestAnswer();
  });

  it('do not delay an image of another host: answers that drip', async () => {
    const hanging = await serve((_, response) => {
      const drip = setInterval(() => response.write('a'), 50);
      response.on('close', () => clearInterval(drip));
    });
    harness = await startHarness({ mediaFetchAllowPrivate: true });

    attack(
      Array.from({ length: 96 }, (_, i) => `${hanging.origin}/${i}`),
      8,
    );
    await honestAnswer();
  });

  it('do not delay an image of another host: redirects to a host that hangs', async () => {
    const hanging = await serve(() => {});
    const sender = await serve((request, response) =>
      response.writeHead(302, { location: `${hanging.origin}${request.url}` }).end(),
    );
    harness = await startHarness({ mediaFetchAllowPrivate: true });

    attack(
      Array.from({ length: 96 }, (_, i) => `${sender.origin}/${i}`),
      8,
    );
    await honestAnswer();
  });

  it('are closed when their client leaves', async () => {
    const hanging = await serve(() => {});
    harness = await startHarness({ mediaFetchAllowPrivate: true });
    const leaving = new AbortController();
    const body = JSON.stringify(
      showing(Array.from({ length: 8 }, (_, i) => `${hanging.origin}/${i}`)),
    );
    const asking = fetch(harness.url + PATH, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
      signal: leaving.signal,
    }).catch(() => {});
    while (hanging.numConnections() < 8) await new Promise((resolve) => setImmediate(resolve));
    leaving.abort();
    await asking;

    await within(hanging.allClosed(), { what: 'the end of all fetches', boundMs: MAX_DELAY_MS });
  });
});
