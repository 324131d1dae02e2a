import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PatternAutomaton } from '#backbone/engine/pattern-automaton.ts';

function units(text: string): number[] {
  return Array.from(text, (char) => char.charCodeAt(0));
}

/** Returns, for each character of a text, the patterns that end there. */
function endsIn(text: string, patterns: readonly string[]): string[][] {
  const automaton = new PatternAutomaton(patterns.map(units));
  let state = 0;
  return units(text).map((unit) => {
    state = automaton.next(state, unit);
    const found: string[] = [];
    automaton.forEachEnd(state, (index) => found.push(patterns[index] ?? ''));
    return found;
  });
}

describe('PatternAutomaton', () => {
  it('finds every pattern wherever it ends, the longest first', () => {
    const found = endsIn('ushers', ['he', 'she', 'his', 'hers']);

    assert.deepEqual(found, [[], [], [], ['she', 'he'], [], ['hers']]);
  });

  it('finds the same as a comparison of every pattern at every place', () => {
    let seed = 1;
    const next = (limit: number) => {
      seed = (seed * 48271) % 2147483647;
      return seed % limit;
    };
    const word = (length: number) => Array.from({ length }, () => 'ab'[next(2)]).join('');
    for (let round = 0; round < 50; round++) {
      const patterns = Array.from({ length: 6 }, () => word(next(5)));
      const text = word(40);
      const expected = Array.from(text, (_, i) =>
        patterns.filter((pattern) => text.slice(0, i + 1).endsWith(pattern)).toSorted(),
      );

      assert.deepEqual(
        endsIn(text, patterns).map((found) => found.toSorted()),
        expected,
      );
    }
  });

  it('knows how much of a pattern the units end in', () => {
    const automaton = new PatternAutomaton([units('abab'), units('bb')]);
    const depths: number[] = [];
    let state = 0;
    for (const unit of units('abacabb')) {
      state = automaton.next(state, unit);
      depths.push(automaton.depth(state));
    }

    assert.deepEqual(depths, [1, 2, 3, 0, 1, 2, 2]);
  });

  it('is built in time that the patterns bound, also where they share beginnings', () => {
    const patterns = Array.from({ length: 1024 }, (_, i) => [...Array<number>(127).fill(4), i]);
    const startMs = performance.now();

    const automaton = new PatternAutomaton(patterns);

    assert(performance.now() - startMs < 1000);
    assert.equal(automaton.next(0, 5), 0);
  });
});
