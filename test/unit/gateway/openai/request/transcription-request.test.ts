import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FormBody } from '#gateway/http/body/form-body.ts';
import { parseTranscriptionRequest } from '#gateway/openai/request/transcription-request.ts';

const RECORDING = { field: 'file', declaredType: 'audio/wav', bytes: Buffer.from('RIFF') };

function formOf(texts: Readonly<Record<string, string | string[]>>, files = [RECORDING]): FormBody {
  const form = new FormBody();
  for (const [name, value] of Object.entries(texts)) form.texts.set(name, [value].flat());
  form.files.push(...files);
  return form;
}

const parse = (texts = {}, files?: (typeof RECORDING)[]) =>
  parseTranscriptionRequest(formOf(texts, files));

function promptOf(texts = {}) {
  const form = parse(texts).start.prompt?.form;
  assert(form?.$case === 'chat');
  return form.value;
}

describe('parseTranscriptionRequest', () => {
  it('asks for the recording, then the instruction, without thoughts, greedily', () => {
    const { start, media, format, isStream, model } = parse();

    assert.deepEqual(promptOf(), {
      messages: [
        {
          role: 'user',
          content: {
            $case: 'parts',
            value: {
              parts: [
                { part: { $case: 'mediaIndex', value: 0 } },
                { part: { $case: 'text', value: 'Please transcribe this audio into text' } },
              ],
            },
          },
          metadata: '',
          toolCalls: [],
        },
      ],
      addGenerationPrompt: true,
      continueFinalMessage: false,
      tools: [],
      templateArgs: { enable_thinking: false },
    });
    assert.equal(start.sampling?.temperature, 0);
    assert.equal(start.output?.splitReasoning, true);
    assert.equal(start.output?.numLogprobs, undefined);
    assert.deepEqual([model, format, isStream], [undefined, 'json', false]);
    assert.deepEqual(media.references, [
      {
        modality: 'audio',
        source: { kind: 'bytes', bytes: RECORDING.bytes },
        declaredType: 'audio/wav',
        param: 'file',
      },
    ]);
  });

  it('reads every field', () => {
    const request = parse({
      model: 'nano',
      instruction: 'Write it down',
      prompt: 'a hint',
      language: 'zh-Hans',
      response_format: 'verbose_json',
      temperature: '0.25',
      stream: 'False',
      'timestamp_granularities[]': ['segment'],
      'include[]': [''],
      hotwords: 'a hint',
      seed: '9007199254740993',
      top_p: '.5',
      max_completion_tokens: ' 5',
    });

    assert.equal(request.model, 'nano');
    assert.equal(request.format, 'verbose_json');
    assert.equal(request.temperature, 0.25);
    assert.equal(request.start.sampling?.temperature, 0.25);
    assert.equal(request.start.output?.numLogprobs, 0);
    assert.equal(request.start.sampling?.seed, 9007199254740993n);
    assert.equal(request.start.sampling?.topP, 0.5);
    assert.equal(request.start.sampling?.maxTokens, 5);
    assert.match(JSON.stringify(request.start.prompt), /Write it down/);
    assert.deepEqual(request.unknownFields, []);
  });

  it('takes an empty text for none', () => {
    const { format, isStream } = parse({ response_format: '', language: '', stream: '' });

    assert.deepEqual([format, isStream], ['json', false]);
    assert.match(JSON.stringify(promptOf({ instruction: '' })), /Please transcribe/);
  });

  for (const [text, number] of [
    ['1e-05', 1e-5],
    ['.5', 0.5],
    [' 1', 1],
    ['+1.', 1],
    ['0_1', 1],
    ['1E-2', 0.01],
  ] as const) {
    it(`reads the number "${text}" as JSON or Python does`, () => {
      assert.equal(parse({ temperature: text }).temperature, number);
    });
  }

  for (const [text, flag] of [
    ['1', true],
    ['on', true],
    ['True', true],
    ['YES', true],
    ['off', false],
    ['0', false],
  ] as const) {
    it(`reads the flag "${text}" as pydantic does`, () => {
      assert.equal(parse({ stream: text }).isStream, flag);
    });
  }

  it('keeps every digit of a seed, and the bits of a negative one', () => {
    const seedOf = (seed: string) => parse({ seed }).start.sampling?.seed;

    assert.equal(seedOf('18446744073709551615'), 2n ** 64n - 1n);
    assert.equal(seedOf('-9223372036854775807'), 2n ** 63n + 1n);
    assert.equal(seedOf('-1'), undefined);
  });

  it('takes a hint without giving it to the model in place of the instruction', () => {
    const hinted = promptOf({ prompt: 'AutoGLM, WeChat', language: 'zh' });

    assert.deepEqual(hinted, promptOf());
  });

  it('names a misspelled field and an upload that no field takes', () => {
    const { unknownFields } = parse({ temprature: '1' }, [
      RECORDING,
      { ...RECORDING, field: 'fil' },
    ]);

    assert.deepEqual(unknownFields, [
      { path: 'fil', meant: 'file' },
      { path: 'temprature', meant: 'temperature' },
    ]);
  });

  const REFUSALS = [
    [{ stream: 'constructor' }, 'stream', /true or false, got "constructor"/],
    [{ stream: '__proto__' }, 'stream', /true or false, got "__proto__"/],
    [{ temperature: 'toString' }, 'temperature', /got "toString"/],
    [{ temperature: 'nan' }, 'temperature', /got "nan"/],
    [{ temperature: '1e999' }, 'temperature', /from 0 to 1/],
    [{ seed: '1.5' }, 'seed', /64-bit integer/],
    [{ seed: '18446744073709551616' }, 'seed', /64-bit integer, got 18446744073709551616/],
    [{ top_p: '2' }, 'top_p', /from 0 to 1/],
    [{ max_completion_tokens: '0' }, 'max_completion_tokens', /from 1/],
    [{ max_tokens: '5' }, 'max_tokens', /use max_completion_tokens/],
    [{ response_format: 'diarized_json' }, 'response_format', /got "diarized_json"/],
    [{ chunking_strategy: '{"type":"server_vad"}' }, 'chunking_strategy', /only "auto"/],
    [{ 'known_speaker_names[]': ['ann'] }, 'known_speaker_names', /not told apart/],
    [{ to_language: 'en' }, 'to_language', /not translated/],
    [{ n: '2' }, 'n', /one transcript/],
    [{ response_format: 'srt' }, 'response_format', /one of json, text, verbose_json .*"srt"/],
    [{ response_format: 'vtt' }, 'response_format', /times within a recording are not known/],
    [{ stream: 'true', response_format: 'verbose_json' }, 'response_format', /json or text with/],
    [{ stream: 'maybe' }, 'stream', /true or false, got "maybe"/],
    [{ temperature: 'warm' }, 'temperature', /from 0 to 1, got "warm"/],
    [{ temperature: '1.5' }, 'temperature', /from 0 to 1, got 1.5/],
    [{ language: 'Klingon!' }, 'language', /language code/],
    [
      { 'timestamp_granularities[]': ['segment', 'word'] },
      'timestamp_granularities',
      /segment only/,
    ],
    [{ 'include[]': ['logprobs'] }, 'include', /not available/],
    [{ model: ['a', 'b'] }, 'model', /more than once/],
  ] as const;
  for (const [texts, param, message] of REFUSALS) {
    it(`refuses ${JSON.stringify(texts)}, naming ${param}`, () => {
      assert.throws(() => parse(texts), { reason: 'INVALID_REQUEST', param, message });
    });
  }

  for (const [received, texts, files] of [
    ['nothing', {}, []],
    ['nothing', {}, [{ ...RECORDING, field: 'audio' }]],
    ['a text', { file: 'a.wav' }, []],
    ['two', {}, [RECORDING, RECORDING]],
  ] as const) {
    it(`refuses a form with ${received} for the file`, () => {
      assert.throws(() => parse(texts, [...files]), {
        reason: 'INVALID_REQUEST',
        param: 'file',
        message: `file must be one uploaded recording, got ${received}`,
      });
    });
  }
});
