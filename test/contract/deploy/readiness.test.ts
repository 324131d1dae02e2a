import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { encodersSettled } from '#deploy/local/readiness.ts';
import type { MediaModality } from '#mesh/modality.ts';
import { Modality } from '#protos/autoglm/common/v1/media.ts';
import { EncoderReadiness } from '#protos/autoglm/mesh/v1/instance.ts';
import { ScriptedInstance, statusOf } from '#test/scripted-instance.ts';

const ONE_EACH: readonly MediaModality[] = ['image', 'audio'];

/**
 * Starts a backbone that counts this many encoders of each modality; it ends with the test.
 */
async function startBackbone(test: TestContext) {
  let encoders: EncoderReadiness[] = [];
  const status = statusOf({}, { encoders: () => encoders });
  const instance = await new ScriptedInstance({ status }).start();
  test.after(() => instance.stop());
  const count = (image: Partial<EncoderReadiness>, audio: Partial<EncoderReadiness>) => {
    encoders = [
      EncoderReadiness.fromPartial({ modality: Modality.MODALITY_IMAGE, numKnown: 2, ...image }),
      EncoderReadiness.fromPartial({ modality: Modality.MODALITY_AUDIO, numKnown: 2, ...audio }),
    ];
    status.changes.notify();
  };
  return { instance, count };
}

/** Waits for encoders; `isOver` tells whether the wait has ended. */
function waitFor(
  address: string,
  modalities: readonly MediaModality[],
  abort = new AbortController(),
) {
  const wait = {
    isOver: false,
    refusals: encodersSettled(address, { modalities, signal: abort.signal }),
  };
  wait.refusals.then(
    () => {
      wait.isOver = true;
    },
    () => {},
  );
  return wait;
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('The wait for encoders', { timeout: 20_000 }, () => {
  it('ends when the backbone says that it can ask them all', async (test) => {
    const { instance, count } = await startBackbone(test);
    count({}, { numReady: 1 });

    const wait = waitFor(instance.address, ONE_EACH);
    count({ numReady: 1 }, {});
    await turn();
    assert.equal(wait.isOver, false);
    count({ numReady: 1 }, { numReady: 1 });

    assert.equal((await wait.refusals).size, 0);
  });

  it('does not take two encoders of one kind for one of each', async (test) => {
    const { instance, count } = await startBackbone(test);
    count({ numReady: 2 }, {});

    const wait = waitFor(instance.address, ONE_EACH);
    await turn();
    assert.equal(wait.isOver, false);
    count({ numReady: 2 }, { numReady: 1 });

    await wait.refusals;
  });

  it('ends with the reason when the backbone refuses one', async (test) => {
    const { instance, count } = await startBackbone(test);
    count({ numRefused: 1, refusal: 'it runs other weights' }, { numReady: 1 });

    const { refusals } = waitFor(instance.address, ONE_EACH);

    assert.deepEqual([...(await refusals)], [['image', 'it runs other weights']]);
  });

  it('goes on when the backbone is started again meanwhile', async (test) => {
    const { instance, count } = await startBackbone(test);
    count({ numReady: 1 }, {});
    const { address } = instance;
    const wait = waitFor(address, ONE_EACH);

    await instance.stop();
    count({ numReady: 1 }, { numReady: 1 });
    await instance.start(address);

    assert.equal((await wait.refusals).size, 0);
  });

  it('ends with the signal', async (test) => {
    const { instance } = await startBackbone(test);
    const abort = new AbortController();
    const { refusals } = waitFor(instance.address, ['image'], abort);
    const aborted = assert.rejects(refusals, { name: 'AbortError' });

    abort.abort();

    await aborted;
  });
});
