import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { type Mesh, startMesh } from '#test/e2e/mesh.ts';
import { type Body, jsonPost, userMessage } from '#test/e2e/request/chat-request.ts';
import { readMedia } from '#test/e2e/request/phone-cases.ts';
import { uniqueImage } from '#test/e2e/request/unique-media.ts';

const FLOOD_KEY = 'many';
const OTHER_KEY = 'one';
const NUM_IMAGES = 100;
const NUM_FLOOD = 60;
/** Requests of the other client during the flood. */
const NUM_OTHER = 3;
/** Most answers of the flood while the other client gets its own. */
const MAX_PASSED = 30;
const NUM_HANGING = 96;
const IMAGES_PER_REQUEST = 8;
/** Number of fetches that one host's part of the places allows. */
const MIN_HANGING = 64;
/** Most milliseconds that fetches of another client may add to one's own. */
const MAX_FETCH_DELAY_MS = 1000;

const TEXT: Body = { messages: userMessage('Who are you?'), ignore_eos: true, max_tokens: 40 };

describe('a crowd of requests of one client', () => {
  let mesh: Mesh;
  before(async () => {
    mesh = await startMesh({
      env: { AUTOGLM_API_KEY: `${FLOOD_KEY},${OTHER_KEY}` },
      gateway: ['media-fetch-allow-private: true'],
      backbone: ['max-num-seqs: 4', 'max-num-waiting: 64'],
    });
  });
  after(() => mesh.stop());

  async function ask(key: string, body: Body, signal?: AbortSignal): Promise<number> {
    const post = jsonPost(body);
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${key}` };
    const init = { ...post, headers, ...(signal && { signal }) };
    const answer = await fetch(`${mesh.url}/v1/chat/completions`, init);
    await answer.arrayBuffer();
    return answer.status;
  }

  it('that wait for their images keeps no text from its place', async () => {
    const images = await Promise.all(Array.from({ length: NUM_IMAGES }, uniqueImage));
    let isOver = false;
    const looking = Promise.all(
      images.map((image) => ask(FLOOD_KEY, { messages: userMessage([image]), max_tokens: 1 })),
    ).finally(() => {
      isOver = true;
    });
    const texts: number[] = [];
    do texts.push(await ask(OTHER_KEY, { ...TEXT, max_tokens: 4 }));
    while (!isOver);

    assert.deepEqual(new Set(texts), new Set([200]));
    assert.deepEqual(new Set(await looking), new Set([200]));
  });

  it('does not starve another client', async () => {
    let numPassed = 0;
    const flood = Array.from({ length: NUM_FLOOD }, async () => {
      const status = await ask(FLOOD_KEY, TEXT);
      numPassed++;
      return status;
    });
    await Promise.race(flood);
    const passedBefore = numPassed;

    for (let i = 0; i < NUM_OTHER; i++) assert.equal(await ask(OTHER_KEY, TEXT), 200);

    const passed = numPassed - passedBefore;
    assert(passed <= MAX_PASSED, `${passed} answers of the flood came first`);
    assert.deepEqual(new Set(await Promise.all(flood)), new Set([200]));
  });

  it('with media that never come delays no fetch of another client', async () => {
    const connections: Socket[] = [];
    const hanging = createServer((socket) => connections.push(socket.on('error', () => {})));
    const png = readMedia('media/image5.png');
    const good = createHttpServer((_, answer) => answer.end(png));
    const [silentUrl, goodUrl] = [await listen(hanging), await listen(good)];
    const leaving = new AbortController();
    const timeOf = async () => {
      const startMs = performance.now();
      const image = { type: 'image_url', image_url: { url: goodUrl } };
      const body = { messages: userMessage([image]), max_tokens: 1 };
      assert.equal(await ask(OTHER_KEY, body), 200);
      return performance.now() - startMs;
    };
    await timeOf();
    const aloneMs = await timeOf();

    const crowd = Array.from({ length: NUM_HANGING / IMAGES_PER_REQUEST }, (_, n) => {
      const parts = Array.from({ length: IMAGES_PER_REQUEST }, (_, i) => ({
        type: 'image_url',
        image_url: { url: `${silentUrl}/${n}-${i}.png` },
      }));
      return ask(FLOOD_KEY, { messages: userMessage(parts), max_tokens: 1 }, leaving.signal);
    });
    const ended = Promise.allSettled(crowd);
    while (connections.length < MIN_HANGING) await once(hanging, 'connection');
    const besideMs = await timeOf();
    leaving.abort();
    await ended;
    for (const connection of connections) connection.destroy();
    hanging.close();
    good.close();

    assert(besideMs - aloneMs < MAX_FETCH_DELAY_MS, `${besideMs} ms instead of ${aloneMs} ms`);
  });
});

/** Listens on a free port; resolves to the URL. */
async function listen(server: Server): Promise<string> {
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = server.address();
  assert(isPort(address));
  return `http://127.0.0.1:${address.port}`;
}

function isPort(address: string | AddressInfo | null): address is AddressInfo {
  return typeof address === 'object' && address !== null;
}
