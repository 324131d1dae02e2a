import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { afterEach, describe, it } from 'node:test';
import { MeshError } from '#mesh/errors.ts';
import { MaxPixelsMode, Modality } from '#protos/autoglm/common/v1/media.ts';
import { type MediaServer, startMediaServer } from '#test/contract/gateway/media/media-server.ts';
import { accepted, FakeBackbone, finished, saying } from './fake-backbone.ts';
import { errorOf, type Harness, type HarnessOptions, jsonOf, startHarness } from './harness.ts';
import { dataUrl, PNG, testdata, WAV } from './media-files.ts';

const PATH = '/v1/chat/completions';
const { MODALITY_IMAGE, MODALITY_AUDIO } = Modality;

let harness: Harness;
const servers: MediaServer[] = [];

async function start(options: HarnessOptions = {}): Promise<Harness> {
  harness = await startHarness(options);
  return harness;
}

afterEach(async () => {
  await harness.close();
  for (const server of servers.splice(0)) await server.close();
});

const text = (value: string) => ({ type: 'text', text: value });
const imageUrl = (url: string) => ({ type: 'image_url', image_url: { url, detail: 'high' } });
const image = imageUrl(dataUrl('image/png', PNG));
const audio = {
  type: 'input_audio',
  input_audio: { data: WAV.toString('base64'), format: 'wav' },
};
const asking = (...content: unknown[]) => ({ messages: [{ role: 'user', content }] });

/** Returns the content parts of the last start's messages: texts, and media indices as numbers. */
function partsOf({ starts }: FakeBackbone): (string | number)[][] {
  const form = starts.at(-1)?.prompt?.form;
  assert(form?.$case === 'chat');
  return form.value.messages.map(({ content }) =>
    content?.$case === 'parts'
      ? content.value.parts.flatMap(({ part }) => (part === undefined ? [] : [part.value]))
      : [content?.value ?? ''],
  );
}

describe('Media of a chat', () => {
  it('that are fetched count as the bodies do, and only until the answer', async () => {
    const large = Buffer.concat([PNG, Buffer.alloc(600_000)]);
    const server = await startMediaServer((_, response) => response.end(large));
    servers.push(server);
    const { post } = await start({ mediaFetchAllowPrivate: true, bodyBufferMb: 1 });
    const url = `${server.origin}/x.png`;

    const refused = await post(PATH, asking(imageUrl(url), imageUrl(`${url}?2`)));
    const answers = [];
    for (let n = 0; n < 3; n++) answers.push(await post(PATH, asking(imageUrl(`${url}?${n}`))));

    assert.equal(refused.status, 429);
    assert.match((await errorOf(refused)).message, /their media .* \(key "body-buffer-mb"\)/);
    assert.deepEqual(
      answers.map(({ status }) => status),
      [200, 200, 200],
    );
  });

  it('reach the backbone in their order, described and whole', async () => {
    const server = await startMediaServer((_, response) => response.end(testdata('still.gif')));
    servers.push(server);
    const { backbone, post } = await start({ mediaFetchAllowPrivate: true });

    const response = await post(PATH, {
      messages: [
        { role: 'system', content: 'look' },
        { role: 'user', content: [audio, text('a'), image, text('b')] },
        { role: 'user', content: [imageUrl(`${server.origin}/x.gif`), text('c')] },
        {
          role: 'user',
          content: [{ type: 'audio_url', audio_url: { url: dataUrl('audio/wav', WAV) } }],
        },
      ],
    });

    assert.equal(response.status, 200);
    await response.text();
    assert.deepEqual(partsOf(backbone), [['look'], [0, 'a', 1, 'b'], [2, 'c'], [3]]);
    const sent = [WAV, PNG, testdata('still.gif'), WAV];
    assert.deepEqual(backbone.uploads, [sent]);
    const items = backbone.starts[0]?.prompt?.media ?? [];
    assert.deepEqual(
      items.map(({ modality, mediaType, sizeBytes }) => [modality, mediaType, sizeBytes]),
      [
        [MODALITY_AUDIO, 'audio/wav', BigInt(WAV.length)],
        [MODALITY_IMAGE, 'image/png', BigInt(PNG.length)],
        [MODALITY_IMAGE, 'image/gif', BigInt(testdata('still.gif').length)],
        [MODALITY_AUDIO, 'audio/wav', BigInt(WAV.length)],
      ],
    );
    assert.deepEqual(
      items.map(({ contentHash }) => contentHash),
      sent.map((bytes) => createHash('sha256').update(bytes).digest()),
    );
  });

  it('are counted in the usage, whole and streamed', async () => {
    const { backbone, post } = await start();
    backbone.script = async function* () {
      yield accepted({ numPromptTokens: 90, numImageTokens: 72, numAudioTokens: 12 });
      yield finished({ numPromptTokens: 90 });
    };
    const details = { cached_tokens: 4, audio_tokens: 12, image_tokens: 72 };

    const whole = await jsonOf(await post(PATH, asking(image, audio)));
    const stream = await post(PATH, {
      ...asking(image, audio),
      stream: true,
      stream_options: { include_usage: true },
    });

    assert.deepEqual(Object(whole['usage']).prompt_tokens_details, details);
    const frames = await stream.text();
    assert(frames.includes(`"prompt_tokens_details":${JSON.stringify(details)}`), frames);
  });

  it('are preprocessed as the server says, and as the request says where it does', async () => {
    const { backbone, post } = await start({
      mmProcessorKwargs: '{"max_pixels":5000000}',
      maxPixelsMode: 'area',
    });

    await (await post(PATH, asking(image, audio))).text();
    await (await post(PATH, { ...asking(image), mm_processor_kwargs: { max_pixels: 99 } })).text();
    await (await post(PATH, { ...asking(image), mm_processor_kwargs: {} })).text();

    const maxPixelsMode = MaxPixelsMode.MAX_PIXELS_MODE_AREA;
    assert.deepEqual(
      backbone.starts.flatMap(({ prompt }) => prompt?.media.map(({ options }) => options)),
      [
        { maxPixels: 5_000_000n, minPixels: undefined, maxPixelsMode },
        undefined,
        { maxPixels: 99n, minPixels: undefined, maxPixelsMode },
        { maxPixels: 5_000_000n, minPixels: undefined, maxPixelsMode },
      ],
    );
  });

  it('are sent again when the request goes to another backbone', async () => {
    const backbones = [new FakeBackbone(), new FakeBackbone()];
    const { post } = await start({ backbones });
    let numCalls = 0;
    for (const one of backbones) {
      one.script = async function* () {
        if (++numCalls === 1) throw new MeshError('NO_READY_ENDPOINT', 'no encoder');
        yield* saying('seen');
      };
    }

    const response = await post(PATH, asking(image));

    assert.equal(response.status, 200);
    await response.text();
    assert.deepEqual(
      backbones.map(({ uploads }) => uploads),
      [[[PNG]], [[PNG]]],
    );
  });

  it('larger than any buffer arrive whole', async () => {
    const { backbone, post } = await start();
    const large = Buffer.concat([PNG, Buffer.alloc(18_000_000, 7)]);

    const response = await post(PATH, asking(imageUrl(dataUrl('image/png', large)), text('?')));

    assert.equal(response.status, 200);
    await response.text();
    assert(backbone.uploads[0]?.[0]?.equals(large));
  });

  it('cost no more than the answer when the backbone refuses before it has read them', async () => {
    const { backbone, post } = await start();
    const large = Buffer.concat([PNG, Buffer.alloc(18_000_000, 7)]);
    backbone.readsMedia = false;
    backbone.script = async function* () {
      throw new MeshError('QUEUE_FULL', 'full');
    };

    const response = await post(PATH, asking(imageUrl(dataUrl('image/png', large))));

    assert.equal(response.status, 429);
    await response.text();
  });

  it('of a kind the model does not read are refused by name', async () => {
    const deaf = new FakeBackbone();
    deaf.modalities = [MODALITY_IMAGE];
    const { post } = await start({ backbones: [deaf] });

    const response = await post(PATH, asking(image, audio));

    assert.equal(response.status, 400);
    assert.deepEqual(await errorOf(response), {
      message:
        'messages[0].content[1].input_audio.data: the model reads no audio, only text, image',
      type: 'invalid_request_error',
      param: 'messages[0].content[1].input_audio.data',
      code: 'unsupported_media',
    });
    assert.equal(deaf.starts.length, 0);
  });

  it('that no backbone can read at this moment are 503 with Retry-After', async () => {
    const { backbone, post } = await start();
    backbone.script = async function* () {
      throw new MeshError('NO_READY_ENDPOINT', 'no vision-encoder is ready');
    };

    const response = await post(PATH, asking(image));

    assert.equal(response.status, 503);
    assert.match(response.headers.get('retry-after') ?? '', /^[12]$/);
    assert.match((await errorOf(response)).message, /vision-encoder/);
  });
});

describe('A media item at fault', () => {
  const URL_PARAM = 'messages[0].content[1].image_url.url';

  const CASES = [
    { name: 'that is no image', bytes: WAV, status: 400, message: /looks like WAV/ },
    { name: 'that is empty', bytes: Buffer.alloc(0), status: 400, message: /is empty/ },
    {
      name: 'over the size limit',
      bytes: Buffer.concat([PNG, Buffer.alloc(20_000)]),
      status: 413,
      message: /larger than the 0.02 MB/,
    },
  ] as const;

  for (const { name, bytes, status, message } of CASES) {
    it(`${name} is ${status} and named`, async () => {
      const { post } = await start({ maxMediaMb: 0.02 });

      const response = await post(PATH, asking(text('?'), imageUrl(dataUrl('image/png', bytes))));

      assert.equal(response.status, status);
      const error = await errorOf(response);
      assert.equal(error.param, URL_PARAM);
      assert.match(error.message, message);
    });
  }

  it('that cannot be fetched is 424 and named, also where a stream was asked for', async () => {
    const server = await startMediaServer((_, response) => response.writeHead(404).end());
    servers.push(server);
    const { post } = await start({ mediaFetchAllowPrivate: true });

    const response = await post(PATH, {
      ...asking(text('?'), imageUrl(`${server.origin}/gone.png`)),
      stream: true,
    });

    assert.equal(response.status, 424);
    const error = await errorOf(response);
    assert.equal(error.code, 'media_fetch_failed');
    assert.equal(error.param, URL_PARAM);
  });

  it('on a private address is refused', async () => {
    const { post } = await start();

    const response = await post(PATH, asking(text('?'), imageUrl('http://127.0.0.1/x.png')));

    assert.equal(response.status, 400);
    assert.match((await errorOf(response)).message, /not on the public internet/);
  });

  it('that the encoder refuses is named as the client wrote it', async () => {
    const { backbone, post } = await start();
    backbone.script = async function* () {
      const message = 'media[1] is a truncated PNG';
      throw new MeshError('UNSUPPORTED_MEDIA', message, { param: 'media[1]' });
    };

    const response = await post(PATH, asking(image, image));

    assert.equal(response.status, 400);
    const error = await errorOf(response);
    assert.equal(error.param, URL_PARAM);
    assert.equal(error.message, `${URL_PARAM} is a truncated PNG`);
  });

  it('beyond the limit of items is named', async () => {
    const { post } = await start({ limitMmPerPrompt: 'image=1' });

    const response = await post(PATH, asking(image, image));

    assert.equal(response.status, 400);
    assert.equal((await errorOf(response)).param, URL_PARAM);
  });

  it('with options nobody knows is refused before the backbone is asked', async () => {
    const { backbone, post } = await start();

    const unknown = await post(PATH, {
      ...asking(image),
      mm_processor_kwargs: { do_resize: false },
    });

    assert.equal(unknown.status, 400);
    assert.equal((await errorOf(unknown)).param, 'mm_processor_kwargs.do_resize');
    assert.deepEqual(backbone.starts, []);
  });
});

describe('A media fetch', () => {
  it('ends with the deadline of its request', async () => {
    const server = await startMediaServer(() => {});
    servers.push(server);
    const { post } = await start({ mediaFetchAllowPrivate: true, requestTimeoutS: 0.2 });

    const response = await post(PATH, asking(imageUrl(`${server.origin}/slow.png`)));

    assert.equal(response.status, 504);
    assert.equal((await errorOf(response)).code, 'deadline_exceeded');
    await server.allClosed();
  });

  it('ends with its client', async () => {
    const leaving = new AbortController();
    const server = await startMediaServer(() => leaving.abort());
    servers.push(server);
    const { post } = await start({ mediaFetchAllowPrivate: true });

    const asked = post(PATH, asking(imageUrl(`${server.origin}/slow.png`)), {
      signal: leaving.signal,
    });

    await assert.rejects(asked, { name: 'AbortError' });
    await server.allClosed();
  });
});

describe('POST /tokenize with media', () => {
  it('counts the rows that a generation of the same chat has', async () => {
    const { backbone, post } = await start({ mmProcessorKwargs: '{"max_pixels":99}' });
    backbone.script = async function* () {
      yield accepted({ promptTokenIds: [5, 7, 7, 7, 6] });
      yield finished();
    };

    const response = await post('/tokenize', asking(image, audio, text('?')));

    assert.equal(response.status, 200);
    assert.equal(Object(await response.json()).count, 2);
    assert.deepEqual(backbone.trace.at(-1), 'tokenize phone-nano tokens 0');
    assert.deepEqual(backbone.uploads, [[PNG, WAV]]);
    const [sent] = backbone.starts;
    assert.equal(sent?.planOnly, true);
    assert.equal(sent?.sampling?.maxTokens, 0);
    assert.equal(sent?.prompt?.media[0]?.options?.maxPixels, 99n);
  });

  it('are refused as those of a generation', async () => {
    const { backbone, post } = await start({ limitMmPerPrompt: 'image=1' });
    backbone.script = async function* () {
      throw new MeshError('INVALID_REQUEST', 'media[0]: too long', { param: 'media[0]' });
    };

    const refused = await errorOf(await post('/tokenize', asking(image)));
    const many = await post('/tokenize', asking(image, image));

    assert.equal(refused.param, 'messages[0].content[0].image_url.url');
    assert.equal(many.status, 400);
    assert.match(await many.text(), /at most 1 are allowed/);
  });
});
