import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { pino } from 'pino';
import { openRowSharing } from '#encoder/row-sharing.ts';
import { createMeshClient, openChannel } from '#mesh/grpc/grpc-client.ts';
import { resolveOptions } from '#mesh/options.ts';
import { type EncoderOptions, EngineError } from '#native';
import { Modality } from '#protos/autoglm/common/v1/media.ts';
import { EncodeHeader, EncodeRequest, EncodeResponse } from '#protos/autoglm/encoder/v1/encoder.ts';
import { InstanceServiceDefinition, InstanceState } from '#protos/autoglm/mesh/v1/instance.ts';
import {
  HealthDefinition,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from '#protos/grpc/health/v1/health.ts';
import { within } from '#test/bounded.ts';
import { FakeClock } from '#test/fake-clock.ts';
import { refusal } from '#test/refusal.ts';
import { FakeEncoder, HIDDEN_SIZE, until } from '#test/unit/encoder/doubles.ts';
import { visionEncoderOptions } from '#vision/options.ts';
import { modelDirectory, pngOf, startSpeech, startVision } from './harness.ts';

describe('an encoder process', () => {
  it('says what it encodes and with which weights', async (test) => {
    const { client } = await startSpeech(test, { options: { maxItemMb: 2 } });

    const model = await client.getModel({});

    assert.equal(model.modality, Modality.MODALITY_AUDIO);
    assert.equal(model.hiddenSize, HIDDEN_SIZE);
    assert.match(model.fingerprint, /^[0-9a-f]{64}$/);
    assert.equal(model.maxItemBytes, 2_000_000n);
    assert.equal(model.maxRows, 100_000);
    assert.equal(model.device, 'cpu:0');
  });

  it('is ready and healthy once its tower has encoded something', async (test) => {
    const tower = new FakeEncoder();
    let tracedAtLoad: readonly string[] = ['unset'];
    const load = async () => {
      tracedAtLoad = [...tower.trace];
      return tower;
    };
    const { process } = await startVision(test, { load });
    const channel = openChannel(process.address, 'tokens');
    test.after(() => channel.close());

    const health = await createMeshClient(HealthDefinition, channel).check({
      service: 'autoglm.encoder.v1.EncoderService',
    });
    const instance = await createMeshClient(InstanceServiceDefinition, channel).getStatus({});

    assert.equal(health.status, ServingStatus.SERVING);
    assert.equal(instance.state, InstanceState.INSTANCE_STATE_READY);
    assert.equal(instance.role, 'vision-encoder');
    assert.deepEqual(tracedAtLoad, []);
    assert.deepEqual(tower.trace, ['encode 1']);
  });

  it('tells watchers what it is, and that it drains', async (test) => {
    const { process, tower } = await startVision(test);
    const channel = openChannel(process.address, 'tokens');
    test.after(() => channel.close());
    const facts = createMeshClient(InstanceServiceDefinition, channel).watch({});
    const watch = facts[Symbol.asyncIterator]();

    const { value: ready } = await watch.next();
    const drained = process.drain(0);
    const { value: draining } = await watch.next();
    await drained;

    assert.equal(ready?.state, InstanceState.INSTANCE_STATE_READY);
    assert.equal(ready.role, 'vision-encoder');
    assert.equal(ready.numerics?.weightDtype, tower.description.weightDtype);
    assert.deepEqual(ready.load, {
      numRunning: 0,
      numWaiting: 0,
      capacity: 32,
      numOutstandingTokens: 0,
      kvCacheUse: 0,
    });
    assert.equal(draining?.state, InstanceState.INSTANCE_STATE_DRAINING);
  });

  it('gives its tower the threads that it may have, and a size from which rows are shared', async (test) => {
    const loaded: EncoderOptions[] = [];
    const load = async (options: EncoderOptions) => {
      loaded.push(options);
      return new FakeEncoder();
    };
    const values = { model: 'x', threads: 3 };
    const log = pino({ level: 'silent' });
    const sharing = openRowSharing(resolveOptions(visionEncoderOptions, values, {}), log);

    await startVision(test, { options: { threads: 3 }, load, sharing });

    assert.deepEqual(
      loaded.map(({ threads, minSharedBytes }) => [threads, minSharedBytes]),
      [[3, 256 * 1024]],
    );
  });

  it('computes in the type of the weights, unless it is told another', async (test) => {
    const loaded: EncoderOptions[] = [];
    const load = async (options: EncoderOptions) => {
      loaded.push(options);
      return new FakeEncoder();
    };
    const model = await modelDirectory(test, { dtype: 'bfloat16' });

    await startVision(test, { options: { model }, load });
    await startVision(test, { options: { model, activationDtype: 'float32' }, load });
    await startVision(test, { load });

    assert.deepEqual(
      loaded.map(({ activationDtype }) => activationDtype),
      ['bfloat16', 'float32', 'float32'],
    );
  });

  it('counts items, rows and cache hits', async (test) => {
    const { process, encode } = await startVision(test);
    const content = await pngOf(3);
    await encode({ header: {}, content });
    await encode({ header: {}, content });
    await assert.rejects(
      encode({ header: {}, content: Buffer.from('no image') }),
      refusal('UNSUPPORTED_MEDIA', /not a PNG/),
    );
    const channel = openChannel(process.address, 'tokens');
    test.after(() => channel.close());

    const { families } = await createMeshClient(InstanceServiceDefinition, channel).getMetrics({});

    const value = (name: string, labels: object = {}) =>
      families
        .find((family) => family.name === name)
        ?.samples.find((sample) => JSON.stringify(sample.labels) === JSON.stringify(labels))?.value;
    assert.equal(value('mm_cache_queries'), 3);
    assert.equal(value('mm_cache_hits'), 1);
    assert.equal(value('encoder_items', { result: 'encoded' }), 1);
    assert.equal(value('encoder_items', { result: 'cache_hit' }), 1);
    assert.equal(value('encoder_items', { result: 'refused' }), 1);
    assert.equal(value('encoder_rows'), 8);
    assert.equal(value('encoder_items_running'), 0);
    assert.equal(value('encoder_queue_depth'), 0);
    assert.equal(value('encoder_cache_bytes'), 4 * HIDDEN_SIZE * 4);
    assert.equal(value('encoder_loaded'), 1);
  });

  it('ends a call at its deadline and stops the tower', async (test) => {
    const { process, encode, tower } = await startVision(test);
    // The decoder has started when an item has passed; the next one reaches the tower in time.
    await encode({ header: {}, content: await pngOf(2) });
    tower.isHeld = true;
    const client = new Client(process.address, credentials.createInsecure());
    test.after(() => client.close());
    const call = client.makeBidiStreamRequest(
      '/autoglm.encoder.v1.EncoderService/Encode',
      (request: EncodeRequest) => Buffer.from(EncodeRequest.encode(request).finish()),
      (bytes) => EncodeResponse.decode(bytes),
      new Metadata(),
      { deadline: Date.now() + 1000 },
    );

    const failure = new Promise<ServiceError>((resolve) => call.on('error', resolve));
    call.on('data', () => {});
    call.write({ event: { $case: 'header', value: EncodeHeader.create() } });
    call.end({ event: { $case: 'chunk', value: await pngOf(1) } });

    assert.equal((await failure).code, status.DEADLINE_EXCEEDED);
    await until(() => tower.trace.includes('abort'));
  });

  it('finishes what runs while it drains, and refuses what comes', async (test) => {
    const { process, encode, tower, client } = await startVision(test);
    tower.isHeld = true;
    const running = encode({ header: {}, content: await pngOf(1) });
    await until(() => tower.trace.length === 1);

    const drained = process.drain(60_000);
    await assert.rejects(
      encode({ header: {}, content: await pngOf(2) }),
      refusal('DRAINING', /shutting down/),
    );
    tower.release();

    assert.deepEqual((await running).values, [1]);
    await within(drained, { what: 'the end of the drain', trace: () => tower.trace });
    assert.deepEqual(tower.trace, ['encode 1', 'close']);
    await assert.rejects(client.getModel({}), refusal('NO_READY_ENDPOINT'));
  });

  it('cancels what still runs when the grace of a drain ends', async (test) => {
    const { process, encode, tower } = await startVision(test);
    tower.isHeld = true;
    const running = encode({ header: {}, content: await pngOf(1) });
    const outcome = assert.rejects(running, refusal('CANCELLED'));
    await until(() => tower.trace.length === 1);

    const drained = process.drain(0);
    await within(drained, { what: 'the end of the drain', trace: () => tower.trace });

    await outcome;
    assert.deepEqual(tower.trace, ['encode 1', 'abort', 'close']);
  });

  it('refuses to start for a model without its tower', async (test) => {
    const model = await modelDirectory(test, { vision_config: undefined });

    await assert.rejects(
      startVision(test, { options: { model } }),
      refusal('INVALID_REQUEST', /config.json has no "vision_config"/),
    );
  });

  it('refuses to start without a readable configuration', async (test) => {
    await assert.rejects(
      startVision(test, { options: { model: '/nonexistent' } }),
      refusal('INVALID_REQUEST', /config.json cannot be read/),
    );
    const model = await modelDirectory(test, { text_config: undefined });
    await assert.rejects(
      startVision(test, { options: { model } }),
      refusal('INVALID_REQUEST', /text_config.hidden_size/),
    );
  });

  it('refuses to start with a tower of another width than the language model', async (test) => {
    const model = await modelDirectory(test, { text_config: { hidden_size: 5 } });

    await assert.rejects(
      startVision(test, { options: { model } }),
      refusal('INVALID_REQUEST', /rows of 8 values, the language model takes 5/),
    );
  });

  it('passes on why a checkpoint cannot be loaded', async (test) => {
    const load = async () => {
      throw new EngineError('INVALID_CHECKPOINT', 'tensor x is missing');
    };

    await assert.rejects(
      startVision(test, { load }),
      refusal('INVALID_REQUEST', /tensor x is missing/),
    );
  });
});

describe('a lazy encoder', () => {
  it('is ready without its tower and loads it at the first item', async (test) => {
    const towers: FakeEncoder[] = [];
    const load = async () => {
      towers.push(new FakeEncoder());
      return towers.at(-1) ?? new FakeEncoder();
    };
    const { client, encode } = await startVision(test, { options: { lazy: true }, load });
    assert.equal(towers.length, 0);
    assert.equal((await client.getModel({})).hiddenSize, HIDDEN_SIZE);

    const answer = await encode({ header: {}, content: await pngOf(4) });

    assert.deepEqual(answer.values, [4]);
    assert.equal(towers.length, 1);
  });

  it('unloads its tower when idle, answers from the cache without it, and loads again', async (test) => {
    const clock = new FakeClock();
    const towers: FakeEncoder[] = [];
    const load = async () => {
      towers.push(new FakeEncoder());
      return towers.at(-1) ?? new FakeEncoder();
    };
    const options = { lazy: true, idleUnloadS: 300 };
    const { encode } = await startVision(test, { options, load, clock });
    const content = await pngOf(4);
    await encode({ header: {}, content });

    clock.advance(300_000);
    await until(() => towers[0]?.trace.includes('close') ?? false);
    assert.equal((await encode({ header: {}, content })).cacheHit, true);
    assert.equal(towers.length, 1);
    await encode({ header: {}, content: await pngOf(5) });

    assert.equal(towers.length, 2);
  });

  it('is away for the item whose load fails, names no path, and tries again for the next', async (test) => {
    let numLoads = 0;
    const load = async () => {
      numLoads += 1;
      if (numLoads === 1) throw new EngineError('INVALID_CHECKPOINT', '/models/x is gone');
      return new FakeEncoder();
    };
    const { encode } = await startVision(test, { options: { lazy: true }, load });

    await assert.rejects(
      encode({ header: {}, content: await pngOf(4) }),
      refusal('NO_READY_ENDPOINT', /^the vision encoder cannot load its model; its log says why$/),
    );

    assert.deepEqual((await encode({ header: {}, content: await pngOf(4) })).values, [4]);
  });

  it('ends in order after a load that failed', async (test) => {
    const load = async () => {
      throw new EngineError('ENGINE_FAILED', 'out of memory');
    };
    const { process, encode } = await startVision(test, { options: { lazy: true }, load });
    await assert.rejects(
      encode({ header: {}, content: await pngOf(4) }),
      refusal('NO_READY_ENDPOINT'),
    );

    await process.drain(0);
  });
});
