import assert from 'node:assert/strict';
import { join } from 'node:path';
import { afterEach, describe, it } from 'node:test';
import { Tokenizer } from '#backbone/checkpoint/tokenizer.ts';
import type { BackboneOptions } from '#backbone/options.ts';
import { reasonOf } from '#mesh/errors.ts';
import { isRecord } from '#mesh/json-value.ts';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { Channel, FinishReason } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import { seededRandom } from '#test/seeded-random.ts';
import { bitsOf } from '#test/unit/llm-backbone/engine/only-next.ts';
import { FakeDecoder } from '#test/unit/llm-backbone/fake-decoder.ts';
import { collect, finishedOf } from '#test/unit/llm-backbone/test-engine.ts';
import {
  chatOf,
  MODEL,
  requestsOf,
  startOf,
  startTestBackbone,
  type TestBackbone,
} from './harness.ts';

const { vocabulary } = await Tokenizer.load(MODEL);
const ENDS = ['<|observation|>', '</think>'].map((token) => vocabulary.addedId(token) ?? -1);
const TEMPLATES = join(PACKAGE_ROOT, 'test', 'testdata', 'templates');

const TAP = {
  name: 'tap',
  parameters: {
    type: 'object',
    properties: {
      x: { $ref: '#/$defs/n' },
      to: { enum: ['up', 'left'] },
      on: { type: 'boolean' },
    },
    required: ['x', 'to'],
    $defs: { n: { type: 'integer', minimum: 0, maximum: 999 } },
  },
};
const HOME = { name: 'home', parameters: { properties: {} } };

type Start = NonNullable<Parameters<typeof startOf>[0]>;

function chatWith(...functions: readonly object[]): Start['prompt'] {
  const prompt = chatOf('hi');
  assert(prompt?.form?.$case === 'chat');
  const tools = functions.map((one) => ({ functionJson: JSON.stringify(one) }));
  return { ...prompt, form: { $case: 'chat', value: { ...prompt.form.value, tools } } };
}

/** Makes a decoder that ends its thoughts, says a text as far as it may, and then is wild. */
function sayingDecoder(text: string, seed: number): FakeDecoder {
  const wild = wildDecoder(seed);
  let left: Buffer | null = null;
  const nextToken: FakeDecoder['nextToken'] = (context, params) => {
    // The first step of a model, which warms it up, has no form.
    if (params.allowedTokens === undefined) return 0;
    const allowed = bitsOf(params.allowedTokens).filter((id) => id < vocabulary.size);
    const [, closeThoughts = -1] = ENDS;
    if (left === null) {
      left = Buffer.from(text, 'utf8');
      if (allowed.includes(closeThoughts)) return closeThoughts;
    }
    const rest = left;
    const next = allowed
      .map((id) => ({ id, bytes: vocabulary.bytesOf(id) }))
      .filter(({ bytes }) => bytes.length > 0 && rest.subarray(0, bytes.length).equals(bytes))
      .sort((a, b) => b.bytes.length - a.bytes.length)[0];
    left = next === undefined ? Buffer.alloc(0) : rest.subarray(next.bytes.length);
    return next?.id ?? wild.nextToken(context, params);
  };
  return new FakeDecoder({ nextToken });
}

/** Makes a decoder that chooses any token that it may; it ends its thoughts and itself when it may. */
function wildDecoder(seed: number): FakeDecoder {
  const random = seededRandom(seed);
  const nextToken: FakeDecoder['nextToken'] = (_, { allowedTokens }) => {
    const allowed = bitsOf(allowedTokens).filter((id) => id < vocabulary.size);
    const end = ENDS.find((id) => allowed.includes(id));
    return end ?? allowed[Math.floor(random() * allowed.length)] ?? 0;
  };
  return new FakeDecoder({ nextToken });
}

interface Call {
  readonly name: string;
  json: string;
}

const FORMATS: Readonly<Record<string, Partial<BackboneOptions>>> = {
  glm45: { chatTemplate: join(TEMPLATES, 'pairs.jinja') },
  hermes: { chatTemplate: join(TEMPLATES, 'pairs.jinja'), toolCallParser: 'hermes' },
  glm4: { chatTemplate: join(TEMPLATES, 'observations.jinja') },
};

let backbone: TestBackbone | undefined;
afterEach(() => backbone?.close());

async function calls(
  options: Partial<BackboneOptions>,
  { seed, says, ...changes }: Start & { readonly seed: number; readonly says?: string },
) {
  const decoder = says === undefined ? wildDecoder(seed) : sayingDecoder(says, seed);
  backbone = await startTestBackbone(decoder, options);
  const sampling = { maxTokens: 300 };
  const start = startOf({
    prompt: chatWith(TAP, HOME),
    output: { splitReasoning: true },
    ...changes,
    sampling,
  });
  const { events } = await collect(backbone.client.generate(requestsOf(start)));
  await backbone.close();
  backbone = undefined;
  const found: Call[] = [];
  let content = '';
  for (const event of events) {
    if (event.$case !== 'delta') continue;
    for (const { text, channel, toolCall } of event.value.choices) {
      if (channel === Channel.CHANNEL_CONTENT) content += text;
      else if (channel === Channel.CHANNEL_REASONING) assert.equal(text, '');
      else if (toolCall?.name === undefined) {
        const call = found[toolCall?.index ?? -1];
        assert(call !== undefined);
        call.json += text;
      } else found.push({ name: toolCall.name, json: text });
    }
  }
  const [end] = finishedOf(events).choices;
  assert.notEqual(end?.reason, FinishReason.FINISH_REASON_LENGTH, 'the context is too short');
  return { found, content, reason: end?.reason };
}

function assertValid({ name, json }: Call): void {
  const given: unknown = JSON.parse(json);
  assert(isRecord(given), json);
  const { x, to, on, ...others } = given;
  assert.deepEqual(others, {});
  if (name === 'home') {
    assert.deepEqual(given, {});
    return;
  }
  assert.equal(name, 'tap');
  assert(Number.isInteger(x) && Number(x) >= 0 && Number(x) <= 999, json);
  assert(to === 'up' || to === 'left', json);
  assert(on === undefined || typeof on === 'boolean', json);
}

describe('A demanded call', () => {
  for (const [format, options] of Object.entries(FORMATS)) {
    it(`is made and valid in the format ${format}, whatever the model would say`, async () => {
      for (const seed of [1, 2, 3, 4]) {
        const { found, content, reason } = await calls(options, {
          seed,
          toolChoice: { required: true },
        });

        assert.ok(found.length > 0, content);
        assert.equal(content, '');
        for (const call of found) assertValid(call);
        assert.equal(reason, FinishReason.FINISH_REASON_TOOL_CALLS);
      }
    });

    it(`is one of the tool that is named in the format ${format}`, async () => {
      const { found } = await calls(options, {
        seed: 5,
        toolChoice: { required: true, name: 'tap' },
      });

      assert.deepEqual(
        found.map(({ name }) => name),
        ['tap'],
      );
      for (const call of found) assertValid(call);
    });
  }

  it('may stand where an answer has a form otherwise', async () => {
    const seen = new Set<string>();
    for (let seed = 1; seed <= 8; seed++) {
      const { found, content } = await calls(FORMATS['glm45'] ?? {}, {
        seed,
        structuredOutput: { form: { $case: 'choice', value: { texts: ['yes', 'no'] } } },
      });

      for (const call of found) assertValid(call);
      if (found.length === 0) assert.ok(content === 'yes' || content === 'no', content);
      else assert.equal(content, '');
      seen.add(found.length === 0 ? 'text' : 'call');
    }
    assert.deepEqual([...seen].sort(), ['call', 'text']);
  });
});

describe('A call that a model begins by itself', () => {
  /** How a call of a tool begins, and a whole call with arguments that no schema allows. */
  const SAID: Readonly<Record<string, { readonly begin: string; readonly wrong: string }>> = {
    glm45: {
      begin: '<tool_call>tap\n',
      wrong: '<tool_call>tap\n<arg_key>x</arg_key>\n<arg_value>-7</arg_value>\n</tool_call>',
    },
    hermes: {
      begin: '<tool_call>\n{"name": "tap", "arguments": ',
      wrong: '<tool_call>{"name":"tap","arguments":{"x":-7}}</tool_call>',
    },
    glm4: { begin: 'I tap.\ntap\n', wrong: 'tap\n{"x":-7}' },
  };

  for (const [format, { begin, wrong }] of Object.entries(SAID)) {
    const options = FORMATS[format] ?? {};

    it(`has the arguments of its strict tool in the format ${format}`, async () => {
      for (const seed of [1, 2, 3]) {
        const prompt = chatWith({ ...TAP, strict: true }, HOME);
        const { found, content } = await calls(options, { seed, prompt, says: begin });

        assert.equal(found[0]?.name, 'tap', content);
        for (const call of found) assertValid(call);
      }
    });

    it(`is free where another tool is strict in the format ${format}`, async () => {
      const prompt = chatWith(TAP, { ...HOME, strict: true });
      const { found } = await calls(options, { seed: 1, prompt, says: wrong });

      assert.equal(found[0]?.name, 'tap');
      assert.deepEqual(JSON.parse(found[0]?.json ?? ''), { x: -7 });
    });

    it(`is none of a tool that may not be called in the format ${format}`, async () => {
      for (const seed of [1, 2, 3]) {
        const prompt = chatWith(TAP, { ...HOME, strict: true });
        const toolChoice = { allowedNames: ['home'] };
        const { found } = await calls(options, { seed, prompt, toolChoice, says: begin });

        assert.ok(found.every(({ name }) => name === 'home'));
      }
    });
  }

  it('is refused with a strict schema that cannot be enforced', async () => {
    backbone = await startTestBackbone(wildDecoder(1), FORMATS['hermes']);
    const parameters = { properties: { x: { $dynamicRef: '#' } } };
    const prompt = chatWith({ name: 'tap', parameters, strict: true });

    const answer = collect(backbone.client.generate(requestsOf(startOf({ prompt }))));

    await assert.rejects(answer, (error: Error) => {
      assert.equal(reasonOf(error), 'INVALID_REQUEST');
      assert.match(error.message, /prompt\.chat\.tools: the strict tools cannot be enforced/);
      return /properties\.x\.\$dynamicRef/.test(error.message);
    });
  });
});
