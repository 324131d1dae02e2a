import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Channel, FinishReason } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import { accepted, candidate, delta, finished, saying } from './fake-backbone.ts';
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

function chunk(deltaFields: AnyObject, extras: AnyObject = {}): AnyObject {
  const choice = { index: 0, delta: deltaFields, logprobs: null, finish_reason: null };
  return { ...CHUNK, choices: [{ ...choice, ...extras }] };
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
          message: { role: 'assistant', content: 'Hello world', refusal: null },
          logprobs: null,
          finish_reason: 'stop',
          stop_reason: null,
        },
      ],
      usage: {
        prompt_tokens: 7,
        completion_tokens: 2,
        total_tokens: 9,
        prompt_tokens_details: { cached_tokens: 4, audio_tokens: 0, image_tokens: 0 },
        completion_tokens_details: { reasoning_tokens: 0 },
      },
    });
  });

  it('streams role, content, finish, usage and the end mark in exactly this shape', async () => {
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
      { ...chunk({ role: 'assistant', content: '' }), usage: null },
      { ...chunk({ content: 'He' }), usage: null },
      { ...chunk({ content: '"llo' }), usage: null },
      { ...chunk({}, { finish_reason: 'stop', stop_reason: null }), usage: null },
      { ...CHUNK, choices: [], usage },
    ]);
    assert.equal(events.at(-1), '[DONE]');
  });

  it('leaves usage out of a stream that did not ask for it', async () => {
    harness.backbone.script = () => saying('Hi');

    const events = await streamed({});

    assert.equal(events.length, 4);
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
    assert.deepEqual(counts, [0, 1, 2, 2, 2]);
  });

  it('streams several choices, each with its own finish', async () => {
    harness.backbone.script = async function* () {
      yield accepted();
      yield delta({ index: 0, text: 'a' }, { index: 1, text: 'b' });
      yield finished({
        choices: [
          { index: 0, reason: FinishReason.FINISH_REASON_STOP },
          { index: 1, reason: FinishReason.FINISH_REASON_LENGTH },
        ],
      });
    };

    const events = await streamed({ n: 2 });

    assert.deepEqual(events.slice(0, -1).map(stable), [
      chunk({ role: 'assistant', content: '' }),
      chunk({ role: 'assistant', content: '' }, { index: 1 }),
      chunk({ content: 'a' }),
      chunk({ content: 'b' }, { index: 1 }),
      chunk({}, { finish_reason: 'stop', stop_reason: null }),
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
          refusal: null,
          reasoning_content: 'hm',
          reasoning: 'hm',
        },
        logprobs: null,
        finish_reason: 'stop',
        stop_reason: null,
      },
    ]);
    assert.deepEqual(JSON.parse(JSON.stringify(usage)).completion_tokens_details, {
      reasoning_tokens: 1,
    });
    assert.equal(harness.backbone.starts.at(-1)?.output?.splitReasoning, true);
  });

  it('writes log-probabilities, bytes of part characters included', async () => {
    const token = { tokenId: 3, text: Buffer.from([0xe4, 0xbd]), logprob: -0.5 };
    const other = candidate(9, 'x', -Infinity);
    harness.backbone.script = async function* () {
      yield accepted();
      yield delta({ text: '', logprobs: [{ token, rank: 1, top: [token, other] }] });
      yield finished();
    };

    const events = await streamed({ logprobs: true, top_logprobs: 2 });
    const ids = await streamed({ logprobs: true, return_tokens_as_token_ids: true });

    const first = { token: '\ufffd', logprob: -0.5, bytes: [0xe4, 0xbd] };
    const second = { token: 'x', logprob: -9999, bytes: [0x78] };
    const logprobs = { content: [{ ...first, top_logprobs: [first, second] }] };
    assert.deepEqual(stable(events[1]), chunk({ content: '' }, { logprobs }));
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

    assert.deepEqual(
      stable(events[0]),
      chunk({ role: 'assistant', content: '' }, { prompt_token_ids: [1, 2, 3] }),
    );
    assert.deepEqual(stable(events[1]), chunk({ content: 'a' }, { token_ids: [42] }));
    const body = stable(await whole.json());
    assert.deepEqual(body['prompt_token_ids'], [1, 2, 3]);
    assert.match(JSON.stringify(body['choices']), /"token_ids":\[42,42\]/);
  });

  it('writes prompt log-probabilities in the shape of vLLM', async () => {
    harness.backbone.script = async function* () {
      yield accepted();
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

    assert.deepEqual(stable(events[1]), chunk({ content: 'Hey' }));
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
});
