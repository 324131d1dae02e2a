import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { type Decoder, devices, type KvCacheDtype, loadDecoder, type Quantize } from '#native';
import { DECODER_SHAPES, headParameters, layerParameters } from '#test/perf/decoder-shapes.ts';
import { type GoldenCase, readCases } from './golden-cases.ts';
import { PagedSequence, planOf } from './paged-sequence.ts';

const SHAPE = DECODER_SHAPES['phone-nano'];
const DIRECTORY = join(PACKAGE_ROOT, 'deploy/models/phone-nano');
/** Number of ids of the tokenizer; phone-nano's vocabulary has no padding rows. */
const VOCAB_LIMIT = 1490;
const BLOCK_SIZE = 16;
const CACHE_BYTES = 512 * 1024 * 1024;
/** Bytes of the language model's weights as the checkpoint has them, in bfloat16. */
const MODEL_BYTES = 2 * (layerParameters(SHAPE) + 2 * headParameters(SHAPE));

/** Returns the bytes of a block in all layers, by those of a token's key or value of one head. */
function blockBytes({ rowBytes }: { readonly rowBytes: number }): number {
  return 2 * SHAPE.numLayers * SHAPE.numKeyValueHeads * BLOCK_SIZE * rowBytes;
}

/** A sequence's tokens and the log-probability of each, whose bits tell any difference. */
interface Answer {
  readonly tokens: readonly number[];
  readonly logprobs: readonly number[];
}

/**
 * Prefills in chunks of `chunkSize` beside `others`, which continue to decode, then decodes
 * greedily.
 */
async function answer(
  decoder: Decoder,
  { promptIds, tokens }: GoldenCase,
  { chunkSize, others }: { readonly chunkSize: number; readonly others: readonly PagedSequence[] },
): Promise<Answer> {
  const sequence = new PagedSequence(promptIds ?? [], 0);
  const found: { token: number; logprob: number }[] = [];
  while (found.length < tokens.length) {
    const running = [...others, sequence];
    const chunks = running.map((each) => each.take(Math.min(each.numWaiting, chunkSize)));
    const plan = planOf(chunks, { blockSize: BLOCK_SIZE, vocabLimit: VOCAB_LIMIT });
    const step = await decoder.execute(plan);
    const finished = chunks.filter(({ end, sequence: { tokens } }) => end === tokens.length);
    finished.forEach((chunk, i) => {
      const token = step.tokenIds[i] ?? -1;
      chunk.sequence.tokens.push(token);
      if (chunk.sequence === sequence) found.push({ token, logprob: step.logprobs[i] ?? NaN });
    });
  }
  return {
    tokens: found.map(({ token }) => token),
    logprobs: found.map(({ logprob }) => logprob),
  };
}

interface Numbers {
  readonly activationDtype: 'float32' | 'bfloat16';
  readonly quantize: Quantize;
  readonly kvCacheDtype: KvCacheDtype;
  /** Devices over which the decoder is spread; 1: the CPU alone. */
  readonly numRanks?: 1 | 2;
}

const NUMBERS: readonly Numbers[] = [
  { activationDtype: 'float32', quantize: 'none', kvCacheDtype: 'auto' },
  { activationDtype: 'bfloat16', quantize: 'none', kvCacheDtype: 'auto' },
  { activationDtype: 'float32', quantize: 'int8', kvCacheDtype: 'auto' },
  { activationDtype: 'bfloat16', quantize: 'int8', kvCacheDtype: 'auto' },
  { activationDtype: 'bfloat16', quantize: 'int4', kvCacheDtype: 'auto' },
  { activationDtype: 'float32', quantize: 'none', kvCacheDtype: 'int8' },
  { activationDtype: 'bfloat16', quantize: 'none', kvCacheDtype: 'int8' },
  { activationDtype: 'bfloat16', quantize: 'none', kvCacheDtype: 'auto', numRanks: 2 },
  { activationDtype: 'bfloat16', quantize: 'int8', kvCacheDtype: 'int8', numRanks: 2 },
  { activationDtype: 'bfloat16', quantize: 'int4', kvCacheDtype: 'auto', numRanks: 2 },
];

/** Cores of which each rank of a group gets one. */
const CORES = devices()[0]?.cores ?? [];

function openDecoder({
  activationDtype,
  quantize,
  kvCacheDtype,
  numRanks = 1,
}: Numbers): Promise<Decoder> {
  return loadDecoder({
    model: { directory: DIRECTORY },
    device: numRanks === 1 ? 'cpu' : CORES.slice(0, numRanks).map((core) => `cpu:${core}`),
    weightDtype: 'auto',
    quantize,
    kvCacheDtype,
    activationDtype,
    blockSize: BLOCK_SIZE,
    kvCacheBytes: CACHE_BYTES,
    maxNumBatchedTokens: 1024,
  });
}

for (const numbers of NUMBERS) {
  const { activationDtype, quantize, kvCacheDtype, numRanks = 1 } = numbers;
  const weights = quantize === 'none' ? '' : ` and weights of ${quantize}`;
  const cache = kvCacheDtype === 'auto' ? '' : ` and a KV cache of ${kvCacheDtype}`;
  const group = numRanks === 1 ? '' : ` on ${numRanks} devices`;
  const skip = CORES.length < numRanks && `this process has ${CORES.length} cores`;
  const what = `phone-nano in ${activationDtype}${weights}${cache}${group}`;
  describe(`${what}, through steps over paged blocks`, { skip }, () => {
    let decoder: Decoder;
    let cases: readonly GoldenCase[];
    /** Answers of `cases`, each prefilled whole and alone. */
    const whole: Answer[] = [];
    before(async () => {
      decoder = await openDecoder(numbers);
      const golden = JSON.parse(await readFile(join(DIRECTORY, 'golden.json'), 'utf8'));
      cases = readCases(golden).filter(({ content }) => content.every((p) => p.type === 'text'));
      assert.ok(cases.length >= 14, 'the golden file has text cases');
      for (const golden of cases) {
        whole.push(await answer(decoder, golden, { chunkSize: 1024, others: [] }));
      }
    });
    after(() => decoder.close());

    if (quantize === 'none' && kvCacheDtype === 'auto') {
      it('answers every text prompt with the tokens of the reference', () => {
        for (const [i, golden] of cases.entries()) {
          assert.deepEqual(whole[i]?.tokens, golden.tokens, golden.name);
        }
      });
    } else if (quantize === 'none') {
      it('takes a byte a number and a scale a row for the cache, and answers most prompts like the reference', () => {
        const { numBlocks } = decoder.description;
        const isSame = (i: number) => whole[i]?.tokens.join() === cases[i]?.tokens.join();
        const numSame = cases.filter((_, i) => isSame(i)).length;

        assert.equal(decoder.description.kvCacheDtype, 'int8');
        assert.equal(
          numBlocks,
          Math.floor(CACHE_BYTES / blockBytes({ rowBytes: SHAPE.headDim + 4 })),
        );
        assert(numSame >= 0.9 * cases.length, ` of  answers are equal`);
      });
    } else {
      it('takes less memory for the weights and answers most prompts like the reference', () => {
        const { quantization, weightBytes } = decoder.description;
        const isSame = (i: number) => whole[i]?.tokens.join() === cases[i]?.tokens.join();
        const numSame = cases.filter((_, i) => isSame(i)).length;

        assert(quantization.startsWith(quantize) && !quantization.includes('head'), quantization);
        assert(weightBytes < 0.6 * MODEL_BYTES, `${weightBytes} bytes`);
        assert(numSame >= 0.7 * cases.length, `${numSame} of ${cases.length} answers are equal`);
      });
    }

    for (const chunkSize of [1, 3, 17]) {
      it(`gives the same bits when prompts are cut into chunks of ${chunkSize}`, async () => {
        for (const [i, golden] of cases.entries()) {
          const chunked = await answer(decoder, golden, { chunkSize, others: [] });

          assert.deepEqual(chunked, whole[i], golden.name);
        }
      });
    }

    it('gives the same bits in a batch of 32 others', async () => {
      for (const [index, golden] of cases.slice(0, 4).entries()) {
        const others = Array.from({ length: 32 }, (_, i) => {
          const promptIds = cases[(i + 5) % cases.length]?.promptIds ?? [];
          return new PagedSequence(promptIds.slice(0, 1 + (i % promptIds.length)), i + 1);
        });

        const batched = await answer(decoder, golden, { chunkSize: 1024, others });

        assert.deepEqual(batched, whole[index], golden.name);
      }
    });
  });
}
