import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertSchedulerInvariants } from '#backbone/engine/scheduler-invariants.ts';
import { Generation } from '#backbone/request/generation.ts';
import { FinishReason } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import { samplesOf } from '#test/metric-samples.ts';
import { refusal } from '#test/refusal.ts';
import { ids, ticketOf } from '#test/unit/llm-backbone/engine/scheduling.ts';
import { FakeDecoder, scripted } from '#test/unit/llm-backbone/fake-decoder.ts';
import {
  type Collected,
  collect,
  createTestEngine,
  finishedOf,
  generate,
  requestOf,
} from '#test/unit/llm-backbone/test-engine.ts';
import { golden, vocabulary } from '#test/unit/llm-backbone/text-model.ts';

const HELLO = golden.tokens.find(({ text }) => text === 'Hello, world!')?.ids ?? [];
const never = new AbortController().signal;

/** Returns the scored tokens of the prompt, one list for each message. */
function scoredIds(events: Collected['events']): (number | undefined)[][] {
  return events.flatMap((event) =>
    event.$case === 'promptLogprobs' ? [event.value.tokens.map(({ token }) => token?.tokenId)] : [],
  );
}

describe('Generation', () => {
  it('says accepted, deltas and finished in this order', async () => {
    const engine = createTestEngine(new FakeDecoder({ nextToken: scripted(HELLO) }));

    const { answers, events } = await generate(engine, { maxTokens: HELLO.length });

    const kinds = events.map((event) => event.$case);
    assert.equal(kinds[0], 'accepted');
    assert.ok(kinds.length > 2, kinds.join());
    assert.ok(kinds.slice(1, -1).every((kind) => kind === 'delta'));
    assert.equal(answers[0]?.text, 'Hello, world!');
    const finished = finishedOf(events);
    assert.equal(finished.numCompletionTokens, HELLO.length);
    assert.deepEqual(finished.choices, [
      { index: 0, reason: FinishReason.FINISH_REASON_LENGTH, stop: undefined },
    ]);
  });

  it('says with the last token of each choice how it ended', async () => {
    const engine = createTestEngine(new FakeDecoder({ nextToken: scripted(HELLO) }));

    const { events } = await generate(engine, { maxTokens: HELLO.length, numChoices: 2 });

    const entries = events.flatMap((event) => (event.$case === 'delta' ? event.value.choices : []));
    for (const index of [0, 1]) {
      const ends = entries.filter((one) => one.index === index).map(({ finish }) => finish);
      const finish = { index, reason: FinishReason.FINISH_REASON_LENGTH, stop: undefined };
      assert.deepEqual(ends, [...ends.slice(1).map(() => undefined), finish]);
    }
    assert.equal(finishedOf(events).choices.length, 2);
  });

  it('ends at a stop string, discards the token computed meanwhile and frees everything', async () => {
    const engine = createTestEngine(new FakeDecoder({ nextToken: scripted(HELLO) }));

    const { answers, events } = await generate(engine, {
      maxTokens: 50,
      output: { endRules: requestOf().output.endRules, stopStrings: ['o, w'] },
    });
    await generate(engine, { promptTokenIds: [1] });

    assert.equal(answers[0]?.text, 'Hell');
    assert.deepEqual(finishedOf(events).choices[0]?.stop, { $case: 'stopString', value: 'o, w' });
    assert.equal(answers[0]?.tokenIds.length, finishedOf(events).numCompletionTokens);
    assert.equal(engine.scheduler.pool.numFree, 64);
  });

  it('reports the cached tokens of a repeated prompt', async () => {
    const engine = createTestEngine(new FakeDecoder());
    const promptTokenIds = ids(30, 40);
    const first = await generate(engine, { promptTokenIds });

    const second = await generate(engine, { promptTokenIds });

    assert.equal(finishedOf(second.events).numCachedTokens, 32);
    assert.deepEqual(second.answers, first.answers);
  });

  it('lets later choices use the blocks of the first', async () => {
    const engine = createTestEngine(new FakeDecoder());

    const { answers } = await generate(engine, {
      promptTokenIds: ids(30, 40),
      numChoices: 3,
      settings: { temperature: 1, seed: 5n },
    });

    assert.equal(engine.scheduler.counts.numPrefixHitTokens, 64);
    assert.equal(new Set(answers.map(({ text }) => text)).size, 3);
  });

  it('sends one delta a step with every choice of it', async () => {
    const engine = createTestEngine(new FakeDecoder());

    const { events } = await generate(engine, { numChoices: 2, maxTokens: 3 });

    const indices = events.flatMap((event) =>
      event.$case === 'delta' ? [event.value.choices.map(({ index }) => index)] : [],
    );
    assert.deepEqual(indices.at(1), [0, 1]);
  });

  it('sends the log-probabilities of a long prompt in parts', async () => {
    const engine = createTestEngine(new FakeDecoder({ numBlocks: 200 }), {
      maxNumBatchedTokens: 600,
      maxNumSeqs: 8,
    });
    const promptTokenIds = Array.from({ length: 700 }, (_, i) => 10 + (i % 50));

    const { events } = await generate(engine, {
      promptTokenIds,
      maxTokens: 1,
      numPromptLogprobs: 0,
    });

    const parts = scoredIds(events);
    assert.deepEqual(
      parts.map(({ length }) => length),
      [256, 256, 88, 99],
    );
    assert.deepEqual(parts.flat(), promptTokenIds.slice(1));
  });

  it('says that a prompt of one token has no log-probabilities', async () => {
    const engine = createTestEngine(new FakeDecoder());

    const { events } = await generate(engine, {
      promptTokenIds: [10],
      maxTokens: 1,
      numPromptLogprobs: 0,
    });

    assert.deepEqual(scoredIds(events), [[]]);
  });

  it('returns log-probabilities of samples and of the prompt', async () => {
    const engine = createTestEngine(new FakeDecoder(), { maxNumBatchedTokens: 8, maxNumSeqs: 8 });

    const { events } = await generate(engine, {
      promptTokenIds: ids(40, 20),
      maxTokens: 2,
      numLogprobs: 2,
      numPromptLogprobs: 1,
    });

    assert.deepEqual(scoredIds(events).flat(), ids(41, 19));
    const delta = events.find((event) => event.$case === 'delta');
    const [logprob] = delta?.value.choices[0]?.logprobs ?? [];
    assert.equal(logprob?.top.length, 2);
    assert.deepEqual(
      logprob?.token?.text,
      Buffer.from(vocabulary.bytesOf(logprob?.token?.tokenId ?? 0)),
    );
  });

  it('only computes the prompt when no token may be generated', async () => {
    const engine = createTestEngine(new FakeDecoder());

    const { answers, events } = await generate(engine, { maxTokens: 0 });

    assert.deepEqual(answers[0]?.tokenIds, []);
    assert.equal(finishedOf(events).choices[0]?.reason, FinishReason.FINISH_REASON_LENGTH);
  });

  it('frees everything at the next step border when it is cancelled', async () => {
    const decoder = new FakeDecoder();
    const engine = createTestEngine(decoder);
    const generation = new Generation(requestOf({ maxTokens: 400 }), engine.context);
    generation.start();
    const responses = generation.responses.read(never);
    await responses.next();

    generation.cancel();
    await generate(engine, { promptTokenIds: [1], maxTokens: 1 });

    assertSchedulerInvariants(engine.scheduler);
    assert.equal(engine.scheduler.pool.numFree, 64);
    assert.equal(engine.scheduler.running.length, 0);
  });

  it('counts the prompt tokens computed and the tokens generated in each step', async () => {
    const engine = createTestEngine(new FakeDecoder(), { maxNumBatchedTokens: 16 });

    await generate(engine, { promptTokenIds: ids(40, 20), maxTokens: 3 });

    const samples = samplesOf(engine.registry, 'iteration_tokens_total');
    const metric = (suffix: string) => samples.find((sample) => sample.suffix === suffix)?.value;
    assert.equal(metric('_sum'), 20 + 3);
    // Chunks of 16 and 4 prompt tokens, then two steps of one token.
    assert.equal(metric('_count'), 4);
  });

  it('ends with QUEUE_FULL when another request takes its place', async () => {
    const engine = createTestEngine(new FakeDecoder(), { maxNumWaiting: 2 });
    const flood = new Generation(requestOf({ numChoices: 2 }), engine.context);
    flood.start();

    engine.scheduler.reserve(ticketOf({ client: 'single' }), 1);

    await assert.rejects(
      collect(flood.responses.read(never)),
      refusal('QUEUE_FULL', /took this one's place/),
    );
  });

  it('refuses a request the waiting queue has no room for', () => {
    const engine = createTestEngine(new FakeDecoder(), { maxNumWaiting: 2 });

    assert.throws(
      () => new Generation(requestOf({ numChoices: 3 }), engine.context).start(),
      refusal('QUEUE_FULL'),
    );
  });
});
