import assert from 'node:assert/strict';
import { join } from 'node:path';
import { afterEach, describe, it } from 'node:test';
import { Tokenizer } from '#backbone/checkpoint/tokenizer.ts';
import type { BackboneOptions } from '#backbone/options.ts';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import {
  Channel,
  FinishReason,
  type GenerateResponse,
} from '#protos/autoglm/llm/v1/llm_backbone.ts';
import { refusal } from '#test/refusal.ts';
import { bitsOf } from '#test/unit/llm-backbone/engine/only-next.ts';
import { FakeDecoder, type NextToken, scripted } from '#test/unit/llm-backbone/fake-decoder.ts';
import { collect, finishedOf } from '#test/unit/llm-backbone/test-engine.ts';
import {
  chatOf,
  MODEL,
  requestsOf,
  startOf,
  startTestBackbone,
  type TestBackbone,
} from './harness.ts';

const template = (name: string) => join(PACKAGE_ROOT, 'test', 'testdata', 'templates', name);
const tokenizer = await Tokenizer.load(MODEL);
const EOS = tokenizer.vocabulary.addedId('<|user|>') ?? -1;

type Start = NonNullable<Parameters<typeof startOf>[0]>;

const FUNCTION = {
  name: 'tap',
  parameters: { type: 'object', properties: { x: { type: 'integer' }, at: { type: 'string' } } },
};

/** Makes a chat with a tool. */
function chatWithTool(functionJson = JSON.stringify(FUNCTION)): Start['prompt'] {
  const prompt = chatOf('hi');
  assert(prompt?.form?.$case === 'chat');
  const chat = { ...prompt.form.value, tools: [{ functionJson }] };
  return { ...prompt, form: { $case: 'chat', value: chat } };
}

/** The token ids of an answer that the model ends. */
async function answerIds(text: string): Promise<number[]> {
  return [...(await tokenizer.encode(text, { addSpecialTokens: false })), EOS];
}

/** Returns content, thoughts and calls (as `name arguments`) of the first choice. */
function partsOf(events: readonly NonNullable<GenerateResponse['event']>[]) {
  const parts = { content: '', reasoning: '', calls: [] as string[] };
  for (const event of events) {
    if (event.$case !== 'delta') continue;
    for (const { text, channel, toolCall } of event.value.choices) {
      if (channel === Channel.CHANNEL_TOOL_CALL) {
        assert(toolCall !== undefined);
        if (toolCall.name !== undefined) parts.calls.push(`${toolCall.name} `);
        parts.calls[toolCall.index] += text;
      } else if (channel === Channel.CHANNEL_REASONING) parts.reasoning += text;
      else parts.content += text;
    }
  }
  return parts;
}

/** Lets a decoder choose as its script says, unless the mask allows one token only. */
function obedient(script: NextToken): NextToken {
  return (tokenIds, params) => {
    const allowed = bitsOf(params.allowedTokens);
    return allowed.length === 1 ? (allowed[0] ?? -1) : script(tokenIds, params);
  };
}

const CALLING =
  '<think>tap</think>\nI tap.\n<tool_call>tap\n<arg_key>at</arg_key>\n<arg_value>"OK" 打开</arg_value>\n<arg_key>x</arg_key>\n<arg_value>7</arg_value>\n</tool_call>\n<tool_call>tap\n</tool_call>';

describe('Generate with tools', () => {
  let backbone: TestBackbone | undefined;
  afterEach(() => backbone?.close());

  async function start(text: string, values: Partial<BackboneOptions> = {}) {
    const decoder = new FakeDecoder({ nextToken: obedient(scripted(await answerIds(text))) });
    backbone = await startTestBackbone(decoder, {
      chatTemplate: template('pairs.jinja'),
      ...values,
    });
    const { client } = backbone;
    return (changes: Start = {}) => {
      const sampling = { maxTokens: 200, ...changes.sampling };
      return collect(
        client.generate(requestsOf(startOf({ prompt: chatWithTool(), ...changes, sampling }))),
      );
    };
  }

  it('tells thoughts, text and calls apart', async () => {
    const generate = await start(CALLING);

    const { events } = await generate({ output: { splitReasoning: true } });

    assert.deepEqual(partsOf(events), {
      content: '\nI tap.',
      reasoning: 'tap',
      calls: ['tap {"at":"\\"OK\\" 打开","x":7}', 'tap {}'],
    });
    const [choice] = finishedOf(events).choices;
    assert.equal(choice?.reason, FinishReason.FINISH_REASON_TOOL_CALLS);
  });

  it('leaves thoughts in the content where they belong, and reads no call in them', async () => {
    const generate = await start(
      '<think><tool_call>tap\n</tool_call></think><tool_call>tap\n</tool_call>',
    );

    const { events } = await generate();

    assert.deepEqual(partsOf(events), {
      content: '<think><tool_call>tap\n</tool_call></think>',
      reasoning: '',
      calls: ['tap {}'],
    });
  });

  it('ends the answer after its first call if it is to be the only one', async () => {
    const generate = await start(CALLING);

    const { events } = await generate({ toolChoice: { singleCall: true } });

    assert.equal(partsOf(events).calls.length, 1);
    const { choices, numCompletionTokens } = finishedOf(events);
    assert.equal(choices[0]?.reason, FinishReason.FINISH_REASON_TOOL_CALLS);
    assert.ok(numCompletionTokens < (await answerIds(CALLING)).length);
  });

  it('says that an answer was cut within a call', async () => {
    const generate = await start(CALLING);

    const { events } = await generate({ sampling: { maxTokens: 30 } });

    const { calls } = partsOf(events);
    assert.equal(calls.length, 1);
    assert.equal(finishedOf(events).choices[0]?.reason, FinishReason.FINISH_REASON_LENGTH);
  });

  it('resumes within a call, at every token, as if nothing had happened', async () => {
    const generate = await start(CALLING);
    const whole = await generate();
    const steps = whole.events.filter(({ $case }) => $case === 'delta');
    const tokenIds = whole.answers[0]?.tokenIds ?? [];
    assert.equal(steps.length, tokenIds.length);

    for (let cut = 0; cut <= tokenIds.length; cut++) {
      const resume = { seed: 0n, choices: [{ index: 0, tokenIds: tokenIds.slice(0, cut) }] };
      const { events } = await generate({ resume });

      const rest = events.filter(({ $case }) => $case === 'delta');
      assert.deepEqual(rest, steps.slice(cut), `cut at ${cut}`);
      assert.deepEqual(finishedOf(events).choices, finishedOf(whole.events).choices);
    }
  });

  it('shows calls as text where no tools are named', async () => {
    const generate = await start('<tool_call>tap\n</tool_call>');

    const { events } = await generate({ prompt: chatOf('hi') });

    assert.deepEqual(partsOf(events).content, '<tool_call>tap\n</tool_call>');
    assert.equal(finishedOf(events).choices[0]?.reason, FinishReason.FINISH_REASON_STOP);
  });

  it('finds a stop string inside a call', async () => {
    const generate = await start(CALLING);

    const { events } = await generate({ sampling: { stopStrings: ['打'] } });

    assert.deepEqual(partsOf(events).calls, ['tap {"at":"\\"OK\\" ']);
    assert.deepEqual(finishedOf(events).choices[0]?.stop, { $case: 'stopString', value: '打' });
  });

  it('reads calls as the option says', async () => {
    const generate = await start('<tool_call>{"name":"tap","arguments":{"x":1}}</tool_call>', {
      toolCallParser: 'hermes',
    });

    assert.deepEqual(partsOf((await generate()).events).calls, ['tap {"x":1}']);
  });

  it("reads GLM-4's calls with its template", async () => {
    const generate = await start('\nSo.<|assistant|>tap\n{"x": 1}', {
      chatTemplate: template('observations.jinja'),
    });

    const parts = partsOf((await generate()).events);

    assert.deepEqual(parts, { content: '\nSo.', reasoning: '', calls: ['tap {"x": 1}'] });
  });

  it('ends thoughts that have used up their budget', async () => {
    const generate = await start('<think>one two three four five six seven eight nine ten');

    const { events } = await generate({
      prompt: chatOf('hi'),
      sampling: { maxTokens: 12, thinkingTokenBudget: 3 },
      output: { splitReasoning: true },
    });

    const { reasoning, content } = partsOf(events);
    assert.ok('one two three four'.startsWith(reasoning), reasoning);
    assert.notEqual(content, '');
    assert.equal(finishedOf(events).numReasoningTokens, 3);
  });

  const REFUSED: readonly (readonly [
    what: string,
    start: Start,
    message: RegExp,
    param: string,
  ])[] = [
    [
      'a function that is no JSON',
      { prompt: chatWithTool('{') },
      /not JSON/,
      'prompt.chat.tools[0].function_json',
    ],
    [
      'a function without a name',
      { prompt: chatWithTool('{}') },
      /got nothing/,
      'prompt.chat.tools[0].function_json.name',
    ],
    [
      'a demanded call of a tool that is not there',
      { toolChoice: { required: true, name: 'home' } },
      /no tool of the name "home"/,
      'tool_choice.name',
    ],
    [
      'a demanded call beside another form',
      {
        toolChoice: { required: true },
        structuredOutput: { form: { $case: 'regex', value: 'a' } },
      },
      /has no other form/,
      'tool_choice',
    ],
    [
      'a demanded call of a tool that cannot be enforced',
      {
        prompt: chatWithTool(
          JSON.stringify({ name: 'f', parameters: { properties: { a: { $dynamicRef: '#' } } } }),
        ),
        toolChoice: { required: true },
      },
      /cannot be enforced/,
      'tool_choice',
    ],
    [
      'a demanded call without tools',
      { prompt: chatOf('hi'), toolChoice: { required: true } },
      /no tools/,
      'tool_choice',
    ],
  ];
  for (const [what, changes, message, param] of REFUSED) {
    it(`refuses ${what}`, async () => {
      const generate = await start('');

      await assert.rejects(generate(changes), refusal('INVALID_REQUEST', message, param));
    });
  }

  it('refuses tools that the template does not show', async () => {
    backbone = await startTestBackbone();
    const requests = requestsOf(startOf({ prompt: chatWithTool() }));

    const refused = refusal('INVALID_REQUEST', /does not say how calls/, 'prompt.chat.tools');
    await assert.rejects(collect(backbone.client.generate(requests)), refused);
  });
});
