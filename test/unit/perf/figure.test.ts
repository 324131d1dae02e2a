import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatFigure, meanOf, ratioOf } from '#test/perf/figure.ts';

describe('meanOf', () => {
  it('is surer the more measurements there are', () => {
    const few = meanOf([9, 11]);
    const many = meanOf(Array.from({ length: 200 }, (_, i) => (i % 2 === 0 ? 9 : 11)));

    assert.equal(few.value, 10);
    assert.equal(many.value, 10);
    assert(few.spread.high > 11);
    assert(many.spread.high < 10.2 && many.spread.low > 9.8);
  });
});

describe('ratioOf', () => {
  it('is not troubled by what troubles both of a pair', () => {
    const others = [10, 30, 10, 25, 12];

    const { value, spread } = ratioOf(
      others.map((one) => 1.02 * one),
      others,
    );

    assert(Math.abs(value - 1.02) < 1e-9);
    assert(spread.high - spread.low < 1e-9);
  });

  it('says how little unlike pairs tell', () => {
    const { spread } = ratioOf([9, 12, 10, 9], [10, 9, 12, 10]);

    assert(spread.low < 1 && spread.high > 1);
  });
});

describe('formatFigure', () => {
  it('shows between what the true value lies', () => {
    const figure = { name: 'added', value: 1.25, spread: { low: -0.5, high: 2 }, unit: '%' };

    assert.equal(formatFigure(figure, false), `${'added'.padEnd(48)}       1.25 %  (-0.500 to 2)`);
  });
});
