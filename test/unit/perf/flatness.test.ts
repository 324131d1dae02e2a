import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ALLOWED_GROWTH, type Growth, judge } from '#test/perf/soak/flatness.ts';

const { memory, descriptors, delay } = ALLOWED_GROWTH;

/** Makes 60 values of a function of the share of the time, 0 to 1. */
function over(value: (time: number) => number): readonly number[] {
  return Array.from({ length: 60 }, (_, i) => value(i / 59));
}

function isFlat(values: readonly number[], allowed: Growth) {
  return judge({ name: 'x', unit: '', values, allowed }).isFlat;
}

describe('the rule for a flat quantity', () => {
  it('calls a steady one flat, whatever it does while it warms up', () => {
    assert(
      isFlat(
        over(() => 200),
        memory,
      ),
    );
    assert(
      isFlat(
        over((time) => (time < 0.2 ? 1000 * time : 200)),
        memory,
      ),
    );
  });

  it('refuses memory that grows without end', () => {
    assert(
      !isFlat(
        over((time) => 200 + 150 * time),
        memory,
      ),
    );
    assert(
      !isFlat(
        over((time) => 500 + 300 * time),
        memory,
      ),
    );
  });

  it('refuses one that grows late', () => {
    assert(
      !isFlat(
        over((time) => (time > 0.8 ? 400 : 200)),
        memory,
      ),
    );
  });

  it('does not mind single peaks, or a fall', () => {
    assert(
      isFlat(
        over((time) => (Math.round(time * 59) % 10 === 0 ? 900 : 200)),
        memory,
      ),
    );
    assert(
      isFlat(
        over((time) => 400 - 300 * time),
        memory,
      ),
    );
  });

  it('notices a descriptor lost now and then', () => {
    const lost = judge({
      name: 'x',
      unit: '',
      values: over((time) => 40 + Math.floor(30 * time)),
      allowed: descriptors,
    });

    assert.deepEqual([lost.isFlat, lost.first < lost.last], [false, true]);
  });

  it('notices an event loop that is held longer and longer', () => {
    assert(
      !isFlat(
        over((time) => 5 + 90 * time),
        delay,
      ),
    );
    assert(
      isFlat(
        over((time) => 5 + 10 * time),
        delay,
      ),
    );
  });

  it('judges nothing by too few values, or by one that is missing', () => {
    assert(!isFlat(over(() => 200).slice(0, 11), memory));
    assert(!isFlat([...over(() => 200), Number.NaN], memory));
  });
});
