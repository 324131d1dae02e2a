import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { MeshError } from '#mesh/errors.ts';
import { readyEncoders } from '#test/ready-encoders.ts';
import { until } from '#test/unit/encoder/doubles.ts';
import { ids } from '#test/unit/llm-backbone/engine/scheduling.ts';
import { type EncodeScript, encoded, type FakeEncoder, planOf, rowsOf } from './fake-encoder.ts';
import { IMAGE, startMedia } from './media-harness.ts';

const PROMPT = [5, IMAGE, 6];

const numCalls = (encoders: readonly FakeEncoder[]) => encoders.map((one) => one.contents.length);

describe('an encoder that fails repeatedly', () => {
  const broken: EncodeScript = async function* () {
    yield* [];
    throw new MeshError('ENGINE_FAILED', 'the tower broke');
  };

  it('is left out after three failures where there is another', async (test) => {
    const media = await startMedia(test, { numVision: 2 });
    const [bad, good] = media.vision;
    assert(bad && good);
    bad.script = broken;

    for (const n of ids(0, 24)) await media.ask(PROMPT, [`2 cats, ${n}`]);

    assert.deepEqual(numCalls(media.vision), [3, 24]);
    const ejected = (encoder: FakeEncoder) =>
      media.metric('encoder_endpoints_ejected', { encoder: encoder.address });
    assert.deepEqual([await ejected(bad), await ejected(good)], [1, 0]);
    good.health.setServing(false);
    await readyEncoders(media.channel, 1);
    bad.script = encoded;
    const { answers } = await media.ask(PROMPT, ['4 cats']);
    assert.equal(answers[0]?.tokenIds.length, 12, 'it is asked where there is no other');
  });

  it('is asked all the same where max-fails is 0', async (test) => {
    const media = await startMedia(test, { numVision: 2, options: { maxFails: 0 } });
    for (const encoder of media.vision.slice(0, 1)) encoder.script = broken;

    for (const n of ids(0, 24)) await media.ask(PROMPT, [`2 cats, ${n}`]);

    const [numFailed = 0] = numCalls(media.vision);
    assert(numFailed > 3, `${numFailed} of 24`);
  });
});

describe('an encoder that is slower than usual', () => {
  /** Makes the first call for an item hang until it is cancelled. */
  function hangFirst(encoders: readonly FakeEncoder[], content: string): void {
    let isFirst = true;
    for (const encoder of encoders) {
      encoder.script = async function* (call) {
        if (call.bytes.toString() !== content || !isFirst) return yield* encoded(call);
        isFirst = false;
        yield planOf(call);
        yield rowsOf(0, 1);
        await once(call.signal, 'abort');
      };
    }
  }

  it('has its item encoded by another one, and is told to stop', async (test) => {
    const options = { encodeHedge: true };
    const media = await startMedia(test, { numVision: 2, options });
    for (const n of ids(0, 20)) await media.ask(PROMPT, [`2 cats, ${n}`]);
    hangFirst(media.vision, '4 slow cats');

    const { answers, events } = await media.ask(PROMPT, ['4 slow cats'], {
      signal: AbortSignal.timeout(20_000),
    });

    assert.equal(answers[0]?.tokenIds.length, 12);
    const [finished] = events.flatMap((one) => (one.$case === 'finished' ? one.value : []));
    const { stages = [] } = finished ?? {};
    const encodes = stages.filter(({ name }) => name === 'encode');
    assert.deepEqual(
      encodes.map(({ cause }) => cause),
      ['', 'hedge'],
    );
    assert.equal(stages[encodes[1]?.follows ?? -1], encodes[0]);
    const asked = media.vision.map(({ contents }) => contents.includes('4 slow cats'));
    assert.deepEqual(asked, [true, true]);
    await until(() => media.vision.some(({ numCancelled }) => numCancelled > 0));
    assert.equal(await media.metric('encode_hedges', { modality: 'image', result: 'won' }), 1);
    assert.equal(await media.metric('encode_requests', { result: 'cancelled' }), 1);
    assert.equal(await media.metric('encode_requests', { result: 'failed' }), 0);
    assert.equal(await media.metric('media_buffer_bytes'), 0);
  });
});
