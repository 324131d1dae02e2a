import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Emit } from '#backbone/output/output-stage.ts';
import { StopMatcher, type StopMatcherOptions } from '#backbone/output/stop-matcher.ts';

const always = () => true;

function run(
  stops: readonly string[],
  pieces: readonly string[],
  { includeStopString = false, mayStop = always }: Partial<StopMatcherOptions> = {},
) {
  const matcher = new StopMatcher(stops, { includeStopString, mayStop });
  const emitted: string[] = [];
  const textOf = (work: (emit: Emit) => void) => {
    const texts: string[] = [];
    work(({ text }) => texts.push(text));
    return texts.join('');
  };
  const stopString = () =>
    matcher.end !== null && 'stopString' in matcher.end ? matcher.end.stopString : null;
  for (const text of pieces) {
    emitted.push(textOf((emit) => matcher.push({ channel: 'content', text }, emit)));
    if (matcher.end !== null) return { emitted, stopString: stopString() };
  }
  return { emitted: [...emitted, textOf((emit) => matcher.flush(emit))], stopString: stopString() };
}

describe('StopMatcher', () => {
  const cases = [
    {
      name: 'passes text through without stop strings',
      stops: [],
      pieces: ['ab', 'c'],
      emitted: ['ab', 'c', ''],
      stop: null,
    },
    {
      name: 'cuts at a stop string inside a piece',
      stops: ['END'],
      pieces: ['abENDcd'],
      emitted: ['ab'],
      stop: 'END',
    },
    {
      name: 'finds a stop string across pieces',
      stops: ['END'],
      pieces: ['aE', 'N', 'Db'],
      emitted: ['a', '', ''],
      stop: 'END',
    },
    {
      name: 'releases what did not become a stop string',
      stops: ['END'],
      pieces: ['aEN', 'X'],
      emitted: ['a', 'ENX', ''],
      stop: null,
    },
    {
      name: 'holds back the shortest text it must',
      stops: ['aab'],
      pieces: ['aaa', 'c'],
      emitted: ['a', 'aac', ''],
      stop: null,
    },
    {
      name: 'flushes what is held back at the end',
      stops: ['END'],
      pieces: ['aEN'],
      emitted: ['a', 'EN'],
      stop: null,
    },
    {
      name: 'takes the match that is complete first',
      stops: ['abcd', 'c'],
      pieces: ['abcd'],
      emitted: ['ab'],
      stop: 'c',
    },
    {
      name: 'takes the longer of two complete at the same place',
      stops: ['d', 'cd'],
      pieces: ['abcd'],
      emitted: ['ab'],
      stop: 'cd',
    },
  ] as const;
  for (const { name, stops, pieces, emitted, stop } of cases) {
    it(name, () => {
      assert.deepEqual(run(stops, pieces), { emitted: [...emitted], stopString: stop });
    });
  }

  it('keeps the stop string in the text where asked to', () => {
    assert.deepEqual(run(['END'], ['aEN', 'Db'], { includeStopString: true }), {
      emitted: ['a', 'END'],
      stopString: 'END',
    });
  });

  it('matches nothing of the text before it may stop', () => {
    let numAsked = 0;
    const mayStop = () => ++numAsked > 2;

    assert.deepEqual(run(['END'], ['END', 'EN', 'D', 'END'], { mayStop }), {
      emitted: ['END', 'EN', 'D', ''],
      stopString: 'END',
    });
  });

  it('emits nothing once it has stopped', () => {
    const texts: string[] = [];
    const emit: Emit = ({ text }) => texts.push(text);
    const matcher = new StopMatcher(['END'], { includeStopString: false, mayStop: always });

    matcher.push({ channel: 'content', text: 'aEND' }, emit);
    matcher.push({ channel: 'content', text: 'b' }, emit);
    matcher.flush(emit);

    assert.deepEqual(texts, ['a']);
  });

  it('gives the same text however it is cut', () => {
    const text = 'one stop or two stoppers, then STOP it';
    for (let cut = 0; cut <= text.length; cut++) {
      for (let second = cut; second <= text.length; second++) {
        const pieces = [text.slice(0, cut), text.slice(cut, second), text.slice(second)];
        const { emitted, stopString } = run(['stopper', 'STOP'], pieces);
        assert.equal(emitted.join(''), 'one stop or two ', `cut at ${cut} and ${second}`);
        assert.equal(stopString, 'stopper');
      }
    }
  });

  it('takes as long for a token whatever the stop strings nearly match', () => {
    // Comparing every beginning again for each token takes 64 × 1023 comparisons per token.
    const almost = Array.from({ length: 63 }, (_, i) => `${'x'.repeat(i + 1)}${'a'.repeat(960)}b`);
    const startMs = performance.now();

    const { emitted, stopString } = run(
      [`${'a'.repeat(1023)}b`, ...almost],
      Array(20_000).fill('a'),
    );

    assert.equal(stopString, null);
    assert.equal(emitted.join(''), 'a'.repeat(20_000));
    assert(performance.now() - startMs < 2000);
  });
});
