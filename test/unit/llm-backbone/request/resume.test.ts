import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FakeDecoder, hashedToken, scripted } from '#test/unit/llm-backbone/fake-decoder.ts';
import {
  createTestEngine,
  finishedOf,
  generate,
  type RequestShape,
} from '#test/unit/llm-backbone/test-engine.ts';
import { golden, vocabulary } from '#test/unit/llm-backbone/text-model.ts';

const HELLO = golden.tokens.find(({ text }) => text === 'Hello, world!')?.ids ?? [];
const CHINESE = golden.tokens.find(({ text }) => text.startsWith('你好'))?.ids ?? [];

describe('resume', () => {
  const think = ['<think>', '</think>'].map((tag) => vocabulary.addedId(tag) ?? -1);
  const eos = vocabulary.addedId('<|user|>') ?? -1;
  const endRules = { maxTokens: 30, eosTokenIds: new Set([eos]), stopTokenIds: new Set<number>() };
  const thoughts = [think[0] ?? -1, ...HELLO, think[1] ?? -1, ...CHINESE, eos];
  const cases: { name: string; shape: RequestShape; nextToken: FakeDecoder['nextToken'] }[] = [
    { name: 'a greedy answer', shape: {}, nextToken: hashedToken },
    {
      name: 'a sampled answer with penalties',
      shape: {
        settings: { temperature: 1, seed: 77n, frequencyPenalty: 0.5, repetitionPenalty: 1.1 },
      },
      nextToken: hashedToken,
    },
    {
      name: 'an answer with half characters, thoughts and an end-of-sequence id',
      shape: { output: { endRules, splitReasoning: true } },
      nextToken: scripted(thoughts),
    },
    {
      name: 'an answer that a stop string ends across tokens',
      shape: { output: { endRules, stopStrings: ['世界！打开', 'nothing'] } },
      nextToken: scripted([...HELLO, ...CHINESE]),
    },
    {
      name: 'an answer that ends inside a possible stop string',
      shape: { output: { endRules: { ...endRules, maxTokens: 6 }, stopStrings: ['world!!'] } },
      nextToken: scripted(HELLO),
    },
  ];
  for (const { name, shape, nextToken } of cases) {
    it(`continues ${name} exactly, at every cut`, async () => {
      const whole = await generate(createTestEngine(new FakeDecoder({ nextToken })), shape);
      const [answer] = whole.answers;
      assert.ok(answer !== undefined && answer.tokenIds.length > 3);

      for (let cut = 0; cut <= answer.tokenIds.length; cut++) {
        const delivered = [answer.tokenIds.slice(0, cut)];
        const fresh = createTestEngine(new FakeDecoder({ nextToken }));
        const rest = await generate(fresh, { ...shape, delivered });
        const sent: string = cut === 0 ? '' : (answer.textAfter[cut - 1] ?? '');
        assert.deepEqual(rest.answers[0]?.tokenIds, answer.tokenIds.slice(cut), `cut at ${cut}`);
        assert.equal(sent + rest.answers[0]?.text, answer.text, `cut at ${cut}`);
        const [a, b] = [finishedOf(whole.events), finishedOf(rest.events)];
        assert.deepEqual(b.choices, a.choices, `cut at ${cut}`);
        assert.equal(b.numCompletionTokens, a.numCompletionTokens);
        assert.equal(b.numReasoningTokens, a.numReasoningTokens);
      }
    });
  }

  it('continues choices that were cut at different places, one of them finished', async () => {
    const shape = { numChoices: 3, settings: { temperature: 1, seed: 3n } };
    const whole = await generate(createTestEngine(new FakeDecoder()), shape);
    const cuts = [12, 0, 5];

    const rest = await generate(createTestEngine(new FakeDecoder()), {
      ...shape,
      delivered: cuts.map((cut, i) => whole.answers[i]?.tokenIds.slice(0, cut) ?? []),
    });

    for (const [i, cut] of cuts.entries()) {
      assert.deepEqual(
        rest.answers[i]?.tokenIds,
        whole.answers[i]?.tokenIds.slice(cut),
        `choice ${i}`,
      );
    }
    assert.deepEqual(finishedOf(rest.events).choices, finishedOf(whole.events).choices);
  });
});
