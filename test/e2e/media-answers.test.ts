import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import OpenAI, { toFile } from 'openai';
import { postChat, streamAnswer } from '#test/e2e/request/chat-request.ts';
import { GOLDEN_CASES } from '#test/e2e/request/golden.ts';
import { caseName, chatRequest, readMedia, readPhoneCases } from '#test/e2e/request/phone-cases.ts';
import { type Mesh, property, startMesh } from './mesh.ts';

const WITH_MEDIA = GOLDEN_CASES.filter(({ content }) =>
  content.some(({ type }) => type !== 'text'),
);

/**
 * Cases with an image and a recording that the reference answers correctly. They are from the
 * evaluation, as the golden file has none with both.
 */
const WITH_BOTH = readPhoneCases('eval.json')
  .filter(({ group, correct }) => group === 'img_audio' && correct)
  .slice(0, 4);

/** A recording in Chinese. */
const SPOKEN = 'media/audio78.wav';
const TRANSCRIPTION = { file: SPOKEN, text: wordsOf(SPOKEN) } as const;

describe('phone-nano with eyes and ears', () => {
  let mesh: Mesh;
  before(async () => {
    mesh = await startMesh();
  });
  after(() => mesh.stop());

  it('says where its encoders run', async () => {
    await mesh.lines.match(/Vision encoder loaded on cpu:\d/);
    await mesh.lines.match(/Speech encoder loaded on cpu:\d/);
  });

  assert(WITH_MEDIA.length >= 12);
  for (const one of [...WITH_MEDIA, ...WITH_BOTH]) {
    it(`answers ${caseName(one)} as the reference does`, async () => {
      const { status, body } = await postChat(mesh.url, chatRequest(one));

      assert.equal(status, 200, JSON.stringify(body));
      assert.equal(property(body, 'choices', 0, 'message', 'content'), one.reference);
      const { prompt_ids } = one;
      if (prompt_ids === undefined) return;
      assert.equal(property(body, 'usage', 'prompt_tokens'), prompt_ids.length);
    });
  }

  it('streams the answers to all of them at once', async () => {
    const cases = [...WITH_MEDIA, ...WITH_BOTH];
    const answers = await Promise.all(cases.map((one) => streamAnswer(mesh.url, chatRequest(one))));

    assert.deepEqual(
      answers,
      cases.map(({ reference }) => ({ text: reference, done: true, error: undefined })),
    );
  });

  it('counts the tokens of an image and of a recording', async () => {
    const [both] = WITH_BOTH;
    assert(both !== undefined);

    const { body } = await postChat(mesh.url, chatRequest(both));

    assert.equal(property(body, 'usage', 'prompt_tokens_details', 'image_tokens'), 72);
    assert(Number(property(body, 'usage', 'prompt_tokens_details', 'audio_tokens')) > 5);
  });

  it('tokenizes a chat with both to the tokens that its generation counts', async () => {
    const [both] = WITH_BOTH;
    assert(both !== undefined);
    const { messages } = chatRequest(both);

    const { body } = await postChat(mesh.url, chatRequest(both));
    const response = await fetch(`${mesh.url}/tokenize`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ messages, return_token_strs: true }),
    });
    const tokens: unknown = await response.json();

    assert.equal(response.status, 200, JSON.stringify(tokens));
    const count = property(tokens, 'count');
    assert.equal(count, property(body, 'usage', 'prompt_tokens'));
    const strings = property(tokens, 'token_strs');
    assert(Array.isArray(strings) && strings.length === count);
    assert(strings.filter((text) => text === '<|image|>').length >= 72);
  });

  function openai(): OpenAI {
    return new OpenAI({ baseURL: `${mesh.url}/v1`, apiKey: 'none' });
  }

  function recording() {
    return toFile(readMedia(TRANSCRIPTION.file), 'question.wav');
  }

  it('transcribes for the openai package', async () => {
    const answer = await openai().audio.transcriptions.create({
      file: await recording(),
      model: 'phone-nano',
    });

    assert.equal(answer.text, TRANSCRIPTION.text);
  });

  it('tells of a recording how long it is and where its text stands', async () => {
    const answer = await openai().audio.transcriptions.create({
      file: await recording(),
      model: 'phone-nano',
      response_format: 'verbose_json',
      // Hints, which change nothing here.
      language: 'zh',
      prompt: 'Open WeChat',
    });

    assert.equal(answer.text, TRANSCRIPTION.text);
    assert.equal(property(answer, 'language'), null);
    assert(Math.abs(Number(answer.duration) - wavSeconds(readMedia(TRANSCRIPTION.file))) < 0.02);
    assert.deepEqual(
      answer.segments?.map(({ text }) => text),
      [TRANSCRIPTION.text],
    );
  });

  it('streams a transcription', async () => {
    const stream = await openai().audio.transcriptions.create({
      file: await recording(),
      model: 'phone-nano',
      stream: true,
    });

    let text = '';
    let whole = '';
    for await (const event of stream) {
      if (event.type === 'transcript.text.delta') text += event.delta;
      if (event.type === 'transcript.text.done') whole = event.text;
    }
    assert.equal(text, TRANSCRIPTION.text);
    assert.equal(whole, TRANSCRIPTION.text);
  });
});

describe('a mesh with lazy encoders', () => {
  let mesh: Mesh;
  before(async () => {
    mesh = await startMesh({ encoders: ['lazy: true'] });
  });
  after(() => mesh.stop());

  it('loads a tower at the first item that needs it, and answers that', async () => {
    const loaded = () => mesh.lines.seen.filter((line) => /encoder loaded on/.test(line)).length;
    const atStart = loaded();
    const [seeing] = WITH_MEDIA;
    assert(seeing !== undefined);

    const { body } = await postChat(mesh.url, chatRequest(seeing));

    assert.equal(atStart, 0);
    assert.equal(property(body, 'choices', 0, 'message', 'content'), seeing.reference);
    await mesh.lines.match(/Vision encoder loaded on/);
    assert.equal(loaded(), 1);
  });
});

/** Returns the reference's transcript of a recording of the golden file. */
function wordsOf(file: string): string {
  const one = GOLDEN_CASES.find(({ content }) =>
    content.some((part) => part.type === 'audio' && part.audio === file),
  );
  assert(one !== undefined, `${file} is in no golden case`);
  return one.reference;
}

/** Returns the length of a 16 kHz mono 16-bit WAV file, seconds. */
function wavSeconds(wav: Buffer): number {
  return (wav.length - 44) / 2 / 16_000;
}
