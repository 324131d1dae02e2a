import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  type Answer,
  ChatReader,
  differenceOf,
  TranscriptReader,
} from '#test/chaos/load/answer.ts';

function chunk(content: string, more: Readonly<Record<string, unknown>> = {}): string {
  const choice = { index: 0, delta: { content }, logprobs: null, finish_reason: null, ...more };
  return JSON.stringify({ choices: [choice] });
}

const USAGE = JSON.stringify({
  choices: [],
  usage: {
    prompt_tokens: 3,
    completion_tokens: 2,
    completion_tokens_details: { reasoning_tokens: 0 },
  },
});

/** Reads a chat stream to its end. */
function read(events: readonly string[]): Answer {
  const reader = new ChatReader();
  for (const event of events) reader.read(event);
  return reader.answer;
}

describe('ChatReader', () => {
  it('joins text, reasoning, log-probabilities, finish and usage', () => {
    const reader = new ChatReader();
    const logprobs = { content: [{ token: 'a', logprob: -1 }] };

    const news = [
      chunk(''),
      chunk('', { delta: { content: '', reasoning_content: 'hm' } }),
      chunk('a', { logprobs }),
      chunk('b', { finish_reason: 'stop' }),
      USAGE,
    ].map((event) => reader.read(event));
    reader.read('[DONE]');

    assert.deepEqual(news, [false, true, true, true, false]);
    assert(reader.isComplete);
    assert.deepEqual(reader.answer, {
      choices: [{ text: 'ab', reasoning: 'hm', finishReason: 'stop', logprobs: logprobs.content }],
      usage: { numPrompt: 3, numCompletion: 2, numReasoning: 0 },
    });
  });

  it('refuses what a spoilt stream may bring', () => {
    const finished = [chunk('a', { finish_reason: 'stop' })];
    const error = JSON.stringify({ error: { message: 'the connection was lost' } });

    assert.throws(() => read([...finished, chunk('b')]), /choice 0 went on after its finish/);
    assert.throws(() => read([USAGE, USAGE]), /usage came twice/);
    assert.throws(() => read([error]), /error event: the connection was lost/);
  });
});

describe('TranscriptReader', () => {
  it('joins the deltas, which must be the whole text', () => {
    const delta = (text: string) => JSON.stringify({ type: 'transcript.text.delta', delta: text });
    const done = (text: string) =>
      JSON.stringify({
        type: 'transcript.text.done',
        text,
        usage: { input_tokens: 5, output_tokens: 2 },
      });
    const [whole, doubled] = [new TranscriptReader(), new TranscriptReader()];

    for (const event of [delta('打开'), delta('微信'), done('打开微信')]) whole.read(event);
    doubled.read(delta('打开打开'));

    assert(whole.isComplete);
    assert.equal(whole.answer.choices[0]?.text, '打开微信');
    assert.equal(whole.answer.usage?.numCompletion, 2);
    assert.throws(() => doubled.read(done('打开')), /the deltas are not the whole text/);
  });
});

describe('differenceOf', () => {
  const EXPECTED: Answer = {
    choices: [
      {
        text: 'open the music app',
        reasoning: 'none',
        finishReason: 'stop',
        logprobs: [{ logprob: -0.5 }, { logprob: -0.25 }],
      },
    ],
    usage: { numPrompt: 3, numCompletion: 4, numReasoning: 0 },
  };
  const [choice] = EXPECTED.choices;

  it('finds none in equal answers', () => {
    assert.equal(differenceOf(structuredClone(EXPECTED), EXPECTED), undefined);
  });

  const spoilt: readonly (readonly [string, Partial<NonNullable<typeof choice>>, RegExp])[] = [
    ['a doubled token', { text: 'open the the music app' }, /text: at character 9/],
    ['a lost token', { text: 'open music app' }, /14 characters, not 18/],
    ['a cut text', { text: 'open' }, /text: at character 4/],
    ['other reasoning', { reasoning: '' }, /reasoning: at character 0/],
    ['another finish', { finishReason: 'length' }, /finish reason length, not stop/],
    ['a lost log-probability', { logprobs: [{ logprob: -0.5 }] }, /at token 1: undefined/],
    [
      'another log-probability',
      { logprobs: [{ logprob: -0.5 }, { logprob: -0.26 }] },
      /at token 1: \{"logprob":-0.26\}, not \{"logprob":-0.25\}/,
    ],
  ];
  for (const [what, change, message] of spoilt) {
    it(`names ${what}`, () => {
      assert(choice !== undefined);
      const answer = { ...EXPECTED, choices: [{ ...choice, ...change }] };

      assert.match(differenceOf(answer, EXPECTED) ?? '', message);
    });
  }

  it('names usage that is counted twice, and choices that are missing or too many', () => {
    const usage = { numPrompt: 6, numCompletion: 4, numReasoning: 0 };
    const twice = [...EXPECTED.choices, ...EXPECTED.choices];

    assert.match(differenceOf({ ...EXPECTED, usage }, EXPECTED) ?? '', /usage: .*6.* not .*3/);
    assert.match(differenceOf({ ...EXPECTED, choices: [] }, EXPECTED) ?? '', /choice 0 is missing/);
    assert.match(differenceOf({ ...EXPECTED, choices: twice }, EXPECTED) ?? '', /too many choices/);
  });
});
