import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { MeshError } from '#mesh/errors.ts';
import { isRecord } from '#mesh/json-value.ts';
import { Channel, FinishReason, type GenerateStart } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import { accepted, delta, finished, saying } from '../fake-backbone.ts';
import { type Harness, jsonOf, startHarness } from '../harness.ts';
import { PNG } from '../media-files.ts';

const MODEL = 'phone-nano';
const ASK = {
  model: MODEL,
  max_tokens: 50,
  messages: [{ role: 'user', content: 'hi' }],
} satisfies Anthropic.MessageCreateParams;
const IMAGE = {
  type: 'image',
  source: { type: 'base64', media_type: 'image/png', data: PNG.toString('base64') },
} satisfies Anthropic.ImageBlockParam;

const TOOL = {
  name: 'tap',
  description: 'Taps an app',
  input_schema: { type: 'object', properties: { app: { type: 'string' } } },
} satisfies Anthropic.Tool;
const CALL = {
  type: 'tool_use',
  id: 'toolu_1',
  name: 'tap',
  input: { app: 'WeChat' },
} satisfies Anthropic.ToolUseBlockParam;

const SCHEMA_FORMAT = {
  type: 'json_schema',
  schema: { type: 'object', properties: { app: { type: 'string' } }, required: ['app'] },
} satisfies Anthropic.JSONOutputFormat;

let harness: Harness;
before(async () => {
  harness = await startHarness({ apiKey: 'key' });
});
after(() => harness.close());
beforeEach(() => {
  harness.backbone.starts.length = 0;
  harness.backbone.script = async function* () {
    yield accepted();
    yield delta({ text: 'h', channel: Channel.CHANNEL_REASONING });
    yield delta({ text: 'm', channel: Channel.CHANNEL_REASONING });
    yield delta({ text: '' });
    yield delta({ text: 'Hello' });
    yield delta({ text: ' world' });
    yield finished({ numCompletionTokens: 5, numReasoningTokens: 2 });
  };
});

const client = (options = {}) =>
  new Anthropic({ baseURL: harness.url, apiKey: 'key', maxRetries: 0, ...options });

function chatOf(start: GenerateStart | undefined) {
  const form = start?.prompt?.form;
  assert(form?.$case === 'chat');
  return form.value;
}

/** Returns role and plain text of each message that the backbone got. */
function turns(): (readonly [string, string])[] {
  return chatOf(harness.backbone.starts.at(-1)).messages.map(({ role, content }) => {
    if (content?.$case !== 'parts') return [role, content?.value ?? ''];
    const texts = content.value.parts.map(({ part }) =>
      part?.$case === 'text' ? part.value : `<${part?.value}>`,
    );
    return [role, texts.join('|')];
  });
}

async function post(body: unknown, headers = {}, path = '/v1/messages') {
  return await harness.post(path, body, {
    headers: { 'content-type': 'application/json', 'x-api-key': 'key', ...headers },
  });
}

async function refused(body: unknown, headers = {}, path = '/v1/messages') {
  const response = await post(body, headers, path);
  const answer = await jsonOf(response);
  const { type, error, request_id: id } = answer;
  assert(isRecord(error));
  assert.equal(type, 'error');
  assert.match(String(error['doc']), /^services\/mesh\/ERRORS\.md#[a-z_]+$/);
  assert.equal(id, response.headers.get('request-id'));
  return { status: response.status, type: error['type'], message: String(error['message']) };
}

const THOUGHTS = { type: 'thinking', thinking: 'hm', signature: '' };
const TEXT = { type: 'text', text: 'Hello world', citations: null };
const USAGE = {
  input_tokens: 3,
  cache_creation_input_tokens: 0,
  cache_read_input_tokens: 4,
  output_tokens: 5,
  output_tokens_details: { thinking_tokens: 2 },
};

describe('The @anthropic-ai/sdk package', () => {
  it('creates a message', async () => {
    const { id, _request_id, ...message } = await client().messages.create(ASK);

    assert.match(id, /^msg_[0-9a-f]{32}$/);
    assert(_request_id);
    assert.deepEqual(message, {
      type: 'message',
      role: 'assistant',
      model: MODEL,
      content: [THOUGHTS, TEXT],
      stop_reason: 'end_turn',
      stop_sequence: null,
      stop_details: null,
      container: null,
      usage: USAGE,
    });
    assert.deepEqual(turns(), [['user', 'hi']]);
  });

  it('streams a message block by block', async () => {
    const events: string[] = [];
    const stream = client().messages.stream(ASK);
    for await (const event of stream) {
      const index = 'index' in event ? ` ${event.index}` : '';
      events.push(event.type + index);
    }

    assert.deepEqual(events, [
      'message_start',
      'content_block_start 0',
      'content_block_delta 0',
      'content_block_delta 0',
      'content_block_stop 0',
      'content_block_start 1',
      'content_block_delta 1',
      'content_block_delta 1',
      'content_block_stop 1',
      'message_delta',
      'message_stop',
    ]);
    const { content, stop_reason, usage } = await stream.finalMessage();
    assert.deepEqual(content, [THOUGHTS, TEXT]);
    assert.equal(stop_reason, 'end_turn');
    assert.equal(usage.output_tokens, 5);
    assert.equal(usage.cache_read_input_tokens, 4);
  });

  it('sends system texts, images, thoughts and sampling', async () => {
    const message = await client().messages.create({
      ...ASK,
      system: [{ type: 'text', text: 'Be brief', cache_control: { type: 'ephemeral' } }],
      messages: [
        { role: 'user', content: [IMAGE, { type: 'text', text: 'what?' }] },
        {
          role: 'assistant',
          content: [
            { type: 'thinking', thinking: 'a cat', signature: '' },
            { type: 'text', text: 'A cat' },
          ],
        },
        { role: 'user', content: 'sure?' },
      ],
      stop_sequences: ['END'],
      // Fields that older versions of the package have.
      ...{ temperature: 0.5, top_p: 0.75, top_k: 40 },
      thinking: { type: 'enabled', budget_tokens: 1024 },
      metadata: { user_id: 'me' },
    });

    assert.equal(message.content.length, 2);
    const start = harness.backbone.starts.at(-1);
    const expected = [
      ['system', 'Be brief'],
      ['user', '<0>|what?'],
      ['assistant', 'A cat'],
      ['user', 'sure?'],
    ];
    assert.deepEqual(turns(), expected);
    assert.deepEqual(harness.backbone.uploads.at(-1), [PNG]);
    const chat = chatOf(start);
    assert.equal(chat.messages[2]?.reasoning, 'a cat');
    assert.deepEqual(chat.templateArgs, { enable_thinking: true });
    const { sampling } = start ?? {};
    assert.equal(sampling?.thinkingTokenBudget, 1024);
    assert.deepEqual(
      [sampling?.maxTokens, sampling?.temperature, sampling?.topP, sampling?.topK],
      [50, 0.5, 0.75, 40],
    );
    assert.deepEqual(sampling?.stopStrings, ['END']);
    assert.equal(start?.output?.splitReasoning, true);
  });

  it('goes on with an answer that it has begun', async () => {
    const messages = [...ASK.messages, { role: 'assistant' as const, content: 'Well,' }];
    await client().messages.create({ ...ASK, messages });

    const chat = chatOf(harness.backbone.starts.at(-1));
    assert.equal(chat.continueFinalMessage, true);
    assert.equal(chat.addGenerationPrompt, false);
  });

  it('shows no thoughts if they are to be omitted', async () => {
    const thinking = { type: 'adaptive', display: 'omitted' } as const;
    const whole = await client().messages.create({ ...ASK, thinking });
    const streamed = await client()
      .messages.stream({ ...ASK, thinking })
      .finalMessage();

    assert.deepEqual(whole.content, [TEXT]);
    assert.deepEqual(streamed.content, [TEXT]);
  });

  it('learns why a message ended', async () => {
    const end = async (choice: object) => {
      harness.backbone.script = async function* () {
        yield accepted();
        yield delta({ text: 'x' });
        yield finished({ choices: [{ index: 0, ...choice }] });
      };
      const whole = await client().messages.create(ASK);
      const streamed = await client().messages.stream(ASK).finalMessage();
      const { stop_reason, stop_sequence } = whole;
      assert.deepEqual(
        [streamed.stop_reason, streamed.stop_sequence],
        [stop_reason, stop_sequence],
      );
      return [stop_reason, stop_sequence];
    };

    assert.deepEqual(await end({ reason: 2 }), ['max_tokens', null]);
    const stop = { $case: 'stopString' as const, value: 'END' };
    assert.deepEqual(await end({ reason: 1, stop }), ['stop_sequence', 'END']);
    assert.deepEqual(await end({ reason: 1 }), ['end_turn', null]);
  });

  it('sends tools, calls and their results', async () => {
    await client().messages.create({
      ...ASK,
      tools: [TOOL],
      tool_choice: { type: 'auto', disable_parallel_tool_use: true },
      messages: [
        ...ASK.messages,
        { role: 'assistant', content: [CALL] },
        {
          role: 'user',
          content: [
            {
              type: 'tool_result',
              tool_use_id: 'toolu_1',
              content: [{ type: 'text', text: 'ok' }],
            },
            { type: 'text', text: 'and now?' },
          ],
        },
      ],
    });

    const start = harness.backbone.starts.at(-1);
    const expected = [
      ['user', 'hi'],
      ['assistant', ''],
      ['tool', 'ok'],
      ['user', 'and now?'],
    ];
    assert.deepEqual(turns(), expected);
    const { tools, messages } = chatOf(start);
    const { input_schema: parameters, ...named } = TOOL;
    assert.deepEqual(
      tools.map(({ functionJson }): unknown => JSON.parse(functionJson)),
      [{ ...named, parameters }],
    );
    const toolCalls = [{ id: 'toolu_1', name: 'tap', arguments: '{"app":"WeChat"}' }];
    assert.deepEqual(messages[1]?.toolCalls, toolCalls);
    assert.equal(messages[1]?.content, undefined);
    assert.equal(messages[2]?.toolCallId, 'toolu_1');
    assert.equal(start?.toolChoice?.singleCall, true);
  });

  it('gets calls of tools, whole and streamed', async () => {
    const call = (index: number, name: string | undefined, text: string) =>
      delta({ text, channel: Channel.CHANNEL_TOOL_CALL, toolCall: { index, name } });
    harness.backbone.script = async function* () {
      yield accepted();
      yield delta({ text: 'Tapping' });
      yield call(0, 'tap', '');
      yield call(0, undefined, '{"app":');
      yield call(0, undefined, '"WeChat"}');
      yield call(1, 'tap', '{"app":"Music"}');
      yield finished({ choices: [{ index: 0, reason: FinishReason.FINISH_REASON_TOOL_CALLS }] });
    };
    const ask = { ...ASK, tools: [TOOL] };

    const whole = await client().messages.create(ask);
    const streamed = await client().messages.stream(ask).finalMessage();

    for (const { content, stop_reason } of [whole, streamed]) {
      assert.equal(stop_reason, 'tool_use');
      const ids = content.flatMap((one) => (one.type === 'tool_use' ? [one.id] : []));
      assert.equal(new Set(ids).size, 2);
      assert.deepEqual(content, [
        { type: 'text', text: 'Tapping', citations: null },
        { type: 'tool_use', id: ids[0], name: 'tap', input: { app: 'WeChat' } },
        { type: 'tool_use', id: ids[1], name: 'tap', input: { app: 'Music' } },
      ]);
    }
  });

  it('gets no block of a call that max_tokens has cut', async () => {
    harness.backbone.script = async function* () {
      yield accepted();
      const toolCall = { index: 0, name: 'tap' };
      yield delta({ text: '{"app":', channel: Channel.CHANNEL_TOOL_CALL, toolCall });
      yield finished({ choices: [{ index: 0, reason: FinishReason.FINISH_REASON_LENGTH }] });
    };

    const { content, stop_reason } = await client().messages.create({ ...ASK, tools: [TOOL] });

    assert.deepEqual([content, stop_reason], [[], 'max_tokens']);
  });

  it('counts tokens, those of images too', async () => {
    const { model, messages } = ASK;
    const text = await client().messages.countTokens({ model, messages, system: 'Be brief' });
    const withImage = await client().messages.countTokens({
      model,
      messages: [{ role: 'user', content: [IMAGE] }],
    });

    assert.equal(text.input_tokens, 2);
    assert.equal(withImage.input_tokens, 2);
    assert.deepEqual(
      harness.backbone.trace.filter((event) => event.startsWith('tokenize')),
      [`tokenize ${MODEL} chat 0`, `tokenize ${MODEL} tokens 0`],
    );
    assert.ok(harness.backbone.tokenized.every(({ returnTokenStrings }) => !returnTokenStrings));
    assert.equal(harness.backbone.starts.at(-1)?.planOnly, true);
  });

  it('throws its own errors', async () => {
    const ask = { ...ASK, model: 'gpt' };
    await assert.rejects(client().messages.create(ask), Anthropic.NotFoundError);
    await assert.rejects(
      client({ apiKey: 'other' }).messages.create(ASK),
      Anthropic.AuthenticationError,
    );
    await assert.rejects(
      client({ apiKey: null, authToken: 'other' }).messages.create(ASK),
      Anthropic.AuthenticationError,
    );
    await client({ apiKey: null, authToken: 'key' }).messages.create(ASK);
    await assert.rejects(
      client().messages.create({ ...ASK, max_tokens: 0 }),
      Anthropic.BadRequestError,
    );
  });

  it('throws if a stream breaks off', async () => {
    harness.backbone.script = async function* () {
      yield accepted();
      yield delta({ text: 'x' });
      throw new MeshError('ENGINE_FAILED', 'lost a bit');
    };
    const texts: string[] = [];
    const stream = client()
      .messages.stream(ASK)
      .on('text', (text) => void texts.push(text));

    await assert.rejects(stream.finalMessage(), /lost a bit/);
    assert.deepEqual(texts, ['x']);
  });
});

describe('POST /v1/messages', () => {
  it('writes named events, with a ping after the start', async () => {
    harness.backbone.script = () => saying('Hi');
    const response = await post({ ...ASK, stream: true });

    assert.match(String(response.headers.get('content-type')), /^text\/event-stream/);
    const frames = (await response.text()).trimEnd().split('\n\n');
    const names = frames.map((frame) => /^event: (\w+)\ndata: \{/.exec(frame)?.[1]);
    assert.deepEqual(names, [
      'message_start',
      'ping',
      'content_block_start',
      'content_block_delta',
      'content_block_stop',
      'message_delta',
      'message_stop',
    ]);
  });

  it('tells a client that would store its conversation here to send it whole', async () => {
    const response = await post({ ...ASK, thread: { type: 'create' } });

    const { error } = await jsonOf(response);
    assert.equal(response.status, 400);
    assert(isRecord(error));
    const details = { error_code: 'thread_unsupported_request', unsupported: ['thread'] };
    assert.deepEqual(error['details'], details);
    await refused({ ...ASK, container: 'x' });
  });

  it('refuses a flag of tool_choice that is none', async () => {
    const choice = { type: 'auto', disable_parallel_tool_use: 'yes' };
    const { status, message } = await refused({ ...ASK, tools: [TOOL], tool_choice: choice });

    assert.equal(status, 400);
    assert.match(message, /^tool_choice\.disable_parallel_tool_use must be true or false/);
  });

  it('pings while nothing comes', async () => {
    const patient = await startHarness({ heartbeatIntervalS: 0.01 });
    try {
      let finish = () => {};
      const done = new Promise<void>((resolve) => {
        finish = resolve;
      });
      patient.backbone.script = async function* () {
        await done;
        yield* saying('Hi');
      };

      const response = await patient.post('/v1/messages', { ...ASK, stream: true });
      finish();
      const text = await response.text();

      assert.match(text, /^event: ping\ndata: \{"type":"ping"\}\n\n/);
      assert.match(text, /event: message_stop\n/);
    } finally {
      await patient.close();
    }
  });

  it('ends a stream that broke off with an error event', async () => {
    harness.backbone.script = async function* () {
      yield accepted();
      throw new MeshError('ENGINE_FAILED', 'lost a bit');
    };

    const text = await (await post({ ...ASK, stream: true })).text();

    const last = text.trimEnd().split('\n\n').at(-1) ?? '';
    assert.match(last, /^event: error\ndata: \{"type":"error","error":\{"type":"api_error"/);
    assert.doesNotMatch(text, /message_stop/);
  });

  it('refuses in the words of its client', async () => {
    const block = (...content: unknown[]) => ({ ...ASK, messages: [{ role: 'user', content }] });
    const image = (source: object) => block({ type: 'image', source });
    const foreign = { type: 'document', source: { type: 'url', url: 'https://a.b/c.pdf' } };
    for (const [body, field] of [
      [{ ...ASK, max_tokens: undefined }, 'max_tokens'],
      [{ ...ASK, model: undefined }, 'model'],
      [{ ...ASK, messages: [] }, 'messages'],
      [{ ...ASK, messages: [{ role: 'tool', content: 'a' }] }, 'messages[0].role'],
      [{ ...ASK, messages: [{ role: 'user', content: 7 }] }, 'messages[0].content'],
      [{ ...ASK, system: [{ type: 'text', text: 7 }] }, 'system[0].text'],
      [block({ type: 'text', text: 7 }), 'messages[0].content[0].text'],
      [block('a'), 'messages[0].content[0]'],
      [block({ type: 'text', text: 'a' }, { type: 'x' }), 'messages[0].content[1].type'],
      [block(foreign), 'messages[0].content[0]'],
      [block({ type: 'thinking', thinking: 'a' }), 'messages[0].content[0]'],
      [image({ type: 'file', file_id: 'a' }), 'messages[0].content[0].source.type'],
      [image({ type: 'url', url: 'ftp://a' }), 'messages[0].content[0].source.url'],
      [
        image({ type: 'base64', media_type: 'text/html', data: '' }),
        'messages[0].content[0].source.media_type',
      ],
      [
        image({ type: 'base64', media_type: 'image/png', data: 'AAAA' }),
        'messages[0].content[0].source.data',
      ],
      [{ ...ASK, stop_sequences: [''] }, 'stop_sequences'],
      [{ ...ASK, stop_sequences: Array(17).fill('a') }, 'stop_sequences'],
      [{ ...ASK, temperature: 3 }, 'temperature'],
      [{ ...ASK, thinking: { type: 'on' } }, 'thinking.type'],
      [{ ...ASK, tools: [{ name: 'a' }] }, 'tools[0].input_schema'],
      [{ ...ASK, tools: [{ ...TOOL, name: 7 }] }, 'tools[0].name'],
      [{ ...ASK, tools: [TOOL, TOOL] }, 'tools[1].name'],
      [{ ...ASK, tools: [{ ...TOOL, type: 'bash_20250124' }] }, 'tools[0].type'],
      [{ ...ASK, tool_choice: { type: 'any' } }, 'tool_choice'],
      [{ ...ASK, tools: [TOOL], tool_choice: { type: 'x' } }, 'tool_choice.type'],
      [{ ...ASK, tools: [TOOL], tool_choice: { type: 'tool', name: 'x' } }, 'tool_choice.name'],
      [block({ type: 'tool_result', tool_use_id: 'x' }), 'messages[0].content[0].tool_use_id'],
      [
        { ...ASK, messages: [...ASK.messages, { role: 'assistant', content: [CALL] }] },
        'messages[1].content[0]',
      ],
      [
        {
          ...ASK,
          messages: [...ASK.messages, { role: 'assistant', content: [{ ...CALL, input: 'a' }] }],
        },
        'messages[1].content[0].input',
      ],
      [{ ...ASK, container: 'c' }, 'container'],
      [
        { ...ASK, output_config: { format: { type: 'json_schema' } } },
        'output_config.format.schema',
      ],
      [{ ...ASK, output_config: { format: { type: 'text' } } }, 'output_config.format.type'],
      [{ ...ASK, output_format: { type: 'json_schema', schema: 7 } }, 'output_format.schema'],
      [
        { ...ASK, output_config: { format: SCHEMA_FORMAT }, output_format: SCHEMA_FORMAT },
        'output_format',
      ],
      [{ ...ASK, tools: [{ ...TOOL, strict: 1 }] }, 'tools[0].strict'],
    ] as const) {
      const { status, type, message } = await refused(body);
      assert.deepEqual({ status, type }, { status: 400, type: 'invalid_request_error' }, message);
      assert(message.startsWith(field), `${message}: ${field}`);
    }
    assert.equal(harness.backbone.starts.length, 0);
  });

  it('gives the answer the form of a schema, and names it in refusals', async () => {
    await client().messages.create({ ...ASK, output_config: { format: SCHEMA_FORMAT } });

    const [start] = harness.backbone.starts;
    const form = start?.structuredOutput?.form;
    assert(form?.$case === 'jsonSchema');
    assert.deepEqual(JSON.parse(form.value), SCHEMA_FORMAT.schema);

    harness.backbone.script = async function* () {
      const param = 'structured_output.json_schema.properties.app';
      throw new MeshError('INVALID_REQUEST', `${param}: no`, { param });
    };
    for (const [fields, field] of [
      [{ output_config: { format: SCHEMA_FORMAT } }, 'output_config.format'],
      [{ output_format: SCHEMA_FORMAT }, 'output_format'],
    ] as const) {
      const { message } = await refused({ ...ASK, ...fields });
      assert.equal(message, `${field}.schema.properties.app: no`);
    }
  });

  it('passes on which tools are strict', async () => {
    await client().messages.create({ ...ASK, tools: [{ ...TOOL, strict: true }] });

    const [tool] = chatOf(harness.backbone.starts[0]).tools;
    assert.equal(JSON.parse(tool?.functionJson ?? '').strict, true);
  });

  it("translates the backbone's refusals", async () => {
    for (const [param, field] of [
      ['sampling.stop_strings', 'stop_sequences'],
      ['prompt.chat.messages', 'messages'],
      ['sampling.max_tokens', 'max_tokens'],
    ] as const) {
      harness.backbone.script = async function* () {
        throw new MeshError('INVALID_REQUEST', `${param}: no`, { param });
      };
      assert.equal((await refused(ASK)).message, `${field}: no`);
    }
  });

  it('has errors of its own on all its paths', async () => {
    assert.equal((await refused(ASK, { 'x-api-key': 'no' })).type, 'authentication_error');
    assert.equal((await refused('{')).type, 'invalid_request_error');
    assert.equal((await refused({}, {}, '/v1/messages/batches')).type, 'not_found_error');
    const version = await refused(ASK, { 'anthropic-version': '2023-01-01' });
    assert.match(version.message, /^anthropic-version: 2023-01-01 is not served/);
    harness.backbone.script = async function* () {
      throw new MeshError('QUEUE_FULL', 'later');
    };
    assert.deepEqual(await refused(ASK), {
      status: 429,
      type: 'rate_limit_error',
      message: 'later',
    });
  });

  it('says which fields it does not know', async () => {
    const response = await post({ ...ASK, temprature: 1 });

    assert.match(String(response.headers.get('x-autoglm-warning')), /temprature.*temperature/);
  });
});
