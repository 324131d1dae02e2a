import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { HumanMessage, ToolMessage } from '@langchain/core/messages';
import { ChatOpenAI } from '@langchain/openai';
import OpenAI from 'openai';
import { zodResponsesFunction, zodTextFormat } from 'openai/helpers/zod';
import type { ResponseInputItem, ResponseStreamEvent } from 'openai/resources/responses/responses';
import { z } from 'zod';
import { Channel, FinishReason, type GenerateStart } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import {
  accepted,
  candidate,
  delta,
  type Events,
  finished,
  saying,
} from '#test/contract/gateway/fake-backbone.ts';
import { type Harness, startHarness } from '#test/contract/gateway/harness.ts';

const MODEL = 'phone-nano';
const ASK = { model: MODEL, input: 'hi' };
const WEATHER = zodResponsesFunction({
  name: 'weather',
  description: 'Weather of a city',
  parameters: z.object({ city: z.string() }),
});

let harness: Harness;
before(async () => {
  harness = await startHarness({ apiKey: 'key' });
});
after(() => harness.close());
beforeEach(() => {
  harness.backbone.starts.length = 0;
  harness.backbone.script = thinking;
});

const client = () => new OpenAI({ baseURL: `${harness.url}/v1`, apiKey: 'key', maxRetries: 0 });

/** Thinks, then says something. */
async function* thinking(): Events {
  const scored = (text: string) => {
    const top = [candidate(42, text, -0.5), candidate(43, 'x', -1)];
    return { text, logprobs: [{ token: candidate(42, text, -0.5), rank: 1, top }] };
  };
  yield accepted();
  yield delta({ text: 'h', channel: Channel.CHANNEL_REASONING });
  yield delta({ text: 'm', channel: Channel.CHANNEL_REASONING });
  yield delta({ text: '' });
  yield delta(scored('Hello'));
  yield delta(scored(' world'));
  yield finished({ numCompletionTokens: 5, numReasoningTokens: 2 });
}

/** Says something and calls a function twice at once. */
async function* calling(): Events {
  const end = { index: 0, reason: FinishReason.FINISH_REASON_TOOL_CALLS, stop: undefined };
  const part = (index: number, text: string, name?: string) => {
    return { text, channel: Channel.CHANNEL_TOOL_CALL, toolCall: { index, name } } as const;
  };
  yield accepted();
  yield delta({ text: 'Let me see.' });
  yield delta(part(0, '', 'weather'));
  yield delta(part(0, '{"city":'), part(0, '"Bonn"}'));
  yield delta(part(1, '{"city":"Ulm"}', 'weather'));
  yield delta({ text: '', finish: end });
  yield finished({ choices: [end], numCompletionTokens: 9 });
}

/** Calls until there is a result. */
function untilResult({ prompt }: GenerateStart): Events {
  const messages = prompt?.form?.$case === 'chat' ? prompt.form.value.messages : [];
  return messages.at(-1)?.role === 'tool' ? saying('Rain in ', 'both.') : calling();
}

const USAGE = {
  input_tokens: 7,
  input_tokens_details: {
    cached_tokens: 4,
    cache_write_tokens: 0,
    audio_tokens: 0,
    image_tokens: 0,
  },
  output_tokens: 5,
  output_tokens_details: { reasoning_tokens: 2 },
  total_tokens: 12,
};

async function eventsOf(request: object): Promise<ResponseStreamEvent[]> {
  const stream = await client().responses.create({ ...ASK, ...request, stream: true });
  const events: ResponseStreamEvent[] = [];
  for await (const event of stream) events.push(event);
  return events;
}

describe('The openai package with responses', () => {
  it('creates a response', async () => {
    const response = await client().responses.create({
      ...ASK,
      instructions: 'Be brief',
      metadata: { a: 'b' },
      max_output_tokens: 50,
      store: true,
    });

    assert.match(response.id, /^resp_[0-9a-f]{32}$/);
    assert.equal(response.output_text, 'Hello world');
    const [thoughts, message] = response.output;
    assert(thoughts?.type === 'reasoning' && message?.type === 'message');
    assert.match(thoughts.id, /^rs_[0-9a-f]{32}$/);
    assert.deepEqual(thoughts.content, [{ type: 'reasoning_text', text: 'hm' }]);
    assert.deepEqual(message.content, [
      { type: 'output_text', text: 'Hello world', annotations: [], logprobs: [] },
    ]);
    assert.deepEqual(response.usage, USAGE);
    const { status, incomplete_details, error, model, instructions, metadata } = response;
    assert.deepEqual(
      { status, incomplete_details, error, model, instructions, metadata },
      {
        status: 'completed',
        incomplete_details: null,
        error: null,
        model: MODEL,
        instructions: 'Be brief',
        metadata: { a: 'b' },
      },
    );
    assert.equal(Reflect.get(response, 'store'), false);
  });

  it('streams the response that it gets whole', async () => {
    const request = { ...ASK, include: ['message.output_text.logprobs' as const] };
    const whole = await client().responses.create(request);
    const stream = client().responses.stream(request);
    const texts: string[] = [];
    stream.on('response.output_text.delta', ({ delta: text }) => void texts.push(text));

    const streamed = await stream.finalResponse();

    const comparable = (response: object): unknown =>
      JSON.parse(
        JSON.stringify(response, (name, value: unknown) =>
          /^(?:id|created_at|completed_at|parsed|output_parsed)$/.test(name) ? undefined : value,
        ),
      );
    assert.deepEqual(comparable(streamed), comparable(whole));
    assert.deepEqual(texts, ['Hello', ' world']);
    const [, message] = whole.output;
    assert(message?.type === 'message' && message.content[0]?.type === 'output_text');
    assert.deepEqual(
      message.content[0].logprobs?.map(({ token, top_logprobs: top }) => [token, top.length]),
      [
        ['Hello', 2],
        [' world', 2],
      ],
    );
  });

  it('streams events in the order of the API, numbered', async () => {
    const events = await eventsOf({});

    assert.deepEqual(
      events.map(({ type }) => type.replace('response.', '')),
      [
        'created',
        'in_progress',
        'output_item.added',
        'content_part.added',
        'reasoning_text.delta',
        'reasoning_text.delta',
        'reasoning_text.done',
        'content_part.done',
        'output_item.done',
        'output_item.added',
        'content_part.added',
        'output_text.delta',
        'output_text.delta',
        'output_text.done',
        'content_part.done',
        'output_item.done',
        'completed',
      ],
    );
    assert.deepEqual(
      events.map(({ sequence_number: n }) => n),
      events.map((_, i) => i),
    );
    const last = events.at(-1);
    assert(last?.type === 'response.completed');
    const done = events.flatMap((one) => (one.type === 'response.output_item.done' ? [one] : []));
    assert.deepEqual(
      done.map(({ item }) => item),
      last.response.output,
    );
    assert.deepEqual(
      done.map(({ output_index: index }) => index),
      [0, 1],
    );
  });

  it('parses an answer of a schema', async () => {
    harness.backbone.script = () => saying('{"app":', '"WeChat"}');
    const schema = z.object({ app: z.string() });
    const request = { ...ASK, text: { format: zodTextFormat(schema, 'choice') } };

    const whole = await client().responses.parse(request);
    const streamed = await client().responses.stream(request).finalResponse();

    assert.deepEqual(whole.output_parsed, { app: 'WeChat' });
    assert.deepEqual(streamed.output_parsed, { app: 'WeChat' });
    assert.equal(harness.backbone.starts[0]?.structuredOutput?.form?.$case, 'jsonSchema');
  });

  for (const isStream of [false, true]) {
    it(`runs tools until the model answers, ${isStream ? 'streamed' : 'whole'}`, async () => {
      harness.backbone.script = untilResult;
      const input: ResponseInputItem[] = [{ role: 'user', content: 'Weather?' }];
      const ask = () => {
        const request = { model: MODEL, input, tools: [WEATHER] };
        return isStream
          ? client().responses.stream(request).finalResponse()
          : client().responses.parse(request);
      };

      const first = await ask();
      const calls = first.output.flatMap((one) => (one.type === 'function_call' ? [one] : []));
      for (const { parsed_arguments: _, ...item } of calls) {
        input.push(item, { type: 'function_call_output', call_id: item.call_id, output: 'rain' });
      }
      const last = await ask();

      assert.equal(first.output_text, 'Let me see.');
      assert.deepEqual(
        calls.map(({ name, parsed_arguments: args }) => [name, args]),
        [
          ['weather', { city: 'Bonn' }],
          ['weather', { city: 'Ulm' }],
        ],
      );
      assert.equal(new Set(calls.map(({ call_id: id }) => id)).size, 2);
      assert.equal(last.output_text, 'Rain in both.');
    });
  }

  it('takes its own output back as input', async () => {
    harness.backbone.script = untilResult;
    const { output } = await client().responses.create({ ...ASK, tools: [WEATHER] });
    const results = output.flatMap((one) =>
      one.type === 'function_call'
        ? [{ type: 'function_call_output' as const, call_id: one.call_id, output: 'sun' }]
        : [],
    );

    const input: ResponseInputItem[] = [
      { role: 'user', content: 'hi' },
      ...output.filter(
        (one) => one.type === 'message' || one.type === 'function_call' || one.type === 'reasoning',
      ),
      ...results,
    ];
    const { output_text: text } = await client().responses.create({
      model: MODEL,
      input,
      tools: [WEATHER],
    });

    assert.equal(text, 'Rain in both.');
    const form = harness.backbone.starts.at(-1)?.prompt?.form;
    assert(form?.$case === 'chat');
    assert.deepEqual(
      form.value.messages.map(({ role, toolCalls }) => [role, toolCalls.length]),
      [
        ['user', 0],
        ['assistant', 2],
        ['tool', 0],
        ['tool', 0],
      ],
    );
  });

  it('says that an answer was cut off', async () => {
    const end = { index: 0, reason: FinishReason.FINISH_REASON_LENGTH, stop: undefined };
    harness.backbone.script = async function* () {
      yield accepted();
      yield delta({ text: 'Hel', finish: end });
      yield finished({ choices: [end] });
    };

    const whole = await client().responses.create({ ...ASK, max_output_tokens: 1 });
    const last = (await eventsOf({ max_output_tokens: 1 })).at(-1);

    assert.equal(whole.status, 'incomplete');
    assert.deepEqual(whole.incomplete_details, { reason: 'max_output_tokens' });
    assert(whole.output[0]?.type === 'message');
    assert.equal(whole.output[0].status, 'incomplete');
    assert(last?.type === 'response.incomplete');
    assert.deepEqual(last.response.incomplete_details, { reason: 'max_output_tokens' });
  });
});

describe('LangChain over responses', () => {
  const model = () =>
    new ChatOpenAI({
      model: MODEL,
      apiKey: 'key',
      maxRetries: 0,
      useResponsesApi: true,
      configuration: { baseURL: `${harness.url}/v1` },
    });

  it('reads an answer, whole and streamed', async () => {
    const whole = await model().invoke('hi');
    let streamed = '';
    for await (const chunk of await model().stream('hi')) streamed += chunk.text;

    assert.equal(whole.text, 'Hello world');
    assert.equal(Reflect.get(Object(whole.usage_metadata), 'output_tokens'), 5);
    assert.equal(streamed, 'Hello world');
  });

  it('sends calls and their results back', async () => {
    harness.backbone.script = untilResult;
    const schema = { type: 'object', properties: { city: { type: 'string' } } };
    const tool = { type: 'function', function: { name: 'weather', parameters: schema } };
    const bound = model().bindTools([tool]);

    const first = await bound.invoke('Weather?');
    const results = (first.tool_calls ?? []).map(
      ({ id = '' }) => new ToolMessage({ tool_call_id: id, content: 'rain' }),
    );
    const last = await bound.invoke([new HumanMessage('Weather?'), first, ...results]);

    assert.deepEqual(
      first.tool_calls?.map(({ name, args }) => [name, args]),
      [
        ['weather', { city: 'Bonn' }],
        ['weather', { city: 'Ulm' }],
      ],
    );
    assert.equal(last.text, 'Rain in both.');
  });
});
