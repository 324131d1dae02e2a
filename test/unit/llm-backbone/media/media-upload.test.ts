import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { MediaBuffer } from '#backbone/media/media-buffer.ts';
import { readIdentity } from '#backbone/media/media-item.ts';
import { receiveMedia } from '#backbone/media/media-upload.ts';
import { MAX_CHUNK_BYTES } from '#mesh/encode/upload-limits.ts';
import { MaxPixelsMode, Modality } from '#protos/autoglm/common/v1/media.ts';
import type { GenerateRequest } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import { MediaItem } from '#protos/autoglm/llm/v1/prompt.ts';
import { refusal } from '#test/refusal.ts';
import { turnsDuring } from '#test/unit/turns-during.ts';

const { signal } = new AbortController();

function announce(
  content: string | Buffer,
  changes: Parameters<typeof MediaItem.fromPartial>[0] = {},
) {
  const bytes = Buffer.from(content);
  return MediaItem.fromPartial({
    modality: Modality.MODALITY_IMAGE,
    mediaType: 'image/png',
    contentHash: createHash('sha256').update(bytes).digest(),
    sizeBytes: bytes.length,
    ...changes,
  });
}

async function* chunks(
  ...list: readonly (readonly [number, string | Buffer])[]
): AsyncGenerator<GenerateRequest> {
  for (const [mediaIndex, data] of list) {
    const value = { mediaIndex, data: Buffer.from(data) };
    yield { event: { $case: 'mediaChunk', value } };
  }
}

describe('receiveMedia', () => {
  const items = [announce('hello'), announce('goodbye')].map(readIdentity);

  it('sorts chunks to their items, in whatever order the items come', async () => {
    const sent = chunks([1, 'good'], [0, 'he'], [1, 'bye'], [0, 'llo']);

    const received = await receiveMedia(sent, items, signal);

    const texts = received.map((item) => Buffer.concat(item.chunks).toString());
    assert.deepEqual(texts, ['hello', 'goodbye']);
  });

  const refused = [
    {
      name: 'missing bytes',
      sent: chunks([0, 'hel'], [1, 'goodbye']),
      matches: refusal('INVALID_REQUEST', /item 0: 3 of 5 bytes arrived/, 'media[0]'),
    },
    {
      name: 'more bytes than announced, before the rest has come',
      sent: chunks([1, 'goodbye!'], [0, 'hello']),
      matches: refusal('INVALID_REQUEST', /item 1: size_bytes says 7 bytes, 8/, 'media[1]'),
    },
    {
      name: 'other bytes than announced',
      sent: chunks([0, 'hallo'], [1, 'goodbye']),
      matches: refusal('INVALID_REQUEST', /item 0: content_hash is 2cf24dba.*have/, 'media[0]'),
    },
    {
      name: 'bytes of an item that was not announced',
      sent: chunks([2, 'x']),
      matches: refusal('INVALID_REQUEST', /names item 2, the start names 2 media items/),
    },
    {
      name: 'a chunk over the bound',
      sent: chunks([0, Buffer.alloc(256 * 1024 + 1)]),
      matches: refusal('INVALID_REQUEST', /has 262145 bytes, at most 262144/),
    },
  ];
  for (const { name, sent, matches } of refused) {
    it(`refuses ${name}`, async () => {
      await assert.rejects(receiveMedia(sent, items, signal), matches);
    });
  }

  it('reads at most one chunk in a turn of the event loop, however many are there', async () => {
    const chunk = Buffer.alloc(MAX_CHUNK_BYTES, 1);
    const numChunks = 20;
    const item = announce(Buffer.concat(Array<Buffer>(numChunks).fill(chunk)));
    const sent = chunks(...Array<[number, Buffer]>(numChunks).fill([0, chunk]));

    const numTurns = await turnsDuring(() => receiveMedia(sent, [readIdentity(item, 0)], signal));

    assert.ok(numTurns >= numChunks - 1, `${numTurns} turns for ${numChunks} chunks`);
  });

  it('takes the end of a cancelled call for no half-close', async () => {
    const gone = AbortSignal.abort();

    await assert.rejects(receiveMedia(chunks(), items, gone), { name: 'AbortError' });
  });
});

describe('readIdentity', () => {
  const keyOf = (changes: Parameters<typeof announce>[1]) =>
    readIdentity(announce('hello', changes), 0).key;

  it('gives items one key where nothing that decides their rows differs', () => {
    const ignored = { maxPixels: 5n, maxPixelsMode: MaxPixelsMode.MAX_PIXELS_MODE_IGNORE };

    assert.equal(keyOf({}), keyOf({ options: ignored }));
    assert.equal(keyOf({}), keyOf({ options: {} }));
  });

  it('gives a recording one key whatever is said of pixels', () => {
    const modality = Modality.MODALITY_AUDIO;
    const area = { maxPixels: 5n, maxPixelsMode: MaxPixelsMode.MAX_PIXELS_MODE_AREA };

    assert.equal(keyOf({ modality, options: area }), keyOf({ modality }));
    assert.equal(keyOf({ modality, options: { maxPixels: 0n } }), keyOf({ modality }));
  });

  it('tells apart content, kind, type and pixel budget', () => {
    const area = { maxPixels: 5n, maxPixelsMode: MaxPixelsMode.MAX_PIXELS_MODE_AREA };
    const volume = { ...area, maxPixelsMode: MaxPixelsMode.MAX_PIXELS_MODE_VOLUME };
    const keys = [
      keyOf({}),
      keyOf({ contentHash: Buffer.alloc(32) }),
      keyOf({ modality: Modality.MODALITY_AUDIO }),
      keyOf({ mediaType: 'image/gif' }),
      keyOf({ options: area }),
      keyOf({ options: volume }),
    ];

    assert.equal(new Set(keys).size, keys.length);
  });

  const refused = [
    {
      name: 'a short hash',
      changes: { contentHash: Buffer.alloc(3) },
      matches: refusal('INVALID_REQUEST', /32 bytes, got 3/, 'media[4]'),
    },
    {
      name: 'an empty item',
      changes: { sizeBytes: 0n },
      matches: refusal('UNSUPPORTED_MEDIA', /item 4 is empty/, 'media[4]'),
    },
    {
      name: 'a media type that is no name',
      changes: { mediaType: `image/${'x'.repeat(1000)}` },
      matches: refusal('INVALID_REQUEST', /has 1006 characters, at most 512/, 'media[4]'),
    },
    {
      name: 'a budget of no pixels',
      changes: { options: { maxPixels: 0n } },
      matches: refusal('INVALID_REQUEST', /max_pixels must be between 1/, 'media[4]'),
    },
    {
      name: 'an unknown kind',
      changes: { modality: Modality.MODALITY_UNSPECIFIED },
      matches: refusal('INVALID_REQUEST', /image and audio are known/, 'media[4]'),
    },
  ];
  for (const { name, changes, matches } of refused) {
    it(`refuses ${name}`, () => {
      assert.throws(() => readIdentity(announce('hello', changes), 4), matches);
    });
  }
});

describe('MediaBuffer', () => {
  const items = [announce('hello'), announce('goodbye')].map(readIdentity);

  it('holds what requests reserved until they give it back, once', () => {
    const buffer = new MediaBuffer({ maxRequestBytes: 20, maxBufferBytes: 20 });
    const giveBack = buffer.reserve(items, 'a');
    assert.equal(buffer.numBytes, 12);

    giveBack();
    giveBack();

    assert.equal(buffer.numBytes, 0);
  });

  it('refuses a request with too many bytes', () => {
    const buffer = new MediaBuffer({ maxRequestBytes: 11, maxBufferBytes: 20 });

    assert.throws(
      () => buffer.reserve(items, 'a'),
      refusal('PAYLOAD_TOO_LARGE', /12 bytes, at most 11/),
    );
  });

  it('refuses a request with too many items', () => {
    const buffer = new MediaBuffer({ maxRequestBytes: 1e6, maxBufferBytes: 1e6 });
    const many = Array.from({ length: 257 }, (_, i) => readIdentity(announce('hello'), i));

    assert.throws(() => buffer.reserve(many, 'a'), refusal('INVALID_REQUEST', /257 media items/));
  });

  it('refuses for now what does not fit beside others', () => {
    const buffer = new MediaBuffer({ maxRequestBytes: 20, maxBufferBytes: 20 });
    buffer.reserve(items, 'a');

    assert.throws(
      () => buffer.reserve(items, 'a'),
      refusal('QUEUE_FULL', /hold 12 bytes .* 20 .* 12 more/),
    );
    assert.equal(buffer.numBytes, 12);
  });

  it('keeps room for others from a client that holds much', () => {
    const buffer = new MediaBuffer({ maxRequestBytes: 100, maxBufferBytes: 48 });
    buffer.reserve(items, 'flood');
    buffer.reserve(items, 'flood');

    assert.throws(() => buffer.reserve(items, 'flood'), refusal('QUEUE_FULL', /this client's/));

    buffer.reserve(items, 'single');
  });
});
