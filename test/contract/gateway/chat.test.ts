import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Channel, FinishReason } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import { accepted, candidate, delta, finished, saying, stopped } from './fake-backbone.ts';
import { CHAT, eventsOf, type Harness, startHarness } from './harness.ts';

interface AnyObject {
  readonly [key: string]: unknown;
}

/** Replaces the values that differ from answer to answer. */
function stable(value: unknown): AnyObject {
  assert(typeof value === 'object' && value !== null);
  const { id, created, ...rest } = Object.fromEntries(Object.entries(value));
  assert.match(String(id), /^chatcmpl-[0-9a-f]{32}$/);
  assert(Number(created) > 1_700_000_000);
  return rest;
}

const COMMON = { model: 'phone-nano', system_fingerprint: 'fp_0123456789' };
const CHUNK = { object: 'chat.completion.chunk', ...COMMON };

/** The fields that a whole answer has besides OpenAI's, which vLLM writes too. */
const UNSET = {
  service_tier: null,
  prompt_logprobs: null,
  prompt_token_ids: null,
  kv_transfer_params: null,
};
const UNSET_MESSAGE = {
  refusal: null,
  annotations: null,
  audio: null,
  function_call: null,
  reasoning_content: null,
  reasoning: null,
};
const STOP = { finish_reason: 'stop', stop_reason: null };

function opening(content: AnyObject, extras: AnyObject = {}): AnyObject {
  const choice = { index: 0, delta: content, logprobs: null, finish_reason: null };
  return { ...CHUNK, choices: [{ ...choice, ...extras }] };
}

/** The chunk that opens a choice. */
function role(index = 0): AnyObject {
  return { ...opening({ role: 'assistant', content: '' }, { index }), prompt_token_ids: null };
}

function chunk(content: AnyObject, extras: AnyObject = {}): AnyObject {
  return opening(content, { token_ids: null, ...extras });
}

describe('POST /v1/chat/completions', () => {
  let harness: Harness;
  before(async () => {
    harness = await startHarness();
  });
  after(() => harness.close());

  async function streamed(body: AnyObject): Promise<unknown[]> {
    const response = await harness.post('/v1/chat/completions', { ...CHAT, ...body, stream: true });
    assert.equal(response.status, 200);
    return eventsOf(await response.text());
  }

  it('answers with a whole completion', async () => {
    harness.backbone.script = () => saying('Hello', ' world');

    const response = await harness.post('/v1/chat/completions', CHAT);

    assert.equal(response.status, 200);
    assert.deepEqual(stable(await response.json()), {
      object: 'chat.completion',
      ...COMMON,
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: 'Hello world', ...UNSET_MESSAGE },
          logprobs: null,
          ...STOP,
          token_ids: null,
        },
      ],
      ...UNSET,
      usage: {
        prompt_tokens: 7,
        completion_tokens: 2,
        total_tokens: 9,
        prompt_tokens_details: { cached_tokens: 4, audio_tokens: 0, image_tokens: 0 },
        completion_tokens_details: { reasoning_tokens: 0 },
      },
    });
  });

  it('streams role, content, finish with the last token, usage and the end mark', async () => {
    harness.backbone.script = () => saying('He', '"llo');

    const events = await streamed({ stream_options: { include_usage: true } });

    const chunks = events.slice(0, -1).map(stable);
    const usage = {
      prompt_tokens: 7,
      completion_tokens: 2,
      total_tokens: 9,
      prompt_tokens_details: { cached_tokens: 4, audio_tokens: 0, image_tokens: 0 },
      completion_tokens_details: { reasoning_tokens: 0 },
    };
    assert.deepEqual(chunks, [
      { ...role(), usage: null },
      { ...chunk({ content: 'He' }), usage: null },
      { ...chunk({ content: '"llo' }, STOP), usage: null },
      { ...CHUNK, choices: [], usage },
    ]);
    assert.equal(events.at(-1), '[DONE]');
  });

  it('leaves usage out of a stream that did not ask for it', async () => {
    harness.backbone.script = () => saying('Hi');

    const events = await streamed({});

    assert.equal(events.length, 3);
    assert(!JSON.stringify(events).includes('usage'));
  });

  it('counts usage in every chunk with continuous_usage_stats', async () => {
    harness.backbone.script = () => saying('a', 'b');

    const events = await streamed({
      stream_options: { include_usage: true, continuous_usage_stats: true },
    });

    const counts = events.slice(0, -1).map((event) => {
      const { usage } = stable(event);
      assert(typeof usage === 'object' && usage !== null && 'completion_tokens' in usage);
      return usage.completion_tokens;
    });
    assert.deepEqual(counts, [0, 1, 2, 2]);
  });

  it('streams several choices, each with its own finish', async () => {
    harness.backbone.script = async function* () {
      yield accepted();
      yield delta({ index: 0, text: 'a', finish: stopped(0) }, { index: 1, text: 'b' });
      yield delta({ index: 1, text: 'c' });
      yield finished({
        choices: [
          { index: 0, reason: FinishReason.FINISH_REASON_STOP },
          { index: 1, reason: FinishReason.FINISH_REASON_LENGTH },
        ],
      });
    };

    const events = await streamed({ n: 2 });

    assert.deepEqual(events.slice(0, -1).map(stable), [
      role(0),
      role(1),
      chunk({ content: 'a' }, STOP),
      chunk({ content: 'b' }, { index: 1 }),
      chunk({ content: 'c' }, { index: 1 }),
      // This choice ended without a token of its own.
      chunk({}, { index: 1, finish_reason: 'length', stop_reason: null }),
    ]);
  });

  it('writes thoughts under both names clients read', async () => {
    harness.backbone.script = async function* () {
      yield accepted();
      yield delta({ text: 'hm', channel: Channel.CHANNEL_REASONING });
      yield delta({ text: 'yes' });
      yield finished({ numReasoningTokens: 1 });
    };

    const events = await streamed({ return_reasoning: true });
    const whole = await harness.post('/v1/chat/completions', { ...CHAT, return_reasoning: true });

    assert.deepEqual(stable(events[1]), chunk({ reasoning_content: 'hm', reasoning: 'hm' }));
    const { choices, usage } = stable(await whole.json());
    assert.deepEqual(choices, [
      {
        index: 0,
        message: {
          role: 'assistant',
          content: 'yes',
          ...UNSET_MESSAGE,
          reasoning_content: 'hm',
          reasoning: 'hm',
        },
        logprobs: null,
        ...STOP,
        token_ids: null,
      },
    ]);
    assert.deepEqual(JSON.parse(JSON.stringify(usage)).completion_tokens_details, {
      reasoning_tokens: 1,
    });
    assert.equal(harness.backbone.starts.at(-1)?.output?.splitReasoning, true);
  });

  it('joins thoughts and answer of one step, and writes neither twice', async () => {
    harness.backbone.script = async function* () {
      yield accepted();
      yield delta(
        { text: 'hm', channel: Channel.CHANNEL_REASONING },
        { text: 'yes', tokenIds: [], finish: stopped() },
      );
      yield finished();
    };

    const shown = await streamed({ return_reasoning: true, return_token_ids: true });
    const hidden = await streamed({ include_reasoning: false, return_token_ids: true });

    const names = { reasoning_content: 'hm', reasoning: 'hm' };
    assert.deepEqual(
      stable(shown[1]),
      chunk({ content: 'yes', ...names }, { ...STOP, token_ids: [42] }),
    );
    assert.equal(shown.length, 3);
    assert.deepEqual(stable(hidden[1]), chunk({ content: 'yes' }, STOP));
  });

  it('keeps hidden thoughts out of a whole answer', async () => {
    harness.backbone.script = async function* () {
      yield accepted();
      yield delta({ text: 'hm', channel: Channel.CHANNEL_REASONING });
      yield delta({ text: 'yes', finish: stopped() });
      yield finished();
    };

    const body = { ...CHAT, include_reasoning: false, logprobs: true };
    const text = await (await harness.post('/v1/chat/completions', body)).text();

    assert(!text.includes('hm'), text);
    assert.match(text, /"content":"yes".*"logprobs":null/);
  });

  it('writes log-probabilities, bytes of part characters included', async () => {
    const token = { tokenId: 3, text: Buffer.from([0xe4, 0xbd]), logprob: -0.5 };
    const other = candidate(9, 'x', -Infinity);
    harness.backbone.script = async function* () {
      yield accepted();
      const logprobs = [{ token, rank: 1, top: [token, other] }];
      yield delta({ text: '', logprobs });
      yield delta({ text: '', logprobs, finish: stopped() });
      yield finished();
    };

    const events = await streamed({ logprobs: true, top_logprobs: 2 });
    const ids = await streamed({ logprobs: true, return_tokens_as_token_ids: true });

    const first = { token: '\ufffd', logprob: -0.5, bytes: [0xe4, 0xbd] };
    const second = { token: 'x', logprob: -9999, bytes: [0x78] };
    const logprobs = { content: [{ ...first, top_logprobs: [first, second] }] };
    assert.deepEqual(stable(events[1]), chunk({ content: '' }, { logprobs }));
    assert.deepEqual(stable(events[2]), chunk({ content: '' }, { logprobs, ...STOP }));
    assert.equal(events[3], '[DONE]');
    assert.match(JSON.stringify(ids[1]), /"token":"token_id:3"/);
    assert.equal(harness.backbone.starts.at(-1)?.output?.numLogprobs, 0);
  });

  it('names the stop string that ended a choice', async () => {
    harness.backbone.script = async function* () {
      yield accepted();
      yield delta({ text: 'a' });
      const stop = { $case: 'stopString', value: 'END' } as const;
      yield finished({ choices: [{ index: 0, reason: FinishReason.FINISH_REASON_STOP, stop }] });
    };

    const response = await harness.post('/v1/chat/completions', { ...CHAT, stop: 'END' });

    assert.match(await response.text(), /"finish_reason":"stop","stop_reason":"END"/);
    assert.deepEqual(harness.backbone.starts.at(-1)?.sampling?.stopStrings, ['END']);
  });

  it('returns token ids where asked for', async () => {
    harness.backbone.script = () => saying('a', 'b');

    const events = await streamed({ return_token_ids: true });
    const whole = await harness.post('/v1/chat/completions', { ...CHAT, return_token_ids: true });

    assert.deepEqual(stable(events[0]), { ...role(), prompt_token_ids: [1, 2, 3] });
    assert.deepEqual(stable(events[1]), chunk({ content: 'a' }, { token_ids: [42] }));
    assert.deepEqual(stable(events[2]), chunk({ content: 'b' }, { token_ids: [42], ...STOP }));
    const body = stable(await whole.json());
    assert.deepEqual(body['prompt_token_ids'], [1, 2, 3]);
    assert.match(JSON.stringify(body['choices']), /"token_ids":\[42,42\]/);
  });

  it('writes prompt log-probabilities in the shape of vLLM', async () => {
    harness.backbone.script = async function* () {
      yield accepted({ numPromptTokens: 2 });
      const tokens = [{ token: candidate(2, 'b', -3), rank: 7, top: [candidate(4, 'd', -1)] }];
      yield { event: { $case: 'promptLogprobs', value: { tokens } } };
      yield delta({ text: 'a' });
      yield finished();
    };

    const response = await harness.post('/v1/chat/completions', { ...CHAT, prompt_logprobs: 1 });

    assert.deepEqual(stable(await response.json())['prompt_logprobs'], [
      null,
      {
        '2': { logprob: -3, rank: 7, decoded_token: 'b' },
        '4': { logprob: -1, rank: 1, decoded_token: 'd' },
      },
    ]);
  });

  it('repeats an open assistant message before the answer with echo', async () => {
    harness.backbone.script = () => saying(' there');
    const messages = [...CHAT.messages, { role: 'assistant', content: 'Hey' }];
    const body = { messages, echo: true, continue_final_message: true };

    const events = await streamed(body);
    const whole = await harness.post('/v1/chat/completions', body);

    assert.deepEqual(stable(events[1]), opening({ content: 'Hey' }));
    assert.match(await whole.text(), /"content":"Hey there"/);
    const form = harness.backbone.starts.at(-1)?.prompt?.form;
    assert(form?.$case === 'chat');
    assert.equal(form.value.continueFinalMessage, true);
    assert.equal(form.value.addGenerationPrompt, false);
  });

  it('passes the request id on and gives it back', async () => {
    const response = await harness.post('/v1/chat/completions', CHAT, {
      headers: { 'content-type': 'application/json', 'x-request-id': 'abc-1' },
    });
    const unsafe = await harness.post('/v1/chat/completions', CHAT, {
      headers: { 'content-type': 'application/json', 'x-request-id': 'a b' },
    });

    assert.equal(response.headers.get('x-request-id'), 'abc-1');
    assert.match(response.headers.get('openai-processing-ms') ?? '', /^\d+$/);
    assert.equal(harness.backbone.starts.at(-2)?.requestId, 'abc-1');
    assert.match(unsafe.headers.get('x-request-id') ?? '', /^[0-9a-f-]{36}$/);
    await Promise.all([response.text(), unsafe.text()]);
  });

  it('takes the name of a request from its body, unless a header has named it', async () => {
    const body = { ...CHAT, request_id: 'mine-1' };
    const named = await harness.post('/v1/chat/completions', body);
    const twice = await harness.post('/v1/chat/completions', body, {
      headers: { 'content-type': 'application/json', 'x-request-id': 'head-1' },
    });

    assert.equal(named.headers.get('x-request-id'), 'mine-1');
    assert.equal(twice.headers.get('x-request-id'), 'head-1');
    const ids = harness.backbone.starts.slice(-2).map(({ requestId }) => requestId);
    assert.deepEqual(ids, ['mine-1', 'head-1']);
    assert.match(await named.text(), /^{"id":"chatcmpl-mine-1"/);
    await twice.text();
  });

  it('sends the salt of the cache and the default model on', async () => {
    const body = { ...CHAT, model: '', cache_salt: 'tenant' };

    const answer = await (await harness.post('/v1/chat/completions', body)).text();

    assert.match(answer, /"model":"phone-nano"/);
    assert.equal(harness.backbone.starts.at(-1)?.cacheSalt, 'tenant');
  });
});
