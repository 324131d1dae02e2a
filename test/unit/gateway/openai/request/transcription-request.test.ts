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
        },
      ],
      addGenerationPrompt: true,
      continueFinalMessage: false,
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
      prompt: 'Write it down',
      language: 'zh-Hans',
      response_format: 'verbose_json',
      temperature: '0.25',
      stream: 'False',
      'timestamp_granularities[]': ['segment'],
      'include[]': [''],
      hotwords: 'ignored',
    });

    assert.equal(request.model, 'nano');
    assert.equal(request.language, 'zh-Hans');
    assert.equal(request.format, 'verbose_json');
    assert.equal(request.temperature, 0.25);
    assert.equal(request.start.sampling?.temperature, 0.25);
    assert.equal(request.start.output?.numLogprobs, 0);
    assert.match(JSON.stringify(request.start.prompt), /Write it down/);
  });

  it('takes an empty text for none', () => {
    const { format, language, isStream } = parse({ response_format: '', language: '', stream: '' });

    assert.deepEqual([format, language, isStream], ['json', undefined, false]);
    assert.match(JSON.stringify(promptOf({ prompt: '' })), /Please transcribe/);
  });

  const REFUSALS = [
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
