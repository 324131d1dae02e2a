import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { waitUntilEncodersReady } from '#deploy/local/readiness.ts';
import { Modality } from '#protos/autoglm/common/v1/media.ts';
import type { EncoderReadiness } from '#protos/autoglm/mesh/v1/instance.ts';
import { ScriptedInstance, statusOf } from '#test/scripted-instance.ts';

/**
 * Starts a backbone that counts this many ready encoders of each modality; it ends with the test.
 */
async function startBackbone(test: TestContext) {
  let encoders: EncoderReadiness[] = [];
  const status = statusOf({}, () => encoders);
  const instance = await new ScriptedInstance({ status }).start();
  test.after(() => instance.stop());
  const count = (numVision: number, numSpeech: number) => {
    encoders = [
      { modality: Modality.MODALITY_IMAGE, numReady: numVision, numKnown: 1 },
      { modality: Modality.MODALITY_AUDIO, numReady: numSpeech, numKnown: 1 },
    ];
    status.changes.notify();
  };
  return { instance, count };
}

describe('The wait for encoders', { timeout: 20_000 }, () => {
  it('ends when the backbone says that it can ask them all', async (test) => {
    const { instance, count } = await startBackbone(test);
    count(0, 1);
    let isOver = false;

    const wait = waitUntilEncodersReady(instance.address, {
      numEncoders: 2,
      signal: new AbortController().signal,
    }).then(() => {
      isOver = true;
    });
    count(1, 0);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(isOver, false);
    count(1, 1);

    await wait;
  });

  it('fails when the backbone ends first', async (test) => {
    const { instance, count } = await startBackbone(test);
    count(1, 0);
    const { signal } = new AbortController();
    const wait = waitUntilEncodersReady(instance.address, { numEncoders: 2, signal });
    const refused = assert.rejects(wait, { name: 'MeshError' });

    await instance.stop();

    await refused;
  });

  it('ends with the signal', async (test) => {
    const { instance } = await startBackbone(test);
    const abort = new AbortController();
    const wait = waitUntilEncodersReady(instance.address, {
      numEncoders: 1,
      signal: abort.signal,
    });
    const aborted = assert.rejects(wait, { name: 'AbortError' });

    abort.abort();

    await aborted;
  });
});
