import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, it } from 'node:test';
import {
  type Body,
  postChat,
  type StreamedAnswer,
  userMessage,
} from '#test/e2e/request/chat-request.ts';
import { runLoad } from '#test/e2e/request/load.ts';
import { uniqueAudio, uniqueImage } from '#test/e2e/request/unique-media.ts';
import { type EncoderName, type Mesh, startMesh } from './mesh.ts';

interface Kind {
  readonly encoder: EncoderName;
  readonly uniquePart: () => Promise<Body>;
}

const KINDS: readonly Kind[] = [
  { encoder: 'vision-encoder', uniquePart: uniqueImage },
  { encoder: 'speech-encoder', uniquePart: uniqueAudio },
];

/** Returns the encoder's name as log lines have it. */
const logged = ({ encoder }: Kind): string => encoder.replace('-', ' ');

const NUM_MEDIA_CLIENTS = 4;
const NUM_TEXT_STREAMS = 4;
/** Number of answers before a kill, enough that requests are at every stage. */
const NUM_WARM_ANSWERS = 8;

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

interface MixedLoad {
  /** Answers so far to requests with media. */
  readonly media: readonly Answer[];
  /** Resolves when this many of them have been answered. */
  atLeast(count: number): Promise<void>;
  end(): Promise<{ readonly media: readonly Answer[]; readonly text: readonly StreamedAnswer[] }>;
}

/** Sends requests with unique media, beside streams of text alone. */
function startLoad(mesh: Mesh, { uniquePart }: Kind): MixedLoad {
  const ending = new AbortController();
  const media: Answer[] = [];
  const answered = new EventTarget();
  const keepAsking = async () => {
    while (!ending.signal.aborted) {
      media.push(await ask(mesh, await uniquePart()));
      answered.dispatchEvent(new Event('answer'));
    }
  };
  const clients = Array.from({ length: NUM_MEDIA_CLIENTS }, keepAsking);
  const text = runLoad({
    url: mesh.url,
    numStreams: NUM_TEXT_STREAMS,
    until: ending.signal,
  });
  return {
    media,
    atLeast: async (count) => {
      while (media.length < count) await once(answered, 'answer');
    },
    end: async () => {
      ending.abort();
      await Promise.all(clients);
      return { media, text: await text };
    },
  };
}

function ask(mesh: Mesh, part: Body): Promise<Answer> {
  return postChat(mesh.url, { messages: userMessage([part]), max_tokens: 2, temperature: 0 });
}

function assertAllDone(answers: readonly StreamedAnswer[]): void {
  assert(answers.length > 0);
  assert.deepEqual(
    answers.filter(({ done }) => !done),
    [],
  );
}

describe('a mesh with two encoders of each kind', () => {
  let mesh: Mesh;
  before(async () => {
    mesh = await startMesh({ numEncoders: { 'vision-encoder': 2, 'speech-encoder': 2 } });
  });
  after(() => mesh.stop());

  for (const kind of KINDS) {
    it(`answers every request when a ${kind.encoder} is killed under load`, async () => {
      const [pid] = await mesh.pids(kind.encoder);
      assert(pid !== undefined);
      const numLines = mesh.lines.seen.length;
      const load = startLoad(mesh, kind);
      await load.atLeast(NUM_WARM_ANSWERS);

      process.kill(pid, 'SIGKILL');

      await mesh.lines.match(new RegExp(`${kind.encoder} was killed by SIGKILL`), numLines);
      await mesh.lines.match(new RegExp(`${logged(kind)} .* is ready`), numLines);
      const { media, text } = await load.end();
      assert.deepEqual(
        media.filter(({ status }) => status !== 200),
        [],
      );
      assertAllDone(text);
    });
  }
});

describe('a mesh with one encoder of each kind', () => {
  let mesh: Mesh;
  before(async () => {
    mesh = await startMesh({ keys: ['recovery-wait-s: 30'] });
  });
  after(() => mesh.stop());

  for (const kind of KINDS) {
    it(`answers every request when its ${kind.encoder} is killed, and text as ever`, async () => {
      const [pid] = await mesh.pids(kind.encoder);
      assert(pid !== undefined);
      const numLines = mesh.lines.seen.length;
      const load = startLoad(mesh, kind);
      await load.atLeast(NUM_WARM_ANSWERS);

      process.kill(pid, 'SIGKILL');

      await mesh.lines.match(new RegExp(`${logged(kind)} .* is ready`), numLines);
      const { media, text } = await load.end();
      assert.deepEqual(
        media.filter(({ status }) => status !== 200),
        [],
      );
      assertAllDone(text);
    });
  }
});
