import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { awayModalities } from '#gateway/routing/away-modalities.ts';
import { Modality } from '#protos/autoglm/common/v1/media.ts';
import { EncoderReadiness } from '#protos/autoglm/mesh/v1/instance.ts';

/** A backbone with encoders, by their numbers that are ready and known. */
function backbone(
  image: readonly [number, number],
  audio: readonly [number, number],
  isReady = true,
) {
  const encoders = [
    { modality: Modality.MODALITY_IMAGE, counts: image },
    { modality: Modality.MODALITY_AUDIO, counts: audio },
  ].map(({ modality, counts: [numReady, numKnown] }) =>
    EncoderReadiness.fromPartial({ modality, numReady, numKnown }),
  );
  return { isReady, facts: { encoders } };
}

describe('awayModalities', () => {
  it('names what has encoders and none that is ready', () => {
    assert.deepEqual(awayModalities([backbone([0, 2], [1, 2])]), ['image']);
    assert.deepEqual(awayModalities([backbone([0, 1], [0, 1])]), ['image', 'audio']);
  });

  it('does not miss what nobody was configured for', () => {
    assert.deepEqual(awayModalities([backbone([1, 1], [0, 0])]), []);
  });

  it('is content with one backbone that can ask an encoder', () => {
    assert.deepEqual(awayModalities([backbone([0, 1], [1, 1]), backbone([1, 1], [0, 1])]), []);
  });

  it('does not count backbones that are away, or tell nothing', () => {
    const silent = { isReady: true, facts: undefined };

    assert.deepEqual(awayModalities([backbone([0, 1], [0, 1], false), silent]), []);
  });
});
