import assert from 'node:assert/strict';
import { join } from 'node:path';
import { afterEach, describe, it } from 'node:test';
import { Tokenizer } from '#backbone/checkpoint/tokenizer.ts';
import type { BackboneOptions } from '#backbone/options.ts';
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

function chatWithTools(): Start['prompt'] {
  const prompt = chatOf('hi');
  assert(prompt?.form?.$case === 'chat');
  const tools = [TAP, HOME].map((one) => ({ functionJson: JSON.stringify(one) }));
  return { ...prompt, form: { $case: 'chat', value: { ...prompt.form.value, tools } } };
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

describe('A demanded call', () => {
  let backbone: TestBackbone | undefined;
  afterEach(() => backbone?.close());

  async function calls(
    options: Partial<BackboneOptions>,
    { seed, ...changes }: Start & { readonly seed: number },
  ) {
    backbone = await startTestBackbone(wildDecoder(seed), options);
    const sampling = { maxTokens: 300 };
    const start = startOf({
      prompt: chatWithTools(),
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
