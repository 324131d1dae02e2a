import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { PlaceholderRange } from '#backbone/engine/placeholder-range.ts';
import type { Embedding } from '#backbone/engine/row-source.ts';
import { assertSchedulerInvariants } from '#backbone/engine/scheduler-invariants.ts';
import { Generation, type GenerationMedia } from '#backbone/request/generation.ts';
import { deferred } from '#test/contract/gateway/media/deferred.ts';
import { refusal } from '#test/refusal.ts';
import { settled } from '#test/unit/encoder/doubles.ts';
import { FakeDecoder } from '#test/unit/llm-backbone/fake-decoder.ts';
import {
  createTestEngine,
  generate,
  type RequestShape,
  requestOf,
} from '#test/unit/llm-backbone/test-engine.ts';
import { ids, imageAt, rowsFor } from './scheduling.ts';

/**
 * Media that give rows at once, or as `answer` says, and record the first tokens of the requests.
 */
class FakeSource implements GenerationMedia {
  readonly asked: number[] = [];
  answer: (range: PlaceholderRange) => Promise<Embedding> = async (range) => rowsFor(range);

  rowsOf(range: PlaceholderRange): Promise<Embedding> {
    this.asked.push(range.firstToken);
    return this.answer(range);
  }

  close(): void {}
}

/** Makes a request whose prompt has pictures at these places. */
function withImages(
  source: GenerationMedia,
  placeholders: readonly PlaceholderRange[],
  tokenIds: readonly number[] = ids(40, 20),
): RequestShape {
  const prompt = { tokenIds, placeholders, positions: null, audioDurationMs: 0 };
  return { prompt, media: source };
}

describe('EngineLoop and the row source of a sequence', () => {
  it('asks once for each item, however many steps read its rows', async () => {
    const decoder = new FakeDecoder();
    const engine = createTestEngine(decoder, { maxNumBatchedTokens: 3 });
    const source = new FakeSource();

    await generate(engine, withImages(source, [imageAt(1, 9, 'a'), imageAt(12, 6, 'b')]));

    assert.deepEqual(source.asked, [1, 12]);
    assert.ok(decoder.mediaRows.length > 4);
  });

  it('asks once for all choices of a request whose blocks the later ones find', async () => {
    const engine = createTestEngine(new FakeDecoder());
    const source = new FakeSource();

    await generate(engine, { ...withImages(source, [imageAt(1, 9)]), numChoices: 3 });

    assert.deepEqual(source.asked, [1]);
  });

  it('does not ask for an item whose blocks are in the prefix cache, and asks once they are lost', async () => {
    const engine = createTestEngine(new FakeDecoder({ numBlocks: 3 }));
    const source = new FakeSource();
    const request = withImages(source, [imageAt(1, 9)]);
    await generate(engine, request);

    const cached = await generate(engine, request);
    assert.deepEqual(source.asked, [1]);
    await generate(engine, { promptTokenIds: ids(200, 30) });
    const computed = await generate(engine, request);

    assert.deepEqual(source.asked, [1, 1]);
    assert.deepEqual(computed.answers, cached.answers);
  });

  it('asks again after a preemption, and the answer is the same to the bit', async () => {
    const answers = async (numBlocks: number) => {
      const engine = createTestEngine(new FakeDecoder({ numBlocks }));
      const sources = ['a', 'b'].map((itemKey) => ({ itemKey, source: new FakeSource() }));
      const results = await Promise.all(
        sources.map(({ itemKey, source }) => {
          const request = withImages(source, [imageAt(1, 36, itemKey)], ids(0, 47));
          return generate(engine, { ...request, maxTokens: 40 });
        }),
      );
      assertSchedulerInvariants(engine.scheduler);
      const { numPreemptions } = engine.scheduler.counts;
      const asked = sources.flatMap(({ source }) => source.asked);
      return { texts: results.map((result) => result.answers), asked, numPreemptions };
    };
    const calm = await answers(64);

    const crowded = await answers(8);

    assert.deepEqual([calm.numPreemptions, calm.asked], [0, [1, 1]]);
    assert.ok(crowded.numPreemptions > 0);
    assert.ok(crowded.asked.length > 2, `asked ${crowded.asked.length} times`);
    assert.deepEqual(crowded.texts, calm.texts);
  });

  it('runs the steps of others while it waits', async () => {
    const engine = createTestEngine(new FakeDecoder(), { maxNumSeqs: 1 });
    const source = new FakeSource();
    const hold = deferred();
    source.answer = async (range) => {
      await hold.promise;
      return rowsFor(range);
    };
    const waiting = generate(engine, withImages(source, [imageAt(1, 9)]));

    const other = await generate(engine, { promptTokenIds: ids(60, 9) });
    assert.equal(engine.scheduler.waiting.length, 1);
    hold.resolve();

    assert.equal(other.answers[0]?.tokenIds.length, 12);
    assert.equal((await waiting).answers[0]?.tokenIds.length, 12);
    assert.deepEqual(source.asked, [1]);
  });

  it('ends only the sequence whose rows cannot be had', async () => {
    const engine = createTestEngine(new FakeDecoder());
    const source = new FakeSource();
    source.answer = async () => {
      throw new Error('the rows are gone');
    };
    const failing = generate(engine, withImages(source, [imageAt(18, 2)]));

    const other = generate(engine, { promptTokenIds: ids(60, 9) });

    await assert.rejects(
      failing,
      refusal('ENGINE_FAILED', /^media could not be encoded: the rows are gone$/),
    );
    assert.equal((await other).answers[0]?.tokenIds.length, 12);
    assert.equal(engine.scheduler.pool.numFree, 64);
    assert.equal(engine.scheduler.waiting.length, 0);
  });

  it('ends a sequence that is given another number of rows than it has places', async () => {
    const engine = createTestEngine(new FakeDecoder());
    const source = new FakeSource();
    source.answer = async (range) => rowsFor({ ...range, numTokens: 8 });

    await assert.rejects(
      generate(engine, withImages(source, [imageAt(1, 9)])),
      refusal('ENGINE_FAILED', /8 rows for 9 placeholders/),
    );
  });

  it('drops rows that come when their sequence is gone', async () => {
    const decoder = new FakeDecoder();
    const engine = createTestEngine(decoder);
    const source = new FakeSource();
    const hold = deferred();
    source.answer = async (range) => {
      await hold.promise;
      return rowsFor(range);
    };
    const generation = new Generation(
      requestOf(withImages(source, [imageAt(1, 9)])),
      engine.context,
    );
    generation.start();
    await settled();
    assert.deepEqual(source.asked, [1]);

    generation.cancel();
    hold.resolve();
    await settled();
    await generate(engine, { promptTokenIds: [1], maxTokens: 1 });

    assert.equal(engine.scheduler.waiting.length, 0);
    assert.deepEqual(decoder.mediaRows, []);
    assertSchedulerInvariants(engine.scheduler);
  });
});
