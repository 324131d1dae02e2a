import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { pino } from 'pino';
import { type Backbone, startBackbone } from '#backbone/backbone.ts';
import { readModelFiles } from '#backbone/checkpoint/model-files.ts';
import { loadDecoder } from '#backbone/load-decoder.ts';
import { type BackboneOptions, backboneOptions } from '#backbone/options.ts';
import { parseAction } from '#mesh/answer/phone-action.ts';
import { reasonOf } from '#mesh/errors.ts';
import { createMeshClient, openChannel } from '#mesh/grpc/grpc-client.ts';
import { resolveOptions } from '#mesh/options.ts';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { LlmBackboneServiceDefinition } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import { chatOf, requestsOf, startOf } from './harness.ts';

const MODEL = join(PACKAGE_ROOT, 'deploy', 'models', 'phone-nano');
const ADDON = join(PACKAGE_ROOT, 'build', 'native', 'autoglm.node');
const skip = existsSync(ADDON) ? false : `${ADDON} is not built`;

const SCHEMA = {
  type: 'object',
  properties: {
    app: { enum: ['微信', 'Music', 'none'] },
    sure: { type: 'boolean' },
    reason: { type: 'string', maxLength: 12 },
  },
  required: ['app', 'sure', 'reason'],
};
const JSON_SCHEMA = { form: { $case: 'jsonSchema', value: JSON.stringify(SCHEMA) } } as const;
const PHONE_ACTION = { form: { $case: 'phoneAction', value: {} } } as const;

type Changes = Parameters<typeof startOf>[0];

interface Answer {
  readonly seed: bigint;
  readonly texts: readonly string[];
  readonly thoughts: readonly string[];
  readonly tokenIds: readonly number[][];
}

/** Starts a backbone with phone-nano and a client for it. */
async function startNano(values: Partial<BackboneOptions> = {}) {
  const options = resolveOptions(backboneOptions, {
    model: MODEL,
    listen: '127.0.0.1:0',
    device: 'cpu',
    kvCacheGb: 0.1,
    ...values,
  });
  const log = pino({ level: 'silent' });
  const files = await readModelFiles(options.model, undefined);
  const backbone: Backbone = await startBackbone(
    options,
    await loadDecoder(options, files, log),
    files,
    log,
  );
  const channel = openChannel(backbone.address, 'tokens');
  const client = createMeshClient(LlmBackboneServiceDefinition, channel);
  return {
    async ask(changes: Changes): Promise<Answer> {
      const start = startOf({
        prompt: chatOf('打开微信'),
        ...changes,
        sampling: { maxTokens: 200, seed: 5n, ...changes?.sampling },
      });
      let seed = 0n;
      const numChoices = start?.sampling?.numChoices ?? 1;
      const texts = Array<string>(numChoices).fill('');
      const thoughts = Array<string>(numChoices).fill('');
      const tokenIds = texts.map((): number[] => []);
      for await (const { event } of client.generate(requestsOf(start))) {
        if (event?.$case === 'accepted') seed = event.value.seed;
        if (event?.$case !== 'delta') continue;
        for (const { index, text, channel: kind, tokenIds: ids } of event.value.choices) {
          const into = kind === 2 ? thoughts : texts;
          into[index] += text;
          tokenIds[index]?.push(...ids);
        }
      }
      return { seed, texts, thoughts, tokenIds };
    },
    async close() {
      channel.close();
      await backbone.drain(0);
    },
  };
}

function assertFits(text: string): void {
  const value: Record<string, unknown> = JSON.parse(text);
  assert.deepEqual(Object.keys(value), ['app', 'sure', 'reason']);
  assert(SCHEMA.properties.app.enum.includes(String(value['app'])), text);
  assert.equal(typeof value['sure'], 'boolean');
  assert([...String(value['reason'])].length <= 12, text);
}

describe('phone-nano, with a form for its answers', { skip }, () => {
  let nano: Awaited<ReturnType<typeof startNano>>;
  before(async () => {
    nano = await startNano();
  });
  after(() => nano.close());

  it('answers with JSON of a schema, greedy and sampled, each choice its own', async () => {
    for (const temperature of [0, 1.5]) {
      const sampling = { temperature, numChoices: 2 };
      const { texts } = await nano.ask({ structuredOutput: JSON_SCHEMA, sampling });

      assert.equal(texts.length, 2);
      for (const text of texts) assertFits(text);
    }
  });

  it('keeps the form with filters, penalties, bad words, log-probabilities and fewest tokens', async () => {
    const { texts } = await nano.ask({
      structuredOutput: JSON_SCHEMA,
      sampling: {
        temperature: 1.2,
        topK: 40,
        topP: 0.9,
        minP: 0.01,
        repetitionPenalty: 1.3,
        frequencyPenalty: 0.5,
        badWords: ['true', 'Music'],
        minTokens: 150,
        logitBias: { 40: 10 },
      },
      output: { numLogprobs: 3 },
    });

    assertFits(texts[0] ?? '');
    assert.doesNotMatch(texts[0] ?? '', /Music/);
  });

  it('goes on after a death at any token as it would have without', async () => {
    const request = {
      structuredOutput: JSON_SCHEMA,
      sampling: { temperature: 1, numChoices: 2, maxTokens: 200 },
    };
    const whole = await nano.ask(request);
    for (const numDelivered of [1, 4, 9]) {
      const choices = whole.tokenIds.map((ids, index) => ({
        index,
        tokenIds: ids.slice(0, numDelivered),
      }));

      const rest = await nano.ask({ ...request, resume: { seed: whole.seed, choices } });

      assert.deepEqual(
        rest.tokenIds.map((ids, index) => [...(choices[index]?.tokenIds ?? []), ...ids]),
        whole.tokenIds,
      );
      whole.texts.forEach((text, index) => {
        assert(text.endsWith(rest.texts[index] ?? ''));
      });
    }
  });

  it('thinks first where thoughts are told apart, and gives the rest the form', async () => {
    const prompt = chatOf('打开微信');
    const { texts, thoughts } = await nano.ask({
      prompt,
      structuredOutput: JSON_SCHEMA,
      output: { splitReasoning: true },
    });

    assert.notEqual(thoughts[0], '');
    assertFits(texts[0] ?? '');
  });

  it('answers with an action of the agent, its thoughts in front', async () => {
    const { texts } = await nano.ask({ structuredOutput: PHONE_ACTION });

    assert.match(texts[0] ?? '', /^<think>.+<\/think>(<answer>)?(do|finish)\(/);
    assert(parseAction(texts[0] ?? '') !== undefined, texts[0]);
  });

  it('has the same tokens with drafts', async () => {
    const drafting = await startNano({
      speculativeConfig: '{"method":"ngram","num_speculative_tokens":4,"prompt_lookup_min":1}',
    });
    try {
      for (const temperature of [0, 1]) {
        const request = { structuredOutput: JSON_SCHEMA, sampling: { temperature } };
        assert.deepEqual(
          (await drafting.ask(request)).tokenIds,
          (await nano.ask(request)).tokenIds,
        );
      }
    } finally {
      await drafting.close();
    }
  });

  it('has the default form of the instance unless the request lifts it', async () => {
    const agent = await startNano({ defaultStructuredOutput: 'phone_action' });
    try {
      const prompt = chatOf('Who are you?');
      const [action] = (await agent.ask({ prompt })).texts;
      const lifted = await agent.ask({
        prompt,
        structuredOutput: { form: { $case: 'anyText', value: {} } },
      });

      assert(parseAction(action ?? '') !== undefined, action);
      assert.deepEqual(lifted.tokenIds, (await nano.ask({ prompt })).tokenIds);
    } finally {
      await agent.close();
    }
  });

  it('refuses what it cannot enforce, with the place, and goes on', async () => {
    const schema = { type: 'object', properties: { a: { $dynamicRef: '#' } } };
    const form = { $case: 'jsonSchema', value: JSON.stringify(schema) } as const;
    await assert.rejects(nano.ask({ structuredOutput: { form } }), (error: Error) => {
      assert.equal(reasonOf(error), 'INVALID_REQUEST');
      return /structured_output\.json_schema\.properties\.a\.\$dynamicRef/.test(error.message);
    });
    const regex = { form: { $case: 'regex', value: '(a|b)*a(a|b){30}' } } as const;
    await assert.rejects(nano.ask({ structuredOutput: regex }), /structured_output\.regex: /);
    await assert.rejects(
      nano.ask({ structuredOutput: JSON_SCHEMA, sampling: { allowedTokenIds: [1] } }),
      /allowed_token_ids: cannot be combined/,
    );

    assertFits((await nano.ask({ structuredOutput: JSON_SCHEMA })).texts[0] ?? '');
  });
});
