import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { join } from 'node:path';
import { afterEach, describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { Type } from 'typebox';
import { createMediaLoader } from '#gateway/media/create-media-loader.ts';
import type { MediaLoader } from '#gateway/media/media-loader.ts';
import { type MediaOptions, mediaProperties } from '#gateway/media/media-options.ts';
import { type MediaReference, mediaReference } from '#gateway/openai/request/media-reference.ts';
import { MAX_CHUNK_BYTES } from '#mesh/encode/upload-limits.ts';
import { type ErrorReason, MeshError } from '#mesh/errors.ts';
import { resolveOptions } from '#mesh/options.ts';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { refusal } from '#test/refusal.ts';
import { turnsDuring } from '#test/unit/turns-during.ts';
import { deferred } from './deferred.ts';
import { type MediaServer, startMediaServer } from './media-server.ts';

const TESTDATA = join(PACKAGE_ROOT, 'test/testdata');
const PNG = readFileSync(`${TESTDATA}/resize/0.in.png`);
const WAV = readFileSync(`${TESTDATA}/conformer-tiny/audio0.wav`);
const GIF = Buffer.from('GIF89a\x01\0\x01\0\0\0\0;', 'latin1');
const never = { clientId: 'client', hold: () => {}, signal: new AbortController().signal };

const servers: MediaServer[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

async function serve(answer: RequestListener): Promise<MediaServer> {
  const server = await startMediaServer(answer);
  servers.push(server);
  return server;
}

function options(values: Partial<MediaOptions> = {}): MediaOptions {
  return resolveOptions(Type.Object(mediaProperties), values, {});
}

function loader(values: Partial<MediaOptions> = {}): MediaLoader {
  return createMediaLoader(options({ mediaFetchAllowPrivate: true, ...values }), {
    warn: () => {},
  });
}

/** Returns the media references of one message with these parts. */
function references(...parts: readonly Readonly<Record<string, unknown>>[]): MediaReference[] {
  return parts.flatMap(
    (part, i) => mediaReference({ part, at: `messages[0].content[${i}]` }) ?? [],
  );
}

const imageUrl = (url: string) => ({ type: 'image_url', image_url: { url } });
const imageData = (bytes: Buffer) => imageUrl(`data:image/png;base64,${bytes.toString('base64')}`);
const audioData = (bytes: Buffer) => ({
  type: 'input_audio',
  input_audio: { data: bytes.toString('base64'), format: 'wav' },
});

async function refused(
  loading: Promise<unknown>,
  reason: ErrorReason,
  param: string,
  message: RegExp,
) {
  await assert.rejects(loading, refusal(reason, message, param));
}

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest();

describe('MediaLoader', () => {
  it('loads inline, remote and local items of both modalities in their order', async () => {
    const server = await serve((request, response) =>
      response.end(request.url === '/a.wav' ? WAV : GIF),
    );
    const items = await loader({ allowedLocalMediaPath: TESTDATA }).load(
      references(
        audioData(WAV),
        imageUrl(`${server.origin}/a.gif`),
        imageData(PNG),
        { type: 'audio_url', audio_url: { url: `${server.origin}/a.wav` } },
        imageUrl(pathToFileURL(`${TESTDATA}/resize/0.in.png`).href),
      ),
      never,
    );

    assert.deepEqual(
      items,
      (
        [
          ['audio', 'audio/wav', WAV, 'input_audio.data'],
          ['image', 'image/gif', GIF, 'image_url.url'],
          ['image', 'image/png', PNG, 'image_url.url'],
          ['audio', 'audio/wav', WAV, 'audio_url.url'],
          ['image', 'image/png', PNG, 'image_url.url'],
        ] as const
      ).map(([modality, mediaType, bytes, field], i) => ({
        modality,
        mediaType,
        bytes,
        contentHash: sha256(bytes),
        param: `messages[0].content[${i}].${field}`,
      })),
    );
  });

  for (const [what, url] of [
    [
      'percent-encoded base64',
      `data:image/png;base64,${encodeURIComponent(PNG.toString('base64'))}`,
    ],
    ['percent-encoded bytes', `data:image/png,${PNG.toString('hex').replaceAll(/../g, '%$&')}`],
    ['the URL alphabet without padding', `data:image/png;base64,${PNG.toString('base64url')}`],
    ['no media type', `data:;base64,${PNG.toString('base64')}`],
    ['parameters', `data:image/png;name=a.png;charset=utf-8;base64,${PNG.toString('base64')}`],
    ['another declared type', `data:image/jpeg;base64,${PNG.toString('base64')}`],
  ] as const) {
    it(`loads a data URL with ${what}`, async () => {
      const [item] = await loader().load(references(imageUrl(url)), never);

      assert.deepEqual(item?.bytes, PNG);
      assert.equal(item?.mediaType, 'image/png');
    });
  }

  it('counts the bytes that are memory of their own', async () => {
    const server = await serve((_, response) => response.end(GIF));
    const held: number[] = [];
    const call = { ...never, hold: (numBytes: number) => held.push(numBytes) };
    const upload: MediaReference = {
      modality: 'audio',
      source: { kind: 'bytes', bytes: WAV },
      declaredType: undefined,
      param: 'file',
    };
    const local = imageUrl(pathToFileURL(`${TESTDATA}/resize/0.in.png`).href);

    await loader({ allowedLocalMediaPath: TESTDATA }).load(
      [...references(imageUrl(`${server.origin}/a.gif`), imageData(PNG), local), upload],
      call,
    );

    const sum = held.reduce((a, b) => a + b, 0);
    assert.equal(sum, GIF.length + 2 * PNG.length);
  });

  it('loads uploaded bytes', async () => {
    const upload: MediaReference = {
      modality: 'audio',
      source: { kind: 'bytes', bytes: WAV },
      declaredType: 'audio/x-wav',
      param: 'file',
    };
    const [item] = await loader().load([upload], never);

    assert.equal(item?.mediaType, 'audio/wav');
    assert.deepEqual(item?.contentHash, sha256(WAV));
  });

  it('lets the event loop turn while it hashes a large item', async () => {
    const numChunks = 20;
    const bytes = Buffer.concat([WAV, Buffer.alloc(numChunks * MAX_CHUNK_BYTES)]);
    const source = { kind: 'bytes', bytes } as const;
    const upload = { modality: 'audio', source, declaredType: undefined, param: 'file' } as const;

    const numTurns = await turnsDuring(() => loader().load([upload], never));

    assert.ok(numTurns >= numChunks, `${numTurns} turns for ${numChunks} chunks`);
  });

  it('loads nothing from nothing', async () => {
    assert.deepEqual(await loader().load([], never), []);
  });

  it('fetches in parallel', async () => {
    const allThere = deferred();
    const server = await serve((_, response) => {
      if (server.requests.length === 10) allThere.resolve();
      void allThere.promise.then(() => response.end(GIF));
    });
    const parts = Array.from({ length: 10 }, (_, i) => imageUrl(`${server.origin}/${i}`));

    assert.equal((await loader().load(references(...parts), never)).length, 10);
  });
});

describe('MediaLoader refusals', () => {
  it('refuses malformed base64', async () => {
    const loading = loader().load(references(imageUrl('data:image/png;base64,*')), never);

    await refused(
      loading,
      'INVALID_REQUEST',
      'messages[0].content[0].image_url.url',
      /not valid base64/,
    );
  });

  for (const [url, message] of [
    ['data:image/png;base64,', /is empty/],
    ['data:image/svg+xml,%3Csvg%20xmlns=', /looks like SVG \(declared as image\/svg\+xml\)/],
    ['data:image/png;base64,%zz%zz', /not valid base64/],
    [
      `data:image/png;base64,${WAV.toString('base64')}`,
      /looks like WAV \(declared as image\/png\)/,
    ],
  ] as const) {
    it(`refuses ${url.slice(0, 40)}`, async () => {
      await assert.rejects(loader().load(references(imageUrl(url)), never), { message });
    });
  }

  it('refuses percent-encoded items over the limit', async () => {
    const text = PNG.toString('hex').replaceAll(/../g, '%$&');
    for (const url of [
      `data:image/png,${text}`,
      `data:image/png;base64,${encodeURIComponent(PNG.toString('base64'))}`,
    ]) {
      const loading = loader({ maxMediaMb: 0.0001 }).load(references(imageUrl(url)), never);
      const param = 'messages[0].content[0].image_url.url';

      await refused(loading, 'PAYLOAD_TOO_LARGE', param, /larger than the 0.0001 MB/);
    }
  });

  it('refuses an inline item over the limit', async () => {
    const loading = loader({ maxMediaMb: 0.0001 }).load(references(imageData(PNG)), never);
    const param = 'messages[0].content[0].image_url.url';

    await refused(loading, 'PAYLOAD_TOO_LARGE', param, /larger than the 0.0001 MB/);
  });

  it('refuses an upload over the limit', async () => {
    const source = { kind: 'bytes', bytes: WAV } as const;
    const upload = { modality: 'audio', source, declaredType: undefined, param: 'file' } as const;
    const loading = loader({ maxMediaMb: 0.0001 }).load([upload], never);

    await refused(loading, 'PAYLOAD_TOO_LARGE', 'file', /larger than/);
  });

  it('refuses items that are small alone and too large together', async () => {
    const server = await serve((_, response) => response.end(GIF));
    const maxTotalMediaMb = (GIF.length * 2) / 1_000_000;
    const parts = [imageData(GIF), imageData(GIF), imageUrl(server.origin)];
    const loading = loader({ maxTotalMediaMb }).load(references(...parts), never);
    const param = 'messages[0].content[2].image_url.url';

    await refused(loading, 'PAYLOAD_TOO_LARGE', param, /media of one request may have/);
  });

  it('refuses too many items before it fetches any', async () => {
    const server = await serve((_, response) => response.end(GIF));
    const parts = [imageUrl(server.origin), imageUrl(server.origin)];
    const loading = loader({ limitMmPerPrompt: 'image=1' }).load(references(...parts), never);
    const param = 'messages[0].content[1].image_url.url';

    await refused(loading, 'INVALID_REQUEST', param, /2 image items, at most 1/);
    assert.equal(server.numConnections(), 0);
  });

  it('refuses a page where an image was promised', async () => {
    const server = await serve((_, response) => {
      response.writeHead(200, { 'content-type': 'image/png' }).end('<!doctype html><html>');
    });
    const loading = loader().load(references(imageUrl(server.origin)), never);
    const param = 'messages[0].content[0].image_url.url';

    await refused(loading, 'UNSUPPORTED_MEDIA', param, /looks like an HTML page/);
  });

  it('refuses remote items when fetching is off', async () => {
    const server = await serve((_, response) => response.end(GIF));
    const loading = loader({ mediaFetch: 'off' }).load(references(imageUrl(server.origin)), never);
    const param = 'messages[0].content[0].image_url.url';

    await refused(loading, 'INVALID_REQUEST', param, /fetches no media/);
    assert.equal(server.numConnections(), 0);
  });

  it('refuses local files by default', async () => {
    const loading = loader().load(references(imageUrl('file:///etc/passwd')), never);
    const param = 'messages[0].content[0].image_url.url';

    await refused(loading, 'INVALID_REQUEST', param, /not read by this server/);
  });

  it('refuses private addresses by default', async () => {
    const server = await serve((_, response) => response.end(GIF));
    const guarded = loader({ mediaFetchAllowPrivate: false });
    const param = 'messages[0].content[0].image_url.url';
    const url = 'http://169.254.169.254/latest/meta-data/';

    await refused(
      guarded.load(references(imageUrl(url)), never),
      'INVALID_REQUEST',
      param,
      /public internet/,
    );
    await refused(
      guarded.load(references(imageUrl(server.origin)), never),
      'INVALID_REQUEST',
      param,
      /only 80 and 443/,
    );
    assert.equal(server.numConnections(), 0);
  });

  it('ends the other fetches at the first failure', async () => {
    const stalled = deferred();
    const server = await serve((request, response) => {
      if (request.url === '/stalls') stalled.resolve();
      else void stalled.promise.then(() => response.writeHead(404).end());
    });
    const parts = [imageUrl(`${server.origin}/stalls`), imageUrl(`${server.origin}/fails`)];
    const loading = loader().load(references(...parts), never);
    const param = 'messages[0].content[1].image_url.url';

    await refused(loading, 'MEDIA_FETCH_FAILED', param, /status 404/);
    await server.allClosed();
  });
});

describe('MediaLoader and cancellation', () => {
  it('passes an abort through and frees every connection', async () => {
    const left = new Error('the client left');
    const controller = new AbortController();
    const server = await serve(() => {
      if (server.requests.length === 3) controller.abort(left);
    });
    const parts = Array.from({ length: 3 }, (_, i) => imageUrl(`${server.origin}/${i}`));

    await assert.rejects(
      loader().load(references(...parts), { ...never, signal: controller.signal }),
      left,
    );
    await server.allClosed();
  });

  it('decodes nothing for a client that has left', async () => {
    const left = new Error('the client left');
    const signal = AbortSignal.abort(left);

    await assert.rejects(loader().load(references(imageData(PNG)), { ...never, signal }), left);
  });
});

describe('createMediaLoader', () => {
  const withPort: string[] = ['example.com:8080'];
  const warnings = (values: Partial<MediaOptions>): string[] => {
    const lines: string[] = [];
    createMediaLoader(options(values), { warn: (line) => lines.push(line) });
    return lines;
  };

  it('says nothing about safe options', () => {
    assert.deepEqual(warnings({}), []);
  });

  it('warns when private addresses may be fetched', () => {
    assert.match(warnings({ mediaFetchAllowPrivate: true }).join(), /media-fetch-allow-private/);
  });

  for (const [key, values] of [
    ['allowed-local-media-path', { allowedLocalMediaPath: '/nowhere/at/all' }],
    ['allowed-local-media-path', { allowedLocalMediaPath: `${TESTDATA}/resize/0.in.png` }],
    ['limit-mm-per-prompt', { limitMmPerPrompt: 'video=1' }],
    ['allowed-media-domains', { allowedMediaDomains: withPort }],
  ] as const) {
    it(`refuses ${JSON.stringify(values)} at start, naming ${key}`, () => {
      assert.throws(
        () => warnings(values),
        (error) => error instanceof MeshError && error.message.includes(`"${key}"`),
      );
    });
  }
});
