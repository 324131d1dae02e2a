import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { pino } from 'pino';
import { readModelFiles } from '#backbone/checkpoint/model-files.ts';
import { backboneOptions } from '#backbone/options.ts';
import { ServedModel } from '#backbone/served-model.ts';
import { BackboneService } from '#backbone/service.ts';
import { MetricRegistry } from '#mesh/metrics.ts';
import { resolveOptions } from '#mesh/options.ts';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { GenerateRequest } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import { samplesOf } from '#test/metric-samples.ts';
import { refusal } from '#test/refusal.ts';
import { until } from '#test/unit/encoder/doubles.ts';
import { FakeDecoder, scripted } from './fake-decoder.ts';
import { collect } from './test-engine.ts';

const MODEL = join(PACKAGE_ROOT, 'test', 'testdata', 'glm4-tiny');
const log = pino({ level: 'silent' });
const { signal } = new AbortController();

/** Serves a model whose every answer is the same four tokens, at the positions after the prompt. */
async function serve(
  test: TestContext,
  registry: MetricRegistry,
  { name, token }: { readonly name: string; readonly token: number },
) {
  const decoder = new FakeDecoder({ nextToken: scripted(Array<number>(16).fill(token)) });
  const options = resolveOptions(backboneOptions, { model: MODEL, servedModelName: [name] });
  const files = await readModelFiles(MODEL, undefined);
  const model = await ServedModel.create(options, decoder.loaded, files, {
    registry,
    log,
    onEncoders: () => {},
  });
  test.after(() => model.close());
  return { model, decoder };
}

async function* requests() {
  const prompt = { form: { $case: 'tokens' as const, value: { tokenIds: [5, 6, 7] } } };
  const start = { prompt, sampling: { temperature: 0, maxTokens: 4 } };
  yield GenerateRequest.fromPartial({ event: { $case: 'start', value: start } });
}

async function ask(service: BackboneService): Promise<readonly number[]> {
  const caller = { signal, peer: '127.0.0.1:5000' };
  const { answers } = await collect(service.generate(requests(), caller));
  return answers[0]?.tokenIds ?? [];
}

/** Returns the values of a metric by model. */
function valuesOf(registry: MetricRegistry, name: string): Record<string, number> {
  return Object.fromEntries(
    samplesOf(registry, name).map(({ labels, value }) => [labels['model_name'] ?? '', value]),
  );
}

describe('a served model', () => {
  it('counts steps that fail, and tells when its engine is dead', async (test) => {
    const registry = new MetricRegistry();
    const { model, decoder } = await serve(test, registry, { name: 'a', token: 40 });
    const service = new BackboneService(model, log);
    assert.deepEqual(await ask(service), [40, 40, 40, 40]);
    assert.deepEqual(valuesOf(registry, 'engine_healthy'), { a: 1 });

    // A step that was begun ahead of one that fails is dropped, whatever becomes of it.
    for (let i = 0; i < 6; i++) decoder.failNext('device is gone');
    const asked = Promise.allSettled([ask(service), ask(service), ask(service), ask(service)]);
    for (let i = 0; i < 3; i++) await ask(service).catch(() => {});
    await asked;

    await assert.rejects(model.done, refusal('ENGINE_DEAD', /3 steps/));
    assert.deepEqual(valuesOf(registry, 'failed_steps'), { a: 3 });
    assert.deepEqual(valuesOf(registry, 'engine_healthy'), { a: 0 });
  });
});

describe('two served models in one process', () => {
  it('answer each for itself', async (test) => {
    const registry = new MetricRegistry();
    const a = await serve(test, registry, { name: 'a', token: 40 });
    const b = await serve(test, registry, { name: 'b', token: 50 });

    const answers = await Promise.all(
      [a, b].map(({ model }) => ask(new BackboneService(model, log))),
    );

    assert.deepEqual(answers, [
      [40, 40, 40, 40],
      [50, 50, 50, 50],
    ]);
    assert.deepEqual(valuesOf(registry, 'generation_tokens'), { a: 4, b: 4 });
    assert.deepEqual(valuesOf(registry, 'engine_healthy'), { a: 1, b: 1 });
  });

  it('take turns without loss: calls end where they began, and later ones go to the second', async (test) => {
    const registry = new MetricRegistry();
    const a = await serve(test, registry, { name: 'a', token: 40 });
    const b = await serve(test, registry, { name: 'b', token: 50 });
    const service = new BackboneService(a.model, log);
    const release = a.decoder.hold();
    const begun = ask(service);
    await until(() => a.model.scheduler.running.length === 1);

    service.current = b.model;
    const drained = a.model.drain(60_000);
    assert.deepEqual(await ask(service), [50, 50, 50, 50]);
    release();

    assert.deepEqual(await begun, [40, 40, 40, 40]);
    await drained;
    await assert.rejects(ask(new BackboneService(a.model, log)), refusal('DRAINING', /no more/));
    assert.deepEqual(await ask(service), [50, 50, 50, 50]);
  });

  it('leave alone: what outlives the drain of one is ended, its decoder freed, the other serves', async (test) => {
    const registry = new MetricRegistry();
    const a = await serve(test, registry, { name: 'a', token: 40 });
    const b = await serve(test, registry, { name: 'b', token: 50 });
    const release = a.decoder.hold();
    const begun = ask(new BackboneService(a.model, log));
    const refused = assert.rejects(begun, refusal('DRAINING', /finishing/));
    await until(() => a.model.scheduler.running.length === 1);

    await a.model.drain(0);
    await a.model.close();
    await refused;
    release();

    await a.model.done;
    await until(() => a.decoder.trace.includes('closed'));
    assert.deepEqual(await ask(new BackboneService(b.model, log)), [50, 50, 50, 50]);
    assert.ok(!b.decoder.trace.includes('closed'));
    assert.deepEqual(valuesOf(registry, 'engine_healthy'), { b: 1 });
  });

  it('count as one where the second has the name of the first', async (test) => {
    const registry = new MetricRegistry();
    const first = await serve(test, registry, { name: 'a', token: 40 });
    await ask(new BackboneService(first.model, log));
    const second = await serve(test, registry, { name: 'a', token: 50 });
    await ask(new BackboneService(second.model, log));
    await first.model.close();

    assert.deepEqual(valuesOf(registry, 'generation_tokens'), { a: 8 });
    assert.deepEqual(valuesOf(registry, 'prefix_cache_queries'), { a: 8 });
    assert.deepEqual(valuesOf(registry, 'num_requests_running'), { a: 0 });
  });
});
