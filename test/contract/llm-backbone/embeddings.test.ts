import assert from 'node:assert/strict';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { pino } from 'pino';
import { loadDecoder } from '#backbone/load-decoder.ts';
import { type EmbeddingOptions, Pooling } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import { GoldenTensors } from '#test/parity/golden-tensors.ts';
import { refusal } from '#test/refusal.ts';
import { until } from '#test/unit/encoder/doubles.ts';
import { ids } from '#test/unit/llm-backbone/engine/scheduling.ts';
import { FakeDecoder } from '#test/unit/llm-backbone/fake-decoder.ts';
import { collect } from '#test/unit/llm-backbone/test-engine.ts';
import { MODEL, requestsOf, startBackboneOver, startTestBackbone } from './harness.ts';

type Client = Awaited<ReturnType<typeof startTestBackbone>>['client'];
type Options = Partial<EmbeddingOptions>;

function startOf(tokenIds: readonly number[], embedding: Options, sampling = {}) {
  const form = { $case: 'tokens' as const, value: { tokenIds: [...tokenIds] } };
  return { prompt: { form }, embedding, sampling };
}

/** Returns the embedding of a prompt. */
async function embed(client: Client, tokenIds: readonly number[], embedding: Options) {
  const { events } = await collect(client.generate(requestsOf(startOf(tokenIds, embedding))));
  assert.deepEqual(
    events.map(({ $case }) => $case),
    ['accepted', 'embedding', 'finished'],
  );
  const values = events.flatMap((event) =>
    event.$case === 'embedding' ? [event.value.values] : [],
  )[0];
  const data = Buffer.from(values?.data ?? []);
  assert.deepEqual(values?.shape, [data.length / 4]);
  return Float32Array.from({ length: data.length / 4 }, (_, i) => data.readFloatLE(4 * i));
}

function normalized(values: readonly number[]): number[] {
  const norm = Math.hypot(...values);
  return values.map((one) => one / norm);
}

function assertClose(actual: Float32Array, expected: readonly number[], tolerance: number): void {
  assert.equal(actual.length, expected.length);
  const furthest = Math.max(...expected.map((one, i) => Math.abs(one - (actual[i] ?? NaN))));
  assert.ok(furthest < tolerance, `${furthest} away`);
}

describe('embeddings of a checkpoint', () => {
  const log = pino({ level: 'silent' });
  let golden: GoldenTensors;
  let backbone: Awaited<ReturnType<typeof startBackboneOver>>;
  before(async () => {
    golden = await GoldenTensors.read(join(MODEL, 'golden.safetensors'));
    const values = { dtype: 'float32', kvCacheGb: 0.05, maxNumBatchedTokens: 64 } as const;
    const load: Parameters<typeof startBackboneOver>[0] = (options, files) =>
      loadDecoder(options, files, log);
    backbone = await startBackboneOver(load, values, log);
  });
  after(() => backbone?.close());

  it("are the reference's hidden states after the final norm, pooled", async () => {
    for (const prompt of ['prompt0', 'prompt1']) {
      const tokenIds = [...golden.get(`${prompt}.ids`).values];
      const { shape, values } = golden.get(`${prompt}.hidden3`);
      const [numTokens = 0, width = 0] = shape;
      const rows = Array.from({ length: numTokens }, (_, row) => [
        ...values.subarray(row * width, (row + 1) * width),
      ]);
      const mean = Array.from({ length: width }, (_, i) =>
        rows.reduce((sum, row) => sum + (row[i] ?? 0) / numTokens, 0),
      );

      const last = await embed(backbone.client, tokenIds, {});
      const raw = await embed(backbone.client, tokenIds, { normalize: false });
      const meanRaw = await embed(backbone.client, tokenIds, {
        pooling: Pooling.POOLING_MEAN,
        normalize: false,
      });

      assertClose(raw, rows.at(-1) ?? [], 1e-3);
      assertClose(meanRaw, mean, 1e-3);
      assertClose(last, normalized(rows.at(-1) ?? []), 2e-4);
    }
  });

  it('have the same bits whatever runs beside them, cached or in chunks', async () => {
    const tokenIds = ids(100, 150);
    for (const pooling of [Pooling.POOLING_LAST, Pooling.POOLING_MEAN]) {
      const alone = await embed(backbone.client, tokenIds, { pooling });
      const [beside] = await Promise.all([
        embed(backbone.client, tokenIds, { pooling }),
        embed(backbone.client, ids(300, 90), { pooling }),
        embed(backbone.client, ids(400, 31), {}),
      ]);

      assert.deepEqual(beside, alone);
    }
  });
});

describe('a request for an embedding', () => {
  let backbone: Awaited<ReturnType<typeof startTestBackbone>> | undefined;
  afterEach(() => backbone?.close());

  it('may fill the whole context', async () => {
    backbone = await startTestBackbone();

    const embedding = await embed(backbone.client, ids(0, 512), { normalize: false });

    assert.deepEqual([...embedding], [511, 511]);
  });

  it('is refused if it asks for tokens, several choices, or dimensions that do not exist', async () => {
    backbone = await startTestBackbone();
    const { client } = backbone;
    const ask = (embedding: Options, sampling = {}) =>
      collect(client.generate(requestsOf(startOf([5], embedding, sampling))));

    for (const [field, run] of [
      ['sampling.max_tokens', () => ask({}, { maxTokens: 1 })],
      ['sampling.num_choices', () => ask({}, { numChoices: 2 })],
      ['embedding.dimensions', () => ask({ dimensions: 32 })],
    ] as const) {
      await assert.rejects(run, refusal('INVALID_REQUEST', new RegExp(`^${field}: got`), field));
    }
    assert.equal((await embed(client, [5], {})).length, 2);
  });

  it('may name the dimensions that the checkpoint lists', async () => {
    const model = await mkdtemp(join(tmpdir(), 'matryoshka-'));
    try {
      await cp(MODEL, model, { recursive: true });
      const path = join(model, 'config.json');
      const config: object = JSON.parse(await readFile(path, 'utf8'));
      await writeFile(path, JSON.stringify({ ...config, matryoshka_dimensions: [1, 2] }));
      backbone = await startTestBackbone(new FakeDecoder(), { model });
      const { client } = backbone;

      assert.deepEqual([...(await embed(client, [5], { dimensions: 1 }))], [1]);
      await assert.rejects(
        embed(client, [5], { dimensions: 3 }),
        refusal('INVALID_REQUEST', /got 3, allowed is 1, 2/, 'embedding.dimensions'),
      );
    } finally {
      await rm(model, { recursive: true });
    }
  });

  it('frees everything when its caller leaves', async () => {
    const decoder = new FakeDecoder();
    backbone = await startTestBackbone(decoder);
    const { client, backbone: process } = backbone;
    const release = decoder.hold();
    const leaving = new AbortController();
    const start = startOf(ids(0, 400), { pooling: Pooling.POOLING_MEAN });
    const asked = collect(client.generate(requestsOf(start), { signal: leaving.signal }));
    await until(() => process.scheduler.running.length > 0);

    leaving.abort();
    release();

    await assert.rejects(asked);
    await until(() => process.scheduler.pool.numFree === 64);
  });
});
