import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { type Mesh, property, startMesh } from '#test/e2e/mesh.ts';
import { type Body, postChat, userMessage } from '#test/e2e/request/chat-request.ts';
import { imagePart } from '#test/e2e/request/phone-cases.ts';
import { uniqueAudio, uniqueImage, wavFile } from '#test/e2e/request/unique-media.ts';
import {
  constantFlac,
  emptyOggPackets,
  manyWebmTracks,
} from '#test/unit/speech-encoder/hostile-audio.ts';
import { jpegOfScans } from '#test/unit/vision-encoder/hostile-image.ts';
import { whileAnotherStreams } from './bystander.ts';

const FIXTURES = join(PACKAGE_ROOT, 'test/testdata/audio-formats');

/**
 * Longest time that another client's request with half a second of sound, or with a picture, may take
 * during an attack, milliseconds.
 */
const MAX_ANSWER_MS = 5000;

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

function recordingPart(file: Buffer, format: string): Body {
  return { type: 'input_audio', input_audio: { data: file.toString('base64'), format } };
}

async function transcribe(url: string, file: Buffer, name: string): Promise<Answer> {
  const form = new FormData();
  form.set('model', 'phone-nano');
  form.set('file', new Blob([file]), name);
  const answer = await fetch(`${url}/v1/audio/transcriptions`, { method: 'POST', body: form });
  return { status: answer.status, body: await answer.json() };
}

interface Row {
  readonly name: string;
  readonly file: () => Buffer;
  readonly format: string;
  readonly status: number;
  readonly says: RegExp;
}

const ROWS: readonly Row[] = [
  {
    name: '240 kB of WebM tracks and blocks that belong to none',
    file: () => manyWebmTracks(240_000),
    format: 'webm',
    status: 400,
    says: /more than 128 tracks/,
  },
  {
    name: '19 MB of empty Ogg packets',
    file: () => emptyOggPackets(19_000_000),
    format: 'ogg',
    status: 413,
    says: /longer than 900 seconds/,
  },
  {
    name: '28 kB of FLAC that are 1.7 GB of samples',
    file: () => constantFlac(800),
    format: 'flac',
    status: 413,
    says: /longer than 900 seconds/,
  },
];

/** Asks questions about new media as another client until `attack` has been answered. */
async function whileAnotherAsks<Result>(
  makeMedia: () => Promise<readonly Body[]>,
  url: string,
  attack: () => Promise<Result>,
): Promise<Result> {
  let isOver = false;
  const ask = async () => {
    while (!isOver) {
      const body = { messages: userMessage(await makeMedia()), max_tokens: 4 };
      const startedMs = performance.now();
      const answer = await postChat(url, body);
      const answerMs = performance.now() - startedMs;
      assert.equal(answer.status, 200, JSON.stringify(answer.body));
      assert.ok(answerMs < MAX_ANSWER_MS, `an answer to media took ${answerMs} ms`);
    }
  };
  const attacking = attack().finally(() => {
    isOver = true;
  });
  const [result] = await Promise.all([attacking, ask()]);
  return result;
}

describe('a recording made to cost more than its bytes', () => {
  let mesh: Mesh;
  before(async () => {
    mesh = await startMesh();
  });
  after(() => mesh.stop());

  const speak = async () => [await uniqueAudio()];

  for (const { name, file, format, status, says } of ROWS) {
    it(`is refused and costs nobody else an answer: ${name}`, async () => {
      const bytes = file();
      const answers = await whileAnotherStreams(mesh.url, () =>
        whileAnotherAsks(speak, mesh.url, () =>
          Promise.all([
            postChat(mesh.url, { messages: userMessage([recordingPart(bytes, format)]) }),
            transcribe(mesh.url, bytes, `recording.${format}`),
          ]),
        ),
      );

      for (const answer of answers) {
        assert.equal(answer.status, status, JSON.stringify(answer.body));
        assert.match(String(property(answer.body, 'error', 'message')), says);
      }
    });
  }

  it("is answered soon at a rate that has no divisor in common with the tower's", async () => {
    const files = Array.from({ length: 8 }, (_, n) => {
      const file = wavFile(new Int16Array(57_600).fill(n));
      file.writeUInt32LE(191_999, 24);
      file.writeUInt32LE(2 * 191_999, 28);
      return recordingPart(file, 'wav');
    });
    const { status, body } = await whileAnotherStreams(mesh.url, () =>
      whileAnotherAsks(speak, mesh.url, () =>
        postChat(mesh.url, { messages: userMessage(files), max_tokens: 1 }),
      ),
    );

    assert.equal(status, 200, JSON.stringify(body));
  });

  it('ends no process', () => {
    const ends = mesh.lines.seen.filter((line) => /exited with|was killed/.test(line));

    assert.deepEqual(ends, []);
  });

  for (const encoder of ['libsndfile', 'sox', 'flac0', 'flac8', 'ffmpeg', 'ffmpeg-pipe']) {
    it(`is none as FLAC, which is answered as the WAV file is: ${encoder}`, async () => {
      const wav = readFileSync(join(FIXTURES, 'command.wav'));
      const flac = readFileSync(join(FIXTURES, `command-${encoder}.flac`));
      const ask = (file: Buffer, format: string) =>
        postChat(mesh.url, { messages: userMessage([recordingPart(file, format)]) });

      const [spoken, answer] = [await ask(wav, 'wav'), await ask(flac, 'flac')];
      const [heard, again] = [
        await transcribe(mesh.url, wav, 'command.wav'),
        await transcribe(mesh.url, flac, 'command.flac'),
      ];

      assert.equal(spoken.status, 200, JSON.stringify(spoken.body));
      assert.deepEqual(property(answer.body, 'choices'), property(spoken.body, 'choices'));
      assert.deepEqual(property(answer.body, 'usage'), property(spoken.body, 'usage'));
      assert.equal(heard.status, 200, JSON.stringify(heard.body));
      assert.deepEqual(again, heard);
    });
  }
});

describe('images made to cost more than their bytes, eight in a request', () => {
  let mesh: Mesh;
  before(async () => {
    mesh = await startMesh();
  });
  after(() => mesh.stop());

  const see = async () => [await uniqueImage()];
  const attackWith = (file: Buffer) =>
    whileAnotherStreams(mesh.url, () =>
      whileAnotherAsks(see, mesh.url, () => {
        // A content hash is decoded once; a byte behind the end makes another file of the same image.
        const files = Array.from({ length: 8 }, (_, n) => Buffer.concat([file, Buffer.from([n])]));
        return postChat(mesh.url, { messages: userMessage(files.map(imagePart)), max_tokens: 1 });
      }),
    );

  it('are refused by the number of their scans', async () => {
    const { status, body } = await attackWith(jpegOfScans(4000, 4000, 882));

    assert.equal(status, 413, JSON.stringify(body));
    assert.match(String(property(body, 'error', 'message')), /more than 100 scans/);
  });

  it('leave a decoder to others, though each costs what a hundred images do', async () => {
    const { status, body } = await attackWith(jpegOfScans(2800, 2800, 100));

    assert.equal(status, 200, JSON.stringify(body));
  });

  it('end no process', () => {
    const ends = mesh.lines.seen.filter((line) => /exited with|was killed/.test(line));

    assert.deepEqual(ends, []);
  });
});
