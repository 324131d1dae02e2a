import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import OpenAI, { toFile } from 'openai';
import { MeshError } from '#mesh/errors.ts';
import { Modality } from '#protos/autoglm/common/v1/media.ts';
import { Channel } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import { aborted, accepted, candidate, delta, FakeBackbone, finished } from './fake-backbone.ts';
import { errorOf, eventsOf, type Harness, jsonOf, startHarness } from './harness.ts';
import { PNG, WAV } from './media-files.ts';

const PATH = '/v1/audio/transcriptions';
const USAGE = {
  type: 'tokens',
  input_tokens: 20,
  output_tokens: 3,
  total_tokens: 23,
  input_token_details: { text_tokens: 8, audio_tokens: 12 },
};

let harness: Harness;
before(async () => {
  harness = await startHarness({ maxMediaMb: 0.05 });
});
after(() => harness.close());
beforeEach(() => {
  harness.backbone.script = async function* () {
    yield accepted({ numPromptTokens: 20, numAudioTokens: 12, audioDurationMs: 1250 });
    yield delta({ text: 'hm', channel: Channel.CHANNEL_REASONING });
    for (const [i, text] of ['go to', ' Weather'].entries()) {
      const token = candidate(40 + i, text, -0.5 - i);
      yield delta({ text, tokenIds: [40 + i], logprobs: [{ token, rank: 1, top: [] }] });
    }
    yield finished({ numPromptTokens: 20, numCompletionTokens: 3 });
  };
});

/** Makes a form with a recording and these texts. */
function formOf(texts: Readonly<Record<string, string>> = {}, file = WAV): FormData {
  const form = new FormData();
  for (const [name, value] of Object.entries(texts)) form.append(name, value);
  form.append('file', new Blob([file], { type: 'audio/wav' }), 'speech.wav');
  return form;
}

function post(body: FormData | string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(harness.url + PATH, { method: 'POST', body, headers });
}

describe('POST /v1/audio/transcriptions', () => {
  it('answers with text and usage, and sends the recording as it came', async () => {
    const answer = await jsonOf(await post(formOf({ model: 'phone-nano' })));

    assert.deepEqual(answer, { text: 'go to Weather', usage: USAGE });
    assert.deepEqual(harness.backbone.uploads.at(-1), [WAV]);
    const [item] = harness.backbone.starts.at(-1)?.prompt?.media ?? [];
    assert.equal(item?.modality, Modality.MODALITY_AUDIO);
    assert.equal(item?.mediaType, 'audio/wav');
  });

  it('answers with nothing but text', async () => {
    const response = await post(formOf({ response_format: 'text' }));

    assert.equal(response.headers.get('content-type'), 'text/plain; charset=utf-8');
    assert.equal(await response.text(), 'go to Weather\n');
  });

  it('answers verbosely with duration and one segment, and claims to have heard no language', async () => {
    const fields = { response_format: 'verbose_json', language: 'en', temperature: '0.5' };

    const { segments, ...answer } = await jsonOf(await post(formOf(fields)));

    assert.deepEqual(answer, {
      task: 'transcribe',
      language: null,
      duration: 1.25,
      text: 'go to Weather',
      usage: { type: 'duration', seconds: 2 },
    });
    assert(Array.isArray(segments));
    const [{ compression_ratio: ratio, ...segment }] = segments;
    assert(ratio > 0.3 && ratio < 1, String(ratio));
    assert.deepEqual(segment, {
      id: 0,
      seek: 0,
      start: 0,
      end: 1.25,
      text: 'go to Weather',
      tokens: [42, 40, 41],
      temperature: 0.5,
      avg_logprob: -1,
      no_speech_prob: null,
    });
  });

  it('reads numbers and flags of a form as JSON or Python writes them', async () => {
    const fields = {
      temperature: '1e-05',
      top_p: '.5',
      seed: '18446744073709551615',
      stream: 'on',
    };

    const response = await post(formOf({ ...fields, prompt: 'AutoGLM' }));

    assert.match(response.headers.get('content-type') ?? '', /^text\/event-stream/);
    await response.text();
    const { sampling, prompt } = harness.backbone.starts.at(-1) ?? {};
    assert.equal(sampling?.topP, 0.5);
    assert.equal(sampling?.seed, 2n ** 64n - 1n);
    assert(!JSON.stringify(prompt?.form).includes('AutoGLM'));
  });

  it('refuses a flag that names a prototype', async () => {
    for (const stream of ['constructor', '__proto__', 'toString']) {
      const response = await post(formOf({ stream }));

      assert.equal(response.status, 400);
      assert.equal((await errorOf(response)).param, 'stream');
    }
  });

  it('is not found for translations', async () => {
    const path = '/v1/audio/translations';

    const response = await fetch(harness.url + path, { method: 'POST', body: formOf() });

    assert.equal(response.status, 404);
    assert.match((await errorOf(response)).message, /no such path: POST \/v1\/audio\/translations/);
  });

  it('streams deltas and then the whole text', async () => {
    const response = await post(formOf({ stream: 'true' }));

    assert.match(response.headers.get('content-type') ?? '', /^text\/event-stream/);
    assert.deepEqual(eventsOf(await response.text()), [
      { type: 'transcript.text.delta', delta: 'go to' },
      { type: 'transcript.text.delta', delta: ' Weather' },
      { type: 'transcript.text.done', text: 'go to Weather', usage: USAGE },
    ]);
  });

  it('ends a broken stream with an error and no whole text', async () => {
    harness.backbone.script = async function* () {
      yield accepted();
      yield delta({ text: 'go' });
      throw new MeshError('ENGINE_FAILED', 'step failed');
    };

    const events = eventsOf(await (await post(formOf({ stream: 'true' }))).text());

    assert.equal(events.length, 2);
    assert.match(JSON.stringify(events[1]), /"error":.*step failed/);
  });

  it('frees the generation of a client that leaves', async () => {
    harness.backbone.script = async function* (_, signal) {
      yield accepted();
      yield delta({ text: 'go' });
      await aborted(signal);
    };
    const leaving = new AbortController();
    const response = await fetch(harness.url + PATH, {
      method: 'POST',
      body: formOf({ stream: 'true' }),
      signal: leaving.signal,
    });
    await response.body?.getReader().read();

    leaving.abort();

    await harness.backbone.until('cancelled');
  });
});

describe('A bad transcription request', () => {
  const withoutFile = new FormData();
  withoutFile.append('model', 'phone-nano');
  const twoFiles = formOf();
  twoFiles.append('file', new Blob([WAV]), 'again.wav');

  const CASES = [
    ['without a file', withoutFile, 400, 'file', /got nothing/],
    ['with two files', twoFiles, 400, 'file', /got two/],
    ['with a picture', formOf({}, PNG), 400, 'file', /looks like PNG .*declared as audio\/wav/],
    ['with an empty file', formOf({}, Buffer.alloc(0)), 400, 'file', /is empty/],
    ['with a file that is too large', formOf({}, Buffer.alloc(60_000)), 413, 'file', /0.05 MB/],
    ['for subtitles', formOf({ response_format: 'srt' }), 400, 'response_format', /got "srt"/],
    ['for another model', formOf({ model: 'whisper-1' }), 404, 'model', /phone-nano/],
  ] as const;
  for (const [name, form, status, param, message] of CASES) {
    it(`${name} is ${status} and names ${param}`, async () => {
      const response = await post(form);

      assert.equal(response.status, status);
      const error = await errorOf(response);
      assert.equal(error.param, param);
      assert.match(error.message, message);
    });
  }

  it('that is cut off is 400', async () => {
    const headers = { 'content-type': 'multipart/form-data; boundary=edge' };
    const head = 'Content-Disposition: form-data; name="file"; filename="a.wav"';

    const response = await post(`--edge\r\n${head}\r\n\r\nRIFF`, headers);

    assert.equal(response.status, 400);
    assert.match((await errorOf(response)).message, /not a well-formed form/);
  });

  it('that is no form is 415, and a form is 415 elsewhere', async () => {
    const json = await post('{}', { 'content-type': 'application/json' });
    const nothing = await fetch(harness.url + PATH, { method: 'POST' });
    const form = await fetch(`${harness.url}/v1/completions`, { method: 'POST', body: formOf() });

    for (const response of [json, nothing]) {
      assert.equal(response.status, 415);
      assert.match((await errorOf(response)).message, /multipart\/form-data/);
    }
    assert.equal(form.status, 415);
    assert.match((await errorOf(form)).message, /application\/json/);
  });
});

describe('A model without ears', () => {
  let deaf: Harness | undefined;
  afterEach(() => deaf?.close());

  it('refuses transcriptions', async () => {
    const backbone = new FakeBackbone();
    backbone.modalities = [];
    deaf = await startHarness({ backbones: [backbone] });

    const response = await fetch(deaf.url + PATH, { method: 'POST', body: formOf() });

    assert.equal(response.status, 400);
    const { code, message } = await errorOf(response);
    assert.equal(code, 'unsupported_media');
    assert.equal(message, 'file: the model reads no audio, only text');
  });
});

describe('The openai package', () => {
  const transcriptions = () =>
    new OpenAI({ baseURL: `${harness.url}/v1`, apiKey: 'key' }).audio.transcriptions;
  const request = async () => ({ model: 'phone-nano', file: await toFile(WAV, 'speech.wav') });

  it('transcribes', async () => {
    const { text } = await transcriptions().create(await request());

    assert.equal(text, 'go to Weather');
  });

  it('transcribes verbosely, with segments', async () => {
    const { duration, segments } = await transcriptions().create({
      ...(await request()),
      response_format: 'verbose_json',
      timestamp_granularities: ['segment'],
    });

    assert.equal(duration, 1.25);
    assert.equal(segments?.length, 1);
  });

  it('transcribes to plain text', async () => {
    const format = { response_format: 'text' } as const;

    assert.equal(
      await transcriptions().create({ ...(await request()), ...format }),
      'go to Weather\n',
    );
  });

  it('streams a transcription', async () => {
    const stream = await transcriptions().create({ ...(await request()), stream: true });

    let deltas = '';
    let whole = '';
    for await (const event of stream) {
      if (event.type === 'transcript.text.delta') deltas += event.delta;
      if (event.type === 'transcript.text.done') whole = event.text;
    }

    assert.equal(deltas, 'go to Weather');
    assert.equal(whole, deltas);
  });
});
