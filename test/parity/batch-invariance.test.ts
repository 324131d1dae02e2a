import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { type Decoder, loadDecoder } from '#native';
import { type GoldenCase, readCases } from './golden-cases.ts';
import { PagedSequence, planOf } from './paged-sequence.ts';

const DIRECTORY = join(PACKAGE_ROOT, 'deploy/models/phone-nano');
/** Number of ids of the tokenizer; phone-nano's vocabulary has no padding rows. */
const VOCAB_LIMIT = 1490;
const BLOCK_SIZE = 16;

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

function openDecoder(activationDtype: 'float32' | 'bfloat16'): Promise<Decoder> {
  return loadDecoder({
    model: { directory: DIRECTORY },
    device: 'cpu',
    weightDtype: 'auto',
    activationDtype,
    blockSize: BLOCK_SIZE,
    kvCacheBytes: 512 * 1024 * 1024,
    maxNumBatchedTokens: 1024,
  });
}

for (const activationDtype of ['float32', 'bfloat16'] as const) {
  describe(`phone-nano in ${activationDtype}, through steps over paged blocks`, () => {
    let decoder: Decoder;
    let cases: readonly GoldenCase[];
    /** Answers of `cases`, each prefilled whole and alone. */
    const whole: Answer[] = [];
    before(async () => {
      decoder = await openDecoder(activationDtype);
      const golden = JSON.parse(await readFile(join(DIRECTORY, 'golden.json'), 'utf8'));
      cases = readCases(golden).filter(({ content }) => content.every((p) => p.type === 'text'));
      assert.ok(cases.length >= 14, 'the golden file has text cases');
      for (const golden of cases) {
        whole.push(await answer(decoder, golden, { chunkSize: 1024, others: [] }));
      }
    });
    after(() => decoder.close());

    it('answers every text prompt with the tokens of the reference', () => {
      for (const [i, golden] of cases.entries()) {
        assert.deepEqual(whole[i]?.tokens, golden.tokens, golden.name);
      }
    });

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
