import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type Decoder, loadDecoder, type SampleParams, type StepOutput } from '#native';
import { PagedSequence, planOf } from '#test/parity/paged-sequence.ts';

const VOCAB_SIZE = 1000;
const PROMPT = Array.from({ length: 20 }, (_, i) => i);

/** Plans a prefill with these outputs of its last token, each with changed parameters. */
function planWith(changes: readonly Partial<SampleParams>[]) {
  const prefill = new PagedSequence(PROMPT, 0).take(PROMPT.length);
  const plan = planOf([prefill], { blockSize: 16, vocabLimit: VOCAB_SIZE });
  const [output] = plan.outputs;
  assert.ok(output?.sample);
  const { sample } = output;
  const outputs = changes.map(
    (change): StepOutput => ({ ...output, sample: { ...sample, ...change } }),
  );
  return { ...plan, outputs };
}

describe('parameters of sampling on their way to a decoder', () => {
  let decoder: Decoder;
  /** Returns the tokens that one step chooses by these parameters. */
  const choose = async (...changes: Partial<SampleParams>[]) => {
    const { tokenIds, failures } = await decoder.execute(planWith(changes));
    assert.deepEqual(failures, []);
    return [...tokenIds];
  };
  before(async () => {
    decoder = await loadDecoder({
      model: {
        random: {
          hiddenSize: 64,
          numLayers: 1,
          numAttentionHeads: 2,
          numKeyValueHeads: 1,
          headDim: 32,
          intermediateSize: 128,
          vocabSize: VOCAB_SIZE,
          maxPositionEmbeddings: 64,
        },
      },
      device: 'cpu',
      weightDtype: 'float32',
      activationDtype: 'float32',
      blockSize: 16,
      kvCacheBytes: 1024 * 1024,
      maxNumBatchedTokens: 64,
    });
  });
  after(() => decoder.close());

  it('have their effects on the outputs that they belong to, whatever lists the others have', async () => {
    const [best = -1] = await choose({});
    const ids = Uint32Array.of(best);
    const away: readonly Partial<SampleParams>[] = [
      { forbiddenTokenIds: ids },
      { biasTokenIds: ids, biasValues: Float32Array.of(-100) },
      { generatedTokenIds: ids, generatedCounts: Uint32Array.of(1), presencePenalty: 100 },
      { generatedTokenIds: ids, generatedCounts: Uint32Array.of(50), frequencyPenalty: 2 },
      { seenTokenIds: ids, repetitionPenalty: 1e6 },
      {
        allowedTokens: new Uint32Array(32)
          .fill(0xffff_ffff)
          .map((word, i) => (i === best >>> 5 ? ~(1 << (best & 31)) : word)),
      },
    ];
    const changes = away.flatMap((change) => [change, {}]);

    const tokenIds = await choose(...changes);

    const [second = -1] = tokenIds;
    assert.notEqual(second, best);
    assert.deepEqual(
      tokenIds,
      away.flatMap(() => [second, best]),
    );
  });

  it('keep the likeliest token alone by top-k, top-p or min-p, however warm', async () => {
    const [best] = await choose({});
    const warm = { temperature: 10, position: 3 };

    const tokenIds = await choose(
      { ...warm, topK: 1 },
      { ...warm, topP: 1e-6 },
      { ...warm, minP: 1 },
      { ...warm, vocabLimit: 1 },
    );

    assert.deepEqual(tokenIds, [best, best, best, 0]);
  });

  it('draw by seed, stream and position, all 64 bits of the seed', async () => {
    const warm = { temperature: 10, seed: 5n, stream: 0, position: 0 };
    const changes = [
      warm,
      { ...warm, seed: 6n },
      { ...warm, seed: 5n + (1n << 40n) },
      { ...warm, stream: 1 },
      { ...warm, position: 1 },
    ];

    const tokenIds = await choose(...changes, ...changes);

    assert.equal(new Set(tokenIds).size, changes.length);
    assert.deepEqual(tokenIds.slice(changes.length), tokenIds.slice(0, changes.length));
  });
});
