import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatFigure, medianWithSpread } from '#test/perf/figure.ts';

describe('medianWithSpread', () => {
  it('is surer the more measurements there are', () => {
    const few = medianWithSpread([9, 11, 10]);
    const many = medianWithSpread(Array.from({ length: 300 }, (_, i) => 9 + (i % 3)));

    assert.equal(few.value, 10);
    assert.equal(many.value, 10);
    assert(few.spread.low < 9.5 && few.spread.high > 10.5);
    assert(many.spread.high < 10.5 && many.spread.low > 9.5);
  });

  it('is not troubled by what happens to few', () => {
    const { value, spread } = medianWithSpread([10, 11, 9, 10, 11, 9, 10, 11, 9, 10, 1e6]);

    assert.equal(value, 10);
    assert(spread.high <= 11);
  });
});

describe('formatFigure', () => {
  it('shows between what the true value lies', () => {
    const figure = { name: 'added', value: 1.25, spread: { low: -0.5, high: 2 }, unit: '%' };

    assert.equal(formatFigure(figure, false), `${'added'.padEnd(48)}       1.25 %  (-0.500 to 2)`);
  });
});
