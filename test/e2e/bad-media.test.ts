import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import sharp from 'sharp';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { type Body, postChat, userMessage } from '#test/e2e/request/chat-request.ts';
import { GOLDEN_CASES } from '#test/e2e/request/golden.ts';
import { chatRequest, imagePart, readMedia } from '#test/e2e/request/phone-cases.ts';
import { wavFile } from '#test/e2e/request/unique-media.ts';
import { type Mesh, property, startMesh } from './mesh.ts';

const SCREEN = readMedia('media/image2.png');
const BYSTANDERS = GOLDEN_CASES.filter(({ content }) =>
  content.some(({ type }) => type !== 'text'),
).slice(0, 8);

interface Row {
  readonly name: string;
  readonly parts: () => readonly Body[] | Promise<readonly Body[]>;
  readonly status: number;
  /** Text that the message must contain. */
  readonly says: RegExp;
}

function linkPart(url: string): Body {
  return { type: 'image_url', image_url: { url } };
}

function audioPart(bytes: Buffer, format = 'wav'): Body {
  return { type: 'input_audio', input_audio: { data: bytes.toString('base64'), format } };
}

/** Makes an image of one colour: it has few bytes, however many pixels. */
function flatImage(width: number, height: number): Promise<Buffer> {
  const background = '#808080';
  return sharp({ create: { width, height, channels: 3, background } })
    .png()
    .toBuffer();
}

/**
 * Makes ten thousand seconds of silence: MPEG-2.5 layer III frames of 72 ms at 8 kbit/s, 8 kHz,
 * mono.
 */
function longSilence(): Buffer {
  const frame = Buffer.alloc(72);
  frame.writeUInt32BE(0xffe318c4);
  return Buffer.concat(Array.from({ length: Math.ceil(10_000 / 0.072) }, () => frame));
}

const ROWS: readonly Row[] = [
  {
    name: 'what is not an image',
    parts: () => [imagePart(Buffer.from('not an image at all, only words'))],
    status: 400,
    says: /image/,
  },
  {
    name: 'a truncated image',
    parts: () => [imagePart(SCREEN.subarray(0, SCREEN.length / 2))],
    status: 400,
    says: /image/,
  },
  {
    name: 'a decompression bomb',
    parts: async () => [imagePart(await flatImage(8000, 8000))],
    status: 413,
    says: /8000.*8000|64,?000,?000/,
  },
  {
    name: 'an image at a private address',
    parts: () => [linkPart('http://127.0.0.1/screen.png')],
    status: 400,
    says: /not on the public internet/,
  },
  {
    name: "the address of a cloud's secrets",
    parts: () => [linkPart('http://169.254.169.254/latest/meta-data/')],
    status: 400,
    says: /not on the public internet/,
  },
  {
    name: 'ten thousand seconds of audio',
    parts: () => [audioPart(longSilence(), 'mp3')],
    status: 413,
    says: /900 seconds/,
  },
  {
    name: 'a recording without samples',
    parts: () => [audioPart(wavFile(new Int16Array(0)))],
    status: 400,
    says: /sample|empty|short/,
  },
  {
    name: 'what is not a recording',
    parts: () => [audioPart(Buffer.from('not a recording at all, only words'))],
    status: 400,
    says: /audio|recording/,
  },
  {
    name: 'more images than the limit',
    parts: () => Array.from({ length: 11 }, () => imagePart(SCREEN)),
    status: 400,
    says: /11/,
  },
  {
    name: 'an image larger than allowed',
    parts: () => [imagePart(Buffer.concat([SCREEN, Buffer.alloc(21_000_000)]))],
    status: 413,
    says: /20/,
  },
];

describe('bad media through every process', () => {
  let mesh: Mesh;
  before(async () => {
    mesh = await startMesh();
  });
  after(() => mesh.stop());

  for (const { name, parts, status, says } of ROWS) {
    it(`refuse ${name} with ${status}, say why and leave other requests alone`, async () => {
      const bad = { messages: userMessage(await parts()) };
      const [refused, ...answers] = await Promise.all([
        postChat(mesh.url, bad),
        ...BYSTANDERS.map((one) => postChat(mesh.url, chatRequest(one))),
      ]);

      assert.equal(refused.status, status, JSON.stringify(refused.body));
      const message = String(property(refused.body, 'error', 'message'));
      assert.match(message, says);
      assert.match(String(property(refused.body, 'error', 'param')), /^messages/);
      assert.deepEqual(
        answers.map(({ body }) => property(body, 'choices', 0, 'message', 'content')),
        BYSTANDERS.map(({ reference }) => reference),
      );
    });
  }

  it('are refused as files to transcribe', async () => {
    const form = new FormData();
    form.set('model', 'phone-nano');
    form.set('file', new Blob(['only words']), 'words.wav');
    const url = `${mesh.url}/v1/audio/transcriptions`;
    const answer = await fetch(url, { method: 'POST', body: form });

    assert.equal(answer.status, 400);
    assert.equal(property(await answer.json(), 'error', 'param'), 'file');
  });

  it('end no process', async () => {
    const ends = mesh.lines.seen.filter((line) => /exited with|was killed/.test(line));

    assert.deepEqual(ends, []);
  });
});

describe('a mesh that sees and does not hear', () => {
  let mesh: Mesh;
  let silent: Server;
  let address = '';
  before(async () => {
    // This server takes requests and never answers.
    silent = createServer(() => {}).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const bound = silent.address();
    assert(typeof bound === 'object' && bound !== null);
    address = `http://127.0.0.1:${bound.port}/screen.png`;
    mesh = await startMesh({
      model: join(PACKAGE_ROOT, 'test/testdata/glm4v-tiny'),
      gateway: ['media-fetch-allow-private: true', 'media-fetch-timeout-s: 0.5'],
    });
  });
  after(async () => {
    await mesh.stop();
    silent.closeAllConnections();
    silent.close();
  });

  async function refusal(part: Body): Promise<{ status: number; message: string }> {
    const { status, body } = await postChat(mesh.url, { messages: userMessage([part]) });
    return { status, message: String(property(body, 'error', 'message')) };
  }

  it('starts no speech encoder', async () => {
    assert.deepEqual(await mesh.pids('speech-encoder'), []);
    assert.equal((await mesh.pids('vision-encoder')).length, 1);
  });

  it('refuses a recording and says that the model reads none', async () => {
    const { status, message } = await refusal(audioPart(readMedia('media/audio78.wav')));

    assert.equal(status, 400);
    assert.match(message, /reads no audio/);
  });

  it('refuses an image of 200:1 or more', async () => {
    const { status, message } = await refusal(imagePart(await flatImage(28, 28 * 201)));

    assert.equal(status, 400);
    assert.match(message, /200|aspect/);
  });

  it('gives a server that stalls its time and answers 424', async () => {
    const { status, message } = await refusal(linkPart(address));

    assert.equal(status, 424);
    assert.match(message, /0\.5 s|time/);
  });
});
