import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { MeshError } from '#mesh/errors.ts';
import { FinishReason, type GenerateStart } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import {
  aborted,
  accepted,
  candidate,
  delta,
  type Events,
  finished,
  saying,
  stopped,
} from './fake-backbone.ts';
import { errorOf, eventsOf, type Harness, jsonOf, startHarness } from './harness.ts';

const PATH = '/v1/completions';
/** Fields of a choice that nothing has set. */
const UNSET = { stop_reason: null, prompt_token_ids: null, token_ids: null };

/** Returns the text of the start's prompt. */
function promptOf(start: GenerateStart): string {
  const form = start.prompt?.form;
  return form?.$case === 'text' ? form.value.text : '';
}

/** Answers a prompt with log-probabilities of its second token and one token of its own. */
async function* probable(): Events {
  yield accepted({ numPromptTokens: 2, promptTokenIds: [8, 9] });
  const tokens = [{ token: candidate(9, 'é', -2), rank: 1, top: [] }];
  yield { event: { $case: 'promptLogprobs', value: { tokens } } };
  const top = [candidate(3, '!', -0.5), candidate(4, '?', -1)];
  yield delta({ text: '!', logprobs: [{ token: candidate(3, '!', -0.5), rank: 1, top }] });
  yield finished({ numCompletionTokens: 1 });
}

describe('POST /v1/completions', () => {
  let harness: Harness;
  before(async () => {
    harness = await startHarness();
  });
  after(() => harness.close());

  async function whole(body: object) {
    const response = await harness.post(PATH, body);
    assert.equal(response.status, 200);
    const { id, created, ...rest } = await jsonOf(response);
    assert.match(String(id), /^cmpl-[0-9a-f]{32}$/);
    assert(Number(created) > 0);
    return rest;
  }

  async function choicesOf(body: object): Promise<unknown[]> {
    const response = await harness.post(PATH, { ...body, stream: true });
    const events = eventsOf(await response.text());
    assert.equal(events.at(-1), '[DONE]');
    return events.slice(0, -1).flatMap((event) => {
      assert(typeof event === 'object' && event !== null && 'choices' in event);
      assert('object' in event && event.object === 'text_completion');
      assert(Array.isArray(event.choices));
      return event.choices;
    });
  }

  it('answers with a whole completion', async () => {
    harness.backbone.script = () => saying('Hello', ' world');

    assert.deepEqual(await whole({ prompt: 'Say', model: 'phone-nano' }), {
      object: 'text_completion',
      model: 'phone-nano',
      system_fingerprint: 'fp_0123456789',
      choices: [
        {
          index: 0,
          text: 'Hello world',
          logprobs: null,
          finish_reason: 'stop',
          ...UNSET,
          prompt_logprobs: null,
        },
      ],
      service_tier: null,
      kv_transfer_params: null,
      usage: {
        prompt_tokens: 7,
        completion_tokens: 2,
        total_tokens: 9,
        prompt_tokens_details: { cached_tokens: 4, audio_tokens: 0, image_tokens: 0 },
        completion_tokens_details: { reasoning_tokens: 0 },
      },
    });
  });

  it('streams text, and the finish with the last of it', async () => {
    harness.backbone.script = () => saying('He', 'y');

    const choice = { index: 0, logprobs: null, finish_reason: null, ...UNSET };
    assert.deepEqual(await choicesOf({ prompt: 'Say' }), [
      { ...choice, text: 'He' },
      { ...choice, text: 'y', finish_reason: 'stop' },
    ]);
  });

  it('has the lists of log-probabilities in every chunk', async () => {
    const logprob = { token: candidate(3, '!', -0.5), rank: 1, top: [] };
    harness.backbone.script = async function* () {
      yield accepted();
      yield delta({ text: '!', logprobs: [logprob] });
      yield delta({ text: '!', logprobs: [logprob], finish: stopped() });
      yield finished({ numCompletionTokens: 2 });
    };
    const body = { prompt: 'Say', logprobs: 0, echo: true, return_token_ids: true };

    const tokens = (await choicesOf(body)).map((choice) => {
      const { logprobs } = Object(choice);
      return logprobs.tokens;
    });

    assert.deepEqual(tokens, [[], ['!'], ['!']]);
  });

  it('numbers the choices of several prompts prompt by prompt and adds up usage', async () => {
    harness.backbone.script = async function* (start) {
      const name = promptOf(start);
      yield accepted();
      yield delta({ index: 0, text: `${name}0` }, { index: 1, text: `${name}1` });
      const reason = FinishReason.FINISH_REASON_STOP;
      yield finished({
        choices: [
          { index: 0, reason },
          { index: 1, reason },
        ],
      });
    };
    const body = { prompt: ['a', 'b'], n: 2 };

    const { choices, usage } = await whole(body);
    const streamed = await choicesOf({ ...body, stream_options: { include_usage: true } });

    assert(Array.isArray(choices));
    const places = choices.map(({ index, text }) => [index, text]);
    assert.deepEqual(places, [
      [0, 'a0'],
      [1, 'a1'],
      [2, 'b0'],
      [3, 'b1'],
    ]);
    assert.match(JSON.stringify(usage), /"prompt_tokens":14,"completion_tokens":4/);
    const texts = new Set(streamed.map((choice) => JSON.stringify(choice).slice(0, 22)));
    for (const start of ['{"index":0,"text":"a0"', '{"index":3,"text":"b1"'])
      assert(texts.has(start));
  });

  it('writes log-probabilities as four lists', async () => {
    harness.backbone.script = probable;

    const { choices } = await whole({ prompt: 'Say', logprobs: 2 });

    assert.deepEqual(choices, [
      {
        index: 0,
        text: '!',
        logprobs: {
          tokens: ['!'],
          token_logprobs: [-0.5],
          top_logprobs: [{ '!': -0.5, '?': -1 }],
          text_offset: [0],
        },
        finish_reason: 'stop',
        ...UNSET,
        prompt_logprobs: null,
      },
    ]);
  });

  it('refuses more log-probabilities than an answer may have before a prompt is scored', async () => {
    harness.backbone.script = async function* () {
      yield accepted({ numPromptTokens: 8000 });
      yield finished();
    };
    const scored = { prompt: 'a', prompt_logprobs: 20 };
    const echoed = { prompt: 'a', echo: true, logprobs: 20, n: 2, stream: true };

    const one = await harness.post(PATH, scored);
    const answers = [
      await harness.post(PATH, { ...scored, n: 2 }),
      await harness.post(PATH, { ...scored, prompt: ['a', 'b'] }),
      await harness.post(PATH, echoed),
    ];

    assert.equal(one.status, 200);
    await one.text();
    for (const answer of answers) {
      assert.equal(answer.status, 400);
      assert.match((await errorOf(answer)).message, /over 200000 log-probabilities/);
    }
  });

  it('holds no more log-probabilities of sampled tokens than an answer may have', async () => {
    const top = Array.from({ length: 19 }, (_, id) => candidate(id, '!', -1));
    const logprobs = Array(1000).fill({ token: candidate(3, '!', -1), rank: 1, top });
    harness.backbone.script = async function* () {
      yield accepted();
      for (let i = 0; i < 11; i++) yield delta({ text: '!', logprobs });
      yield finished();
    };

    const whole = await harness.post(PATH, { prompt: 'a', logprobs: 19 });
    const streamed = await harness.post(PATH, { prompt: 'a', logprobs: 19, stream: true });

    assert.equal(whole.status, 400);
    assert.match((await errorOf(whole)).message, /log-probabilities/);
    assert.match(await streamed.text(), /\[DONE\]/);
  });

  it('echoes a text prompt with its log-probabilities, streamed or not', async () => {
    harness.backbone.script = probable;
    const body = { prompt: 'aé', echo: true, logprobs: 2 };

    const { choices } = await whole(body);
    const [echo, answer] = await choicesOf(body);

    const prompt = {
      tokens: ['<8>', 'é'],
      token_logprobs: [null, -2],
      top_logprobs: [null, { é: -2 }],
      text_offset: [0, 3],
    };
    const own = {
      tokens: ['!'],
      token_logprobs: [-0.5],
      top_logprobs: [{ '!': -0.5, '?': -1 }],
      text_offset: [4],
    };
    assert(Array.isArray(choices));
    assert.equal(choices[0].text, 'aé!');
    assert.deepEqual(choices[0].logprobs, {
      tokens: [...prompt.tokens, ...own.tokens],
      token_logprobs: [...prompt.token_logprobs, ...own.token_logprobs],
      top_logprobs: [...prompt.top_logprobs, ...own.top_logprobs],
      text_offset: [...prompt.text_offset, ...own.text_offset],
    });
    const choice = { index: 0, finish_reason: null, ...UNSET };
    assert.deepEqual(echo, { ...choice, text: 'aé', logprobs: prompt });
    assert.deepEqual(answer, { ...choice, text: '!', logprobs: own });
  });

  it('echoes token prompts as their text', async () => {
    harness.backbone.script = () => saying('!');

    const [first] = await choicesOf({ prompt: [1, 2, 3], echo: true });

    assert.deepEqual(first, {
      index: 0,
      text: '<1><2><3>',
      logprobs: null,
      finish_reason: null,
      ...UNSET,
    });
  });

  it('repeats only the prompt for max_tokens 0 with echo', async () => {
    harness.backbone.script = () => saying('!');

    const { choices, usage } = await whole({ prompt: 'Say', echo: true, max_tokens: 0 });

    assert.deepEqual(choices, [
      {
        index: 0,
        text: 'Say',
        logprobs: null,
        finish_reason: 'length',
        ...UNSET,
        prompt_logprobs: null,
      },
    ]);
    assert.match(JSON.stringify(usage), /"completion_tokens":0/);
    assert.equal(harness.backbone.starts.at(-1)?.sampling?.maxTokens, 1);
  });

  it('returns ids of prompt and completion in each choice', async () => {
    harness.backbone.script = () => saying('!');

    const { choices } = await whole({ prompt: 'Say', return_token_ids: true, prompt_logprobs: 0 });
    const [opening, next] = await choicesOf({ prompt: 'Say', return_token_ids: true });

    assert.match(JSON.stringify(choices), /"token_ids":\[42\],"prompt_token_ids":\[1,2,3\]/);
    assert.match(JSON.stringify(opening), /"text":"".*"prompt_token_ids":\[1,2,3\]/);
    assert.match(JSON.stringify(next), /"text":"!".*"token_ids":\[42\]/);
  });

  it('fails as a whole with the first prompt that fails, and ends the others', async () => {
    harness.backbone.script = async function* (start, signal) {
      if (promptOf(start) === 'bad') throw new MeshError('CONTEXT_LENGTH_EXCEEDED', 'too long');
      yield accepted();
      await aborted(signal);
    };

    const response = await harness.post(PATH, { prompt: ['good', 'bad'] });

    assert.equal(response.status, 400);
    assert.equal((await errorOf(response)).code, 'context_length_exceeded');
    await harness.backbone.until('cancelled');
    assert.deepEqual(await jsonOf(await harness.get('/load')), { server_load: 0 });
  });
});
