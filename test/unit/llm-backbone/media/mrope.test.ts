import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type ImageRun, mropePositions } from '#backbone/media/mrope.ts';

interface Case {
  readonly name: string;
  readonly numTokens: number;
  readonly runs: readonly ImageRun[];
  readonly t: readonly number[];
  readonly h: readonly number[];
  readonly w: readonly number[];
  readonly delta: number;
}

const cases: readonly Case[] = [
  {
    name: 'advances all axes together over text',
    numTokens: 3,
    runs: [],
    t: [0, 1, 2],
    h: [0, 1, 2],
    w: [0, 1, 2],
    delta: 0,
  },
  {
    name: 'spreads a picture over rows and columns and continues from its larger side',
    numTokens: 14,
    runs: [{ firstToken: 4, numRows: 2, numColumns: 3 }],
    t: [0, 1, 2, 3, 4, 4, 4, 4, 4, 4, 7, 8, 9, 10],
    h: [0, 1, 2, 3, 4, 4, 4, 5, 5, 5, 7, 8, 9, 10],
    w: [0, 1, 2, 3, 4, 5, 6, 4, 5, 6, 7, 8, 9, 10],
    delta: -3,
  },
  {
    name: 'continues from the height of a tall picture',
    numTokens: 4,
    runs: [{ firstToken: 0, numRows: 3, numColumns: 1 }],
    t: [0, 0, 0, 3],
    h: [0, 1, 2, 3],
    w: [0, 0, 0, 3],
    delta: 0,
  },
  {
    name: 'places pictures that follow each other one after another',
    numTokens: 8,
    runs: [
      { firstToken: 0, numRows: 2, numColumns: 2 },
      { firstToken: 4, numRows: 2, numColumns: 2 },
    ],
    t: [0, 0, 0, 0, 2, 2, 2, 2],
    h: [0, 0, 1, 1, 2, 2, 3, 3],
    w: [0, 1, 0, 1, 2, 3, 2, 3],
    delta: -4,
  },
];

describe('mropePositions', () => {
  for (const { name, numTokens, runs, t, h, w, delta } of cases) {
    it(name, () => {
      const result = mropePositions(numTokens, runs);

      assert.deepEqual([...result.positions], [...t, ...h, ...w]);
      assert.equal(result.delta, delta);
    });
  }

  it('gives a phone screenshot of 3354 tokens 86 positions', () => {
    const result = mropePositions(3354, [{ firstToken: 0, numRows: 86, numColumns: 39 }]);

    assert.equal(result.delta, -3268);
  });

  it('refuses a run that reaches past the prompt', () => {
    const run: ImageRun = { firstToken: 1, numRows: 2, numColumns: 2 };

    assert.throws(() => mropePositions(4, [run]), /past the prompt/);
  });

  it('refuses runs that overlap', () => {
    const runs = [
      { firstToken: 0, numRows: 2, numColumns: 2 },
      { firstToken: 3, numRows: 1, numColumns: 1 },
    ];

    assert.throws(() => mropePositions(8, runs), /image run outside the prompt/);
  });
});
