import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { AIMessageChunk } from '@langchain/core/messages';
import { ChatOpenAI } from '@langchain/openai';
import OpenAI from 'openai';
import type { RunnableToolFunctionWithParse } from 'openai/lib/RunnableFunction';
import { Channel, FinishReason } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import {
  accepted,
  delta,
  type Events,
  finished,
  saying,
} from '#test/contract/gateway/fake-backbone.ts';
import { type Harness, startHarness } from '#test/contract/gateway/harness.ts';

const MODEL = 'phone-nano';
const WEATHER = {
  type: 'function' as const,
  function: {
    name: 'weather',
    description: 'Weather of a city',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  },
};

/** Calls the tool with arguments that come in two pieces. */
async function* calling(): Events {
  const end = { index: 0, reason: FinishReason.FINISH_REASON_TOOL_CALLS, stop: undefined };
  const part = (text: string, name?: string) => {
    return { text, channel: Channel.CHANNEL_TOOL_CALL, toolCall: { index: 0, name } } as const;
  };
  yield accepted();
  yield delta(part('', 'weather'));
  yield delta(part('{"city":'));
  yield delta({ ...part('"Bonn"}'), finish: end });
  yield finished({ choices: [end], numCompletionTokens: 3 });
}

let harness: Harness;
before(async () => {
  harness = await startHarness();
  // The model calls until it has a result.
  harness.backbone.script = ({ prompt }) => {
    const messages = prompt?.form?.$case === 'chat' ? prompt.form.value.messages : [];
    return messages.at(-1)?.role === 'tool' ? saying('It is ', 'sunny.') : calling();
  };
});
after(() => harness.close());

describe('The openai package with tools', () => {
  const messages = [{ role: 'user' as const, content: 'Weather?' }];
  const request = { model: MODEL, messages, tools: [WEATHER] };
  const client = () => new OpenAI({ baseURL: `${harness.url}/v1`, apiKey: 'key' });

  it('reads a call', async () => {
    const { choices } = await client().chat.completions.create(request);

    const [call] = choices[0]?.message.tool_calls ?? [];
    assert(call?.type === 'function');
    assert.deepEqual(call.function, { name: 'weather', arguments: '{"city":"Bonn"}' });
    assert.equal(choices[0]?.finish_reason, 'tool_calls');
    assert.equal(choices[0]?.message.content, null);
  });

  it('gathers a streamed call', async () => {
    const completion = await client().chat.completions.stream(request).finalChatCompletion();

    const [call] = completion.choices[0]?.message.tool_calls ?? [];
    assert(call?.type === 'function');
    assert.equal(call.function.arguments, '{"city":"Bonn"}');
    assert.equal(completion.choices[0]?.finish_reason, 'tool_calls');
  });

  for (const stream of [false, true]) {
    it(`runs tools until the model answers, ${stream ? 'streamed' : 'whole'}`, async () => {
      const asked: unknown[] = [];
      const weather: RunnableToolFunctionWithParse<{ city: string }> = {
        type: 'function',
        function: {
          ...WEATHER.function,
          parse: JSON.parse,
          function: (args) => {
            asked.push(args);
            return 'sun';
          },
        },
      };
      const { completions } = client().chat;
      const body = { model: MODEL, messages, tools: [weather] };

      const answer = await (stream
        ? completions.runTools({ ...body, stream: true }).finalContent()
        : completions.runTools(body).finalContent());

      assert.equal(answer, 'It is sunny.');
      assert.deepEqual(asked, [{ city: 'Bonn' }]);
    });
  }
});

describe('LangChain with tools', () => {
  const model = () =>
    new ChatOpenAI({
      model: MODEL,
      apiKey: 'key',
      configuration: { baseURL: `${harness.url}/v1` },
    }).bindTools([WEATHER]);

  it('reads a call', async () => {
    const message = await model().invoke('Weather?');

    assert.deepEqual(
      message.tool_calls?.map(({ name, args }) => ({ name, args })),
      [{ name: 'weather', args: { city: 'Bonn' } }],
    );
  });

  it('gathers a streamed call', async () => {
    let whole: AIMessageChunk | undefined;
    for await (const chunk of await model().stream('Weather?')) {
      whole = whole === undefined ? chunk : whole.concat(chunk);
    }

    assert.deepEqual(
      whole?.tool_calls?.map(({ name, args }) => ({ name, args })),
      [{ name: 'weather', args: { city: 'Bonn' } }],
    );
  });
});
