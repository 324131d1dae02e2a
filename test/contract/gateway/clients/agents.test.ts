import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import Anthropic from '@anthropic-ai/sdk';
import { betaZodTool } from '@anthropic-ai/sdk/helpers/beta/zod';
import { ChatOpenAI } from '@langchain/openai';
import { tool as aiTool, generateText, stepCountIs, streamText } from 'ai';
import { createAgent, tool } from 'langchain';
import { z } from 'zod';
import { Channel, FinishReason, type GenerateStart } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import {
  accepted,
  delta,
  type Events,
  finished,
  saying,
} from '#test/contract/gateway/fake-backbone.ts';
import { type Harness, startHarness } from '#test/contract/gateway/harness.ts';

const MODEL = 'phone-nano';
const DESCRIPTION = 'Weather of a city';
const ARGS = z.object({ city: z.string() });
const QUESTION = 'Weather in Bonn?';

/** Calls the tool for two cities at once. */
async function* calling(): Events {
  const end = { index: 0, reason: FinishReason.FINISH_REASON_TOOL_CALLS, stop: undefined };
  const part = (index: number, text: string, name?: string) => {
    return { text, channel: Channel.CHANNEL_TOOL_CALL, toolCall: { index, name } } as const;
  };
  yield accepted();
  yield delta(part(0, '', 'weather'));
  yield delta(part(0, '{"city":'));
  yield delta(part(0, '"Bonn"}'));
  yield delta({ ...part(1, '{"city":"Ulm"}', 'weather'), finish: end });
  yield finished({ choices: [end], numCompletionTokens: 4 });
}

function messagesOf({ prompt }: GenerateStart) {
  assert(prompt?.form?.$case === 'chat');
  return prompt.form.value.messages;
}

let harness: Harness;
let asked: string[] = [];
before(async () => {
  harness = await startHarness();
  // The model calls until it has results.
  harness.backbone.script = (start) =>
    messagesOf(start).at(-1)?.role === 'tool' ? saying('It is ', 'sunny.') : calling();
});
after(() => harness.close());
beforeEach(() => {
  asked = [];
  harness.backbone.starts.length = 0;
});

function weatherIn({ city }: z.infer<typeof ARGS>): string {
  asked.push(city);
  return `sun in ${city}`;
}

/** Checks that the tool was called for both cities, and that the model got what it said. */
function assertRan(): void {
  assert.deepEqual(asked.toSorted(), ['Bonn', 'Ulm']);
  const last = harness.backbone.starts.at(-1);
  assert(last !== undefined);
  const results = messagesOf(last).slice(-2);
  const texts = results.map(({ role, content }) => [
    role,
    content?.$case === 'parts'
      ? content.value.parts.map(({ part }) => part?.value).join('')
      : content?.value,
  ]);
  assert.deepEqual(texts, [
    ['tool', 'sun in Bonn'],
    ['tool', 'sun in Ulm'],
  ]);
}

describe("LangChain's agent", () => {
  const model = () =>
    new ChatOpenAI({
      model: MODEL,
      apiKey: 'key',
      configuration: { baseURL: `${harness.url}/v1` },
    });
  const agent = () => {
    const weather = tool(weatherIn, { name: 'weather', description: DESCRIPTION, schema: ARGS });
    return createAgent({ model: model(), tools: [weather], systemPrompt: 'Be brief' });
  };
  const request = { messages: [{ role: 'user', content: QUESTION }] };

  it('calls its tools until the model answers', async () => {
    const { messages } = await agent().invoke(request);

    assert.equal(messages.at(-1)?.text, 'It is sunny.');
    assertRan();
  });

  it('streams what it does', async () => {
    let text = '';
    for await (const [chunk] of await agent().stream(request, { streamMode: 'messages' })) {
      if (chunk.getType() === 'ai') text += chunk.text;
    }

    assert.equal(text, 'It is sunny.');
    assertRan();
  });
});

describe('The ai package over @ai-sdk/openai-compatible with tools', () => {
  const model = () =>
    createOpenAICompatible({ name: 'mesh', baseURL: `${harness.url}/v1`, apiKey: 'key' })(MODEL);
  const weather = aiTool({
    description: DESCRIPTION,
    inputSchema: ARGS,
    execute: async (args) => weatherIn(args),
  });
  const request = () => {
    return { model: model(), prompt: QUESTION, tools: { weather }, stopWhen: stepCountIs(3) };
  };

  it('calls them until the model answers', async () => {
    const { text, steps, totalUsage } = await generateText(request());

    assert.equal(text, 'It is sunny.');
    assert.deepEqual(
      steps.map(({ finishReason }) => finishReason),
      ['tool-calls', 'stop'],
    );
    assert.equal(totalUsage.outputTokens, 6);
    assertRan();
  });

  it('streams what it does', async () => {
    const stream = streamText(request());

    assert.equal(await stream.text, 'It is sunny.');
    assertRan();
  });
});

describe('The tool runner of @anthropic-ai/sdk', () => {
  for (const stream of [false, true]) {
    it(`calls tools until the model answers, ${stream ? 'streamed' : 'whole'}`, async () => {
      const client = new Anthropic({ baseURL: harness.url, apiKey: 'key', maxRetries: 0 });
      const weather = betaZodTool({
        name: 'weather',
        description: DESCRIPTION,
        inputSchema: ARGS,
        run: weatherIn,
      });

      const runner = client.beta.messages.toolRunner({
        model: MODEL,
        max_tokens: 50,
        messages: [{ role: 'user', content: QUESTION }],
        tools: [weather],
        stream,
      });
      const { content, stop_reason } = await runner.runUntilDone();

      assert.deepEqual([content[0]?.type, stop_reason], ['text', 'end_turn']);
      assert(content[0]?.type === 'text');
      assert.equal(content[0].text, 'It is sunny.');
      assertRan();
    });
  }
});
