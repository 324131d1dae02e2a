import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ItemShape, MediaIdentity } from '#backbone/media/media-item.ts';
import {
  cutFront,
  expandPlaceholders,
  findPlaceholders,
  rotaryPositions,
} from '#backbone/prompt/media-prompt.ts';
import type { MediaModality } from '#mesh/modality.ts';
import { refusal } from '#test/refusal.ts';

const [IMAGE, AUDIO] = [101, 102];
const syntax = { placeholderIds: { image: IMAGE, audio: AUDIO }, mergeSize: 2, hasMrope: true };

function itemsOf(...modalities: MediaModality[]): MediaIdentity[] {
  return modalities.map((modality, i) => ({
    modality,
    key: `item${i}`,
    mediaType: '',
    contentHash: Buffer.alloc(32),
    sizeBytes: 1,
    options: undefined,
    cacheSalt: '',
  }));
}

function shapeOf(h: number, w: number): ItemShape {
  return { numRows: (h * w) / 4, durationMs: 0, grid: { t: 1, h, w } };
}

describe('expandPlaceholders with a long prompt', () => {
  it('keeps 300,000 tokens before and behind an item', () => {
    const text = Array<number>(300_000).fill(7);
    const items = itemsOf('image');
    const placeholders = [{ token: 300_000, mediaIndex: 0 }];

    const { tokenIds } = expandPlaceholders([...text, IMAGE, ...text], placeholders, {
      items,
      shapes: [shapeOf(4, 4)],
    });

    assert.equal(tokenIds.length, 600_004);
  });
});

describe('findPlaceholders', () => {
  it('pairs each kind in the order the prompt names its items', () => {
    const items = itemsOf('image', 'audio', 'image');

    const found = findPlaceholders([1, IMAGE, 2, AUDIO, IMAGE], syntax, {
      items,
      references: [2, 1, 0],
    });

    assert.deepEqual(found, [
      { token: 1, mediaIndex: 2 },
      { token: 3, mediaIndex: 1 },
      { token: 4, mediaIndex: 0 },
    ]);
  });

  it('lets a prompt show one item twice', () => {
    const items = itemsOf('image');

    const found = findPlaceholders([IMAGE, IMAGE], syntax, { items, references: [0, 0] });

    assert.deepEqual(
      found.map(({ mediaIndex }) => mediaIndex),
      [0, 0],
    );
  });

  it('refuses a placeholder without an item', () => {
    const media = { items: itemsOf('image'), references: [0] };

    assert.throws(
      () => findPlaceholders([IMAGE, IMAGE], syntax, media),
      refusal('INVALID_REQUEST', /2 placeholders for image items and names 1/, 'prompt'),
    );
  });

  it('refuses an item the template left out', () => {
    const media = { items: itemsOf('audio'), references: [0] };

    assert.throws(
      () => findPlaceholders([1, 2], syntax, media),
      refusal('INVALID_REQUEST', /0 placeholders for audio items and names 1/, 'prompt'),
    );
  });
});

describe('expandPlaceholders', () => {
  const items = itemsOf('image', 'audio');
  const shapes = [shapeOf(4, 6), { ...shapeOf(8, 1), numRows: 2 }];
  const placeholders = [
    { token: 1, mediaIndex: 1 },
    { token: 3, mediaIndex: 0 },
  ];
  const expanded = expandPlaceholders([7, AUDIO, 8, IMAGE, 9], placeholders, { items, shapes });

  it('repeats each placeholder once for every row', () => {
    const image = Array(6).fill(IMAGE);

    assert.deepEqual(expanded.tokenIds, [7, AUDIO, AUDIO, 8, ...image, 9]);
    assert.deepEqual(expanded.placeholders, [
      { firstToken: 1, numTokens: 2, modality: 'audio', mediaIndex: 1, itemKey: 'item1' },
      { firstToken: 4, numTokens: 6, modality: 'image', mediaIndex: 0, itemKey: 'item0' },
    ]);
  });

  it('gives pictures three rotary axes, and audio those of text', () => {
    const rotary = rotaryPositions(expanded, shapes, syntax);

    const n = expanded.tokenIds.length;
    const axis = (i: number) => [...(rotary?.positions.subarray(i * n, (i + 1) * n) ?? [])];
    assert.deepEqual(axis(0), [0, 1, 2, 3, 4, 4, 4, 4, 4, 4, 7]);
    assert.deepEqual(axis(1), [0, 1, 2, 3, 4, 4, 4, 5, 5, 5, 7]);
    assert.deepEqual(axis(2), [0, 1, 2, 3, 4, 5, 6, 4, 5, 6, 7]);
    assert.equal(rotary?.delta, -3);
  });

  it('needs no positions without pictures, or where the model has one axis', () => {
    assert.equal(rotaryPositions({ tokenIds: [1], placeholders: [] }, shapes, syntax), null);
    assert.equal(rotaryPositions(expanded, shapes, { ...syntax, hasMrope: false }), null);
  });

  it('refuses rows that do not fill the grid', () => {
    assert.throws(
      () => rotaryPositions(expanded, [shapeOf(4, 4), shapeOf(4, 4)], syntax),
      refusal('ENGINE_FAILED', /plans 6 rows for a grid of 4×4/),
    );
  });

  it('shifts the items when the front is cut', () => {
    const cut = cutFront(expanded, 1);

    assert.equal(cut.tokenIds.length, expanded.tokenIds.length - 1);
    assert.deepEqual(
      cut.placeholders.map(({ firstToken }) => firstToken),
      [0, 3],
    );
  });

  it('refuses to cut an item', () => {
    assert.throws(
      () => cutFront(expanded, 2),
      refusal(
        'INVALID_REQUEST',
        /last 9 of 11 tokens would cut media item 1/,
        'prompt.max_prompt_tokens',
      ),
    );
  });
});
