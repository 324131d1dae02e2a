import assert from 'node:assert/strict';
import { join } from 'node:path';
import { afterEach, describe, it } from 'node:test';
import OpenAI from 'openai';
import { pino } from 'pino';
import { Tokenizer } from '#backbone/checkpoint/tokenizer.ts';
import { type Gateway, startGateway } from '#gateway/gateway.ts';
import { gatewayOptions } from '#gateway/options.ts';
import { resolveOptions } from '#mesh/options.ts';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { within } from '#test/bounded.ts';
import { untilReady } from '#test/contract/gateway/harness.ts';
import {
  MODEL,
  startTestBackbone,
  type TestBackbone,
} from '#test/contract/llm-backbone/harness.ts';
import { FakeDecoder, scripted } from '#test/unit/llm-backbone/fake-decoder.ts';

const TEMPLATE = join(PACKAGE_ROOT, 'test', 'testdata', 'templates', 'pairs.jinja');
const tokenizer = await Tokenizer.load(MODEL);

const TAP = {
  type: 'function' as const,
  function: {
    name: 'tap',
    parameters: {
      type: 'object',
      properties: { label: { type: 'string' }, times: { type: 'integer' } },
    },
  },
};

const ANSWER =
  'I tap.\n<tool_call>tap\n<arg_key>label</arg_key>\n<arg_value>open the "door" 打开</arg_value>\n<arg_key>times</arg_key>\n<arg_value>2</arg_value>\n</tool_call>';

/** The token ids of the answer, which the model ends. */
async function answerIds(): Promise<number[]> {
  const end = tokenizer.vocabulary.addedId('<|observation|>') ?? -1;
  return [...(await tokenizer.encode(ANSWER, { addSpecialTokens: false })), end];
}

describe('A call of a tool, from the tokens to the client', () => {
  let backbones: TestBackbone[] = [];
  let gateway: Gateway | undefined;
  afterEach(async () => {
    await gateway?.drain(0);
    for (const one of backbones) await one.close();
    [backbones, gateway] = [[], undefined];
  });

  /** Starts a gateway in front of backbones over these decoders; returns a client of it. */
  async function start(decoders: readonly FakeDecoder[]): Promise<OpenAI> {
    for (const decoder of decoders) {
      backbones.push(await startTestBackbone(decoder, { chatTemplate: TEMPLATE }));
    }
    const options = resolveOptions(gatewayOptions, {
      host: '127.0.0.1',
      port: 0,
      backbone: backbones.map(({ backbone }) => backbone.address),
      console: false,
    });
    gateway = await startGateway(options, pino({ enabled: false }));
    await untilReady(gateway.url, decoders.length);
    return new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: 'key', maxRetries: 0 });
  }

  const request = {
    model: 'tiny',
    messages: [{ role: 'user' as const, content: 'Open the door' }],
    tools: [TAP],
    max_tokens: 300,
    temperature: 0,
  };

  function assertCalled(message: OpenAI.ChatCompletionMessage | undefined): void {
    assert.equal(message?.content, 'I tap.');
    const calls = (message.tool_calls ?? []).map((call) => {
      assert(call.type === 'function');
      return [call.function.name, JSON.parse(call.function.arguments)];
    });
    assert.deepEqual(calls, [['tap', { label: 'open the "door" 打开', times: 2 }]]);
  }

  it('reaches the openai package whole', async () => {
    const client = await start([new FakeDecoder({ nextToken: scripted(await answerIds()) })]);

    const { choices, usage } = await client.chat.completions.create(request);

    assertCalled(choices[0]?.message);
    assert.equal(choices[0]?.finish_reason, 'tool_calls');
    assert.equal(usage?.completion_tokens, (await answerIds()).length);
  });

  it('goes on in the middle of the call when the backbone that writes it is lost', async () => {
    const ids = await answerIds();
    const cut = ids.length - 20;
    let release = () => {};
    let numHeld = 0;
    const decoders = [0, 1].map(() => {
      const decoder = new FakeDecoder();
      const script = scripted(ids);
      decoder.nextToken = (context, params) => {
        // Whichever comes to the middle of the call first stops there.
        if (params.position === cut && numHeld++ === 0) release = decoder.hold();
        return script(context, params);
      };
      return decoder;
    });
    const client = await start(decoders);
    const numSteps = () =>
      decoders.map(({ trace }) => trace.filter((event) => event === 'executed').length);

    const stream = client.chat.completions.stream(request);
    const broken = new Promise<void>((resolve) => {
      stream.on('tool_calls.function.arguments.delta', ({ arguments: written }) => {
        if (written.includes('open')) resolve();
      });
    });
    await within(broken, {
      what: 'the beginning of the call',
      trace: () => [String(numSteps())],
    });
    const [first = 0, second = 0] = numSteps();
    const [lost, other] = first > second ? [0, 1] : [1, 0];
    const ended = backbones[lost]?.backbone.drain(0);
    const completion = await within(stream.finalChatCompletion(), { what: 'the rest of the call' });
    release();
    await ended;
    assert.ok((numSteps()[other] ?? 0) > 10);

    assertCalled(completion.choices[0]?.message);
    assert.equal(completion.choices[0]?.finish_reason, 'tool_calls');
  });
});
