import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkItemCounts, parseItemLimits } from '#gateway/media/item-limits.ts';
import type { MediaReference } from '#gateway/openai/request/media-reference.ts';
import type { MediaModality } from '#mesh/modality.ts';
import { refusalOf } from '#test/refusal.ts';

describe('parseItemLimits', () => {
  for (const [text, image, audio] of [
    ['', 10, 10],
    ['{"image":3,"audio":1}', 3, 1],
    ['{"image": 0}', 0, 10],
    [' { } ', 10, 10],
    ['image=3', 3, 10],
    ['image=3,audio=0', 3, 0],
    [' audio = 2 , image = 4 ', 4, 2],
  ] as const) {
    it(`reads "${text}"`, () => {
      assert.deepEqual(parseItemLimits(text), { image, audio });
    });
  }

  for (const [text, message] of [
    ['{"image":', /not valid JSON/],
    ['{"video":1}', /"video" is not a modality/],
    ['{"image":"3"}', /image must be an integer from 0, got 3/],
    ['{"image":1.5}', /got 1.5/],
    ['{"image":-1}', /got -1/],
    ['image', /image must be an integer/],
    ['image=many', /got many/],
    ['image=-1', /got -1/],
    ['10', /"10" is not a modality/],
  ] as const) {
    it(`refuses "${text}", naming the key`, () => {
      const error = refusalOf(() => parseItemLimits(text));

      assert.equal(error.reason, 'INVALID_REQUEST');
      assert.equal(error.param, 'limit-mm-per-prompt');
      assert.match(error.message, message);
    });
  }
});

describe('checkItemCounts', () => {
  const item = (modality: MediaModality, i: number): MediaReference => ({
    modality,
    source: { kind: 'base64', text: '' },
    declaredType: undefined,
    param: `messages[0].content[${i}].${modality}_url.url`,
  });

  it('lets as many pass as the limits say', () => {
    const items = [item('image', 0), item('audio', 1), item('image', 2)];

    assert.doesNotThrow(() => checkItemCounts(items, { image: 2, audio: 1 }));
  });

  it('refuses the first item over the limit, with both numbers', () => {
    const items = [item('audio', 0), item('image', 1), item('audio', 2), item('audio', 3)];
    const error = refusalOf(() => checkItemCounts(items, { image: 1, audio: 1 }));

    assert.equal(error.reason, 'INVALID_REQUEST');
    assert.equal(error.param, 'messages[0].content[2].audio_url.url');
    assert.match(error.message, /has 3 audio items, at most 1 are allowed/);
  });

  it('refuses every item of a modality whose limit is 0', () => {
    assert.match(
      refusalOf(() => checkItemCounts([item('image', 0)], { image: 0, audio: 1 })).message,
      /has 1 image items, at most 0/,
    );
  });
});
