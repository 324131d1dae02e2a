import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { RequestedEmbedding } from '#backbone/pooling/embedding-options.ts';
import { Generation } from '#backbone/request/generation.ts';
import { refusal } from '#test/refusal.ts';
import { ids } from '#test/unit/llm-backbone/engine/scheduling.ts';
import { FakeDecoder } from '#test/unit/llm-backbone/fake-decoder.ts';
import {
  type Collected,
  collect,
  createTestEngine,
  finishedOf,
  generate,
  type RequestShape,
  requestOf,
  type TestEngine,
} from '#test/unit/llm-backbone/test-engine.ts';

/** What the fake decoder's hidden states of these tokens add up to: ids, and places. */
function pooled(promptTokenIds: readonly number[], kind: 'last' | 'mean'): number[] {
  const rows = promptTokenIds.map((id, place) => [id, place] as const);
  const kept = kind === 'last' ? rows.slice(-1) : rows;
  return [0, 1].map((i) => kept.reduce((sum, row) => sum + (row[i] ?? 0), 0) / kept.length);
}

function shapeOf(pooling: RequestedEmbedding['pooling'], promptTokenIds: readonly number[]) {
  const embedding = { pooling, dimensions: undefined, normalize: false };
  return { promptTokenIds, maxTokens: 0, embedding } satisfies RequestShape;
}

/** Returns the only embedding of an answer. */
function embeddingIn({ events }: Collected): number[] {
  const found = events.flatMap((event) => (event.$case === 'embedding' ? [event.value] : []));
  assert.equal(found.length, 1);
  const data = Buffer.from(found[0]?.values?.data ?? []);
  return Array.from({ length: data.length / 4 }, (_, i) => data.readFloatLE(4 * i));
}

async function embed(engine: TestEngine, shape: RequestShape) {
  const collected = await generate(engine, shape);
  return { embedding: embeddingIn(collected), finished: finishedOf(collected.events), collected };
}

describe('an embedding', () => {
  for (const kind of ['last', 'mean'] as const) {
    it(`is pooled (${kind}) over all chunks of a prompt, beside other requests`, async () => {
      const engine = createTestEngine(new FakeDecoder(), { maxNumBatchedTokens: 24 });
      const promptTokenIds = ids(30, 100);

      const [{ embedding, collected }] = await Promise.all([
        embed(engine, shapeOf(kind, promptTokenIds)),
        generate(engine, { promptTokenIds: ids(400, 50) }),
      ]);

      assert.deepEqual(embedding, pooled(promptTokenIds, kind));
      const kinds = collected.events.map(({ $case }) => $case);
      assert.deepEqual(kinds, ['accepted', 'embedding', 'finished']);
      assert.equal(engine.scheduler.pool.numFree, 64);
    });

    it(`is the same (${kind}) when its prompt was preempted`, async () => {
      const decoder = new FakeDecoder({ numBlocks: 8 });
      const engine = createTestEngine(decoder, { maxNumBatchedTokens: 4 });
      const promptTokenIds = ids(30, 96);

      // The other request came first and grows into the blocks of this one, whose chunks are small.
      const other = generate(engine, { promptTokenIds: ids(400, 17), maxTokens: 100 });
      const { embedding } = await embed(engine, shapeOf(kind, promptTokenIds));
      await other;

      assert.ok(engine.scheduler.counts.numPreemptions > 0);
      assert.deepEqual(embedding, pooled(promptTokenIds, kind));
    });
  }

  it('uses the prefix cache for the last token, and leaves it aside for the mean', async () => {
    const engine = createTestEngine(new FakeDecoder());
    const promptTokenIds = ids(30, 40);
    await generate(engine, { promptTokenIds });

    const last = await embed(engine, shapeOf('last', promptTokenIds));
    const mean = await embed(engine, shapeOf('mean', promptTokenIds));

    assert.equal(last.finished.numCachedTokens, 32);
    assert.equal(mean.finished.numCachedTokens, 0);
    assert.deepEqual(last.embedding, pooled(promptTokenIds, 'last'));
    assert.deepEqual(mean.embedding, pooled(promptTokenIds, 'mean'));
    assert.equal(mean.finished.numCompletionTokens, 0);
  });

  it('leaves its blocks in the prefix cache for answers', async () => {
    const engine = createTestEngine(new FakeDecoder());
    const promptTokenIds = ids(30, 40);
    const before = await generate(createTestEngine(new FakeDecoder()), { promptTokenIds });
    await embed(engine, shapeOf('mean', promptTokenIds));

    const after = await generate(engine, { promptTokenIds });

    assert.equal(finishedOf(after.events).numCachedTokens, 32);
    assert.deepEqual(after.answers, before.answers);
  });

  it('fails alone if its hidden states are not finite', async () => {
    const decoder = new FakeDecoder();
    const engine = createTestEngine(decoder);
    const { execute } = decoder;
    decoder.execute = async (plan) => {
      const result = await execute.call(decoder, plan);
      return { ...result, pooledSums: result.pooledSums.map((sum) => sum.fill(Number.NaN)) };
    };
    const request = requestOf(shapeOf('last', ids(30, 20)));
    const generation = new Generation(request, engine.context);
    generation.start();

    const failing = collect(generation.responses.read(new AbortController().signal));
    const other = generate(engine, { promptTokenIds: ids(60, 20) });

    await assert.rejects(failing, refusal('ENGINE_FAILED', /not finite/));
    assert.equal((await other).answers[0]?.tokenIds.length, 12);
    assert.equal(engine.scheduler.pool.numFree, 64);
  });
});
