import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { embeddingOf } from '#backbone/pooling/embedding.ts';
import { readEmbeddingOptions } from '#backbone/pooling/embedding-options.ts';
import { DType } from '#protos/autoglm/common/v1/tensor.ts';
import { EmbeddingOptions, Pooling } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import { refusal } from '#test/refusal.ts';

describe('embeddingOf', () => {
  it('scales to length 1 what it keeps, in little-endian float32', () => {
    const pooled = Float64Array.of(3, -4, 12);

    const whole = embeddingOf(pooled, { dimensions: undefined, normalize: true });
    const cut = embeddingOf(pooled, { dimensions: 2, normalize: true });
    const raw = embeddingOf(pooled, { dimensions: 2, normalize: false });

    assert.deepEqual(whole?.shape, [3]);
    assert.deepEqual(cut, {
      dtype: DType.D_TYPE_FLOAT32,
      shape: [2],
      data: Buffer.from('9a99193fcdcc4cbf', 'hex'),
    });
    assert.deepEqual(raw?.data, Buffer.from('00004040000080c0', 'hex'));
  });

  it('leaves zeros as they are', () => {
    const values = embeddingOf(new Float64Array(1), { dimensions: undefined, normalize: true });

    assert.deepEqual(values?.data, Buffer.alloc(4));
  });

  it('is null for numbers that are not finite, or that float32 cannot hold', () => {
    for (const pooled of [Float64Array.of(1, Number.NaN), Float64Array.of(1e300)]) {
      assert.equal(embeddingOf(pooled, { dimensions: undefined, normalize: false }), null);
    }
  });
});

describe('readEmbeddingOptions', () => {
  const read = (
    options: Partial<EmbeddingOptions>,
    matryoshka: readonly number[] | 'all' | null = null,
  ) => readEmbeddingOptions(EmbeddingOptions.fromPartial(options), { hiddenSize: 64, matryoshka });

  it('takes the last token, whole and normalized, if nothing is said', () => {
    assert.deepEqual(read({}), { pooling: 'last', dimensions: undefined, normalize: true });
    const mean = read({ pooling: Pooling.POOLING_MEAN, normalize: false });
    assert.deepEqual(mean, { pooling: 'mean', dimensions: undefined, normalize: false });
  });

  it('takes the dimensions that the model has embeddings of', () => {
    assert.equal(read({ dimensions: 64 }, 'all').dimensions, 64);
    assert.equal(read({ dimensions: 32 }, [16, 32]).dimensions, 32);
    for (const [dimensions, matryoshka] of [
      [32, null],
      [0, 'all'],
      [65, 'all'],
      [33, [16, 32]],
    ] as const) {
      const expected = refusal('INVALID_REQUEST', /dimensions: got/, 'embedding.dimensions');
      assert.throws(() => read({ dimensions }, matryoshka), expected);
    }
  });

  it('refuses a pooling of a later version', () => {
    const expected = refusal('INVALID_REQUEST', /pooling: 9 is unknown/, 'embedding.pooling');
    // biome-ignore lint/suspicious/noExplicitAny: a number that the wire may bring
    assert.throws(() => read({ pooling: 9 as any }), expected);
  });
});
