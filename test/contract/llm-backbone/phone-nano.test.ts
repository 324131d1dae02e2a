import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { SchedulerOptions } from '#backbone/engine/scheduler.ts';
import type { GenerationRequest } from '#backbone/request/generation.ts';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { type Decoder, type KvCacheDtype, loadDecoder, type StepPlan } from '#native';
import { ids } from '#test/unit/llm-backbone/engine/scheduling.ts';
import {
  createTestEngine,
  type DescribedExecutor,
  generate,
  type RequestShape,
} from '#test/unit/llm-backbone/test-engine.ts';

const MODEL = join(PACKAGE_ROOT, 'deploy', 'models', 'phone-nano');
const ADDON = join(PACKAGE_ROOT, 'build', 'native', 'autoglm.node');
const skip = existsSync(ADDON) ? false : `${ADDON} is not built`;

interface GoldenCase {
  readonly group: string;
  readonly prompt_ids: readonly number[];
  readonly tokens: readonly number[];
  readonly reference: string;
}

function readCases(): readonly GoldenCase[] {
  const parsed: { cases: GoldenCase[] } = JSON.parse(
    readFileSync(join(MODEL, 'golden.json'), 'utf8'),
  );
  return parsed.cases.filter(({ group }) => group === 'text');
}

const config: { eos_token_id: number[] } = JSON.parse(
  readFileSync(join(MODEL, 'generation_config.json'), 'utf8'),
);
const cases = readCases();

/** The answer ends when the model ends it; no other limit is reached. */
const untilEnd: RequestShape = {
  output: {
    endRules: {
      maxTokens: 200,
      eosTokenIds: new Set(config.eos_token_id),
      stopTokenIds: new Set(),
    },
  },
};

function loadNano(kvCacheDtype: KvCacheDtype): Promise<Decoder> {
  return loadDecoder({
    model: { directory: MODEL },
    device: 'cpu',
    weightDtype: 'auto',
    activationDtype: 'bfloat16',
    kvCacheDtype,
    blockSize: 16,
    kvCacheBytes: 64 * 1024 * 1024,
    maxNumBatchedTokens: 512,
  });
}

describe('phone-nano', { skip }, () => {
  let decoder: Decoder;
  before(async () => {
    decoder = await loadNano('auto');
  });
  after(() => decoder.close());

  /** Makes an engine with a scheduler and a cache of its own over the shared decoder. */
  function engineOf(
    options: Partial<SchedulerOptions> = {},
    executor: DescribedExecutor = decoder,
  ) {
    return createTestEngine(executor, { maxNumSeqs: 64, maxNumBatchedTokens: 512, ...options });
  }

  async function answerOf(shape: RequestShape, options: Partial<SchedulerOptions> = {}) {
    const { answers } = await generate(engineOf(options), shape);
    return answers[0] ?? assert.fail('no answer');
  }

  it('answers every text of the reference with its tokens', async () => {
    for (const { prompt_ids, tokens, reference } of cases) {
      const answer = await answerOf({ ...untilEnd, promptTokenIds: prompt_ids });

      assert.deepEqual(answer.tokenIds.slice(0, tokens.length), tokens, reference);
      assert.ok(config.eos_token_id.includes(answer.tokenIds[tokens.length] ?? -1), reference);
      assert.equal(answer.text, reference);
    }
    assert.ok(cases.length >= 4);
  });

  describe('gives the same tokens', () => {
    const prompt = [...ids(300, 60), ...(cases[0]?.prompt_ids ?? [])];
    const settings: Partial<GenerationRequest['settings']> = { frequencyPenalty: 0.2 };
    const shape: RequestShape = { promptTokenIds: prompt, maxTokens: 40, settings };

    for (const chunk of [1, 3, 17]) {
      it(`when the prompt is computed ${chunk} tokens at a time`, async () => {
        const whole = await answerOf(shape);

        const answer = await answerOf(shape, { maxNumBatchedTokens: chunk, maxNumSeqs: 1 });

        assert.deepEqual(answer.tokenIds, whole.tokenIds);
      });
    }

    it('after a prefix-cache hit', async () => {
      const engine = engineOf();
      const [first] = (await generate(engine, shape)).answers;

      const [second] = (await generate(engine, shape)).answers;

      assert.equal(engine.scheduler.counts.numPrefixHitTokens, 64);
      assert.deepEqual(second?.tokenIds, first?.tokenIds);
    });

    it('after preemption', async () => {
      const whole = await answerOf(shape);
      const engine = engineOf({ numBlocks: 11 });
      const other = generate(engine, { promptTokenIds: ids(500, 70), maxTokens: 60 });

      const [answer] = (await generate(engine, shape)).answers;
      await other;

      assert.ok(engine.scheduler.counts.numPreemptions > 0);
      assert.deepEqual(answer?.tokenIds, whole.tokenIds);
    });

    it('in a batch of 32 others', async () => {
      const whole = await answerOf(shape);
      const engine = engineOf();
      const others = ids(0, 32).map((i) =>
        generate(engine, { promptTokenIds: ids(10 * i, 3 + 2 * i), maxTokens: 30 + i }),
      );

      const [answer] = (await generate(engine, shape)).answers;
      await Promise.all(others);

      assert.deepEqual(answer?.tokenIds, whole.tokenIds);
    });
  });

  it('gives the same tokens with drafts, greedy and sampled, in fewer steps', async () => {
    const speculation = { numTokens: 4, lookup: { min: 1, max: 4 }, maxRunning: 8 };
    const numSteps = { drafted: 0, plain: 0 };
    for (const { prompt_ids } of cases) {
      for (const temperature of [0, 0.7]) {
        const settings = { temperature, seed: 7n, presencePenalty: temperature };
        const shape = { ...untilEnd, settings, promptTokenIds: [...prompt_ids, ...prompt_ids] };
        const count = (steps: keyof typeof numSteps) => ({
          execute: (plan: StepPlan) => {
            numSteps[steps]++;
            return decoder.execute(plan);
          },
          description: decoder.description,
        });
        const plain = await generate(engineOf({}, count('plain')), shape);

        const drafted = await generate(engineOf({ speculation }, count('drafted')), shape);

        assert.deepEqual(drafted.answers[0]?.tokenIds, plain.answers[0]?.tokenIds);
        assert.equal(drafted.answers[0]?.text, plain.answers[0]?.text);
      }
    }
    assert(numSteps.drafted < numSteps.plain, `${numSteps.drafted} of ${numSteps.plain} steps`);
  });

  it('scores a prompt the same however it is cut, and the sampled token first', async () => {
    const shape = {
      promptTokenIds: ids(300, 40),
      maxTokens: 3,
      numLogprobs: 2,
      numPromptLogprobs: 2,
    };

    const [whole, cut] = await Promise.all([
      generate(engineOf(), shape),
      generate(engineOf({ maxNumBatchedTokens: 7, maxNumSeqs: 1 }), shape),
    ]);

    const prompt = ({ events }: typeof whole) =>
      events.flatMap((event) => (event.$case === 'promptLogprobs' ? event.value.tokens : []));
    const deltas = ({ events }: typeof whole) => events.filter(({ $case }) => $case === 'delta');
    assert.deepEqual([prompt(cut), deltas(cut)], [prompt(whole), deltas(whole)]);
    assert.equal(prompt(whole).length, 39);
    assert.ok(prompt(whole).every(({ token }) => (token?.logprob ?? 1) < 0));
    const delta = whole.events.find((event) => event.$case === 'delta');
    const [sampled] = delta?.value.choices[0]?.logprobs ?? [];
    assert.equal(sampled?.rank, 1);
    assert.deepEqual(sampled.top[0], sampled.token);
  });

  describe('resumes exactly, at every cut', () => {
    const sampled = { temperature: 1, seed: 1234n, repetitionPenalty: 1.1, topP: 0.95 };
    const answers: { name: string; shape: RequestShape }[] = [
      ...cases.slice(0, 4).map(({ prompt_ids, reference }) => ({
        name: `the greedy answer ${reference.slice(0, 12)}…`,
        shape: { ...untilEnd, promptTokenIds: prompt_ids },
      })),
      {
        name: 'a sampled answer',
        shape: { promptTokenIds: cases[0]?.prompt_ids ?? [], maxTokens: 24, settings: sampled },
      },
    ];
    for (const { name, shape } of answers) {
      it(name, async () => {
        const whole = await answerOf(shape);

        for (let cut = 0; cut <= whole.tokenIds.length; cut++) {
          const rest = await answerOf({ ...shape, delivered: [whole.tokenIds.slice(0, cut)] });

          const sent: string = cut === 0 ? '' : (whole.textAfter[cut - 1] ?? '');
          assert.deepEqual(rest.tokenIds, whole.tokenIds.slice(cut), `cut at ${cut}`);
          assert.equal(sent + rest.text, whole.text, `cut at ${cut}`);
        }
      });
    }
  });
});

describe('phone-nano with a KV cache of int8', { skip }, () => {
  it('gives the same tokens whatever the chunks, after a prefix-cache hit and after preemption', async (test) => {
    const decoder = await loadNano('int8');
    test.after(() => decoder.close());
    const engineOf = (options: Partial<SchedulerOptions>) =>
      createTestEngine(decoder, { maxNumSeqs: 64, maxNumBatchedTokens: 512, ...options });
    const prompt = [...ids(300, 60), ...(cases[0]?.prompt_ids ?? [])];
    const shape: RequestShape = { promptTokenIds: prompt, maxTokens: 40 };
    const roomy = engineOf({});
    const crowded = engineOf({ numBlocks: 11 });

    const whole = await generate(roomy, shape);
    const hit = await generate(roomy, shape);
    const cut = await generate(engineOf({ maxNumBatchedTokens: 7, maxNumSeqs: 1 }), shape);
    const other = generate(crowded, { promptTokenIds: ids(500, 70), maxTokens: 60 });
    const preempted = await generate(crowded, shape);
    await other;

    assert.equal(roomy.scheduler.counts.numPrefixHitTokens, 64);
    assert.ok(crowded.scheduler.counts.numPreemptions > 0);
    for (const { answers } of [hit, cut, preempted]) {
      assert.deepEqual(answers[0]?.tokenIds, whole.answers[0]?.tokenIds);
    }
  });
});
