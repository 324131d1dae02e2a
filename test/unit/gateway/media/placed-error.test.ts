import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { placedError } from '#gateway/media/placed-error.ts';
import type { MediaReference } from '#gateway/openai/media-reference.ts';
import { MeshError } from '#mesh/errors.ts';

const PLACE = 'messages[0].content[0].image_url.url';
const REFERENCES: readonly MediaReference[] = [
  {
    modality: 'image',
    source: { kind: 'base64', text: '' },
    declaredType: undefined,
    param: PLACE,
  },
];

describe('placedError', () => {
  for (const [param, message, expected] of [
    ['media[0]', 'media[0] is truncated', `${PLACE} is truncated`],
    ['media[0].options', 'too many pixels', `${PLACE}: too many pixels`],
  ] as const) {
    it(`names the place of ${param}`, () => {
      const details = { param, retryAfterMs: 7 };
      const error = placedError(new MeshError('QUEUE_FULL', message, details), REFERENCES);

      assert(error instanceof MeshError);
      const { reason, retryAfterMs } = error;
      assert.deepEqual([reason, retryAfterMs, error.param], ['QUEUE_FULL', 7, PLACE]);
      assert.equal(error.message, expected);
    });
  }

  for (const error of [
    new MeshError('INVALID_REQUEST', 'other field', { param: 'temperature' }),
    new MeshError('INVALID_REQUEST', 'no such item', { param: 'media[1]' }),
    new MeshError('QUEUE_FULL', 'full'),
    new TypeError('unforeseen'),
  ]) {
    it(`leaves "${error.message}" as it is`, () => {
      assert.equal(placedError(error, REFERENCES), error);
    });
  }
});
