import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { actionWords, RawAnswer, WordedAnswer } from '#deploy/cli/chat/answer-view.ts';

const TAP =
  '<think>The camera is at the top.</think><answer>do(action="Tap", element=[833,145])</answer>';

/** Prints an answer that comes in pieces of so many characters. */
function printed(answer: string, size: number, isWhole = true, isColoured = false): string {
  const view = new WordedAnswer({ isColoured });
  let text = '';
  for (let at = 0; at < answer.length; at += size) text += view.take(answer.slice(at, at + size));
  return text + view.end(isWhole);
}

describe('WordedAnswer', () => {
  const cases: readonly (readonly [string, string, string])[] = [
    [
      'an action in words, below the thoughts',
      TAP,
      'The camera is at the top.\n→ Tap at 833, 145 of 1000\n',
    ],
    ['an action alone', '<answer>do(action="Launch", app="微信")</answer>', '→ Launch: 微信\n'],
    ['words without an action', 'I am a phone agent.', 'I am a phone agent.\n'],
    ['words that begin as an action does', 'do not worry; finish it', 'do not worry; finish it\n'],
    ['words before an action', 'First: do(action="Home")', 'First: do(action="Home")\n→ Home\n'],
    ['an action that is none', 'do(this)', 'do(this)\n'],
    ['thoughts whose first tag stood in the prompt', 'Hm.</think>Yes.', 'Hm.\nYes.\n'],
    ['thoughts alone', '<think>Hm.', 'Hm.\n'],
    ['nothing', '', '\n'],
    ['no command for the terminal', 'a\u001b[2Jb\u0007\u009bc\n\td', 'a[2Jbc\n\td\n'],
  ];
  for (const [what, answer, shown] of cases) {
    it(`shows ${what}, in whatever pieces it comes`, () => {
      for (const size of [1, 2, 3, 7, 1000]) assert.equal(printed(answer, size), shown);
    });
  }

  it('shows what has come of an action that was broken off', () => {
    assert.equal(printed('<answer>do(action="Tap", elem', 4, false), 'do(action="Tap", elem\n');
  });

  it('dims thoughts where there are colours', () => {
    const shown = printed('<think>Hm.</think>Yes.', 100, true, true);

    assert.equal(shown, '\u001b[2mHm.\u001b[22m\nYes.\n');
  });
});

describe('RawAnswer', () => {
  it('gives every byte of an answer on as it came', () => {
    const view = new RawAnswer();

    assert.equal(view.take(TAP) + view.end(), `${TAP}\n`);
  });
});

describe('actionWords', () => {
  it('says from where to where a swipe goes', () => {
    const swipe = {
      kind: 'swipe',
      name: 'Swipe',
      from: { x: 1, y: 2 },
      to: { x: 3, y: 4 },
    } as const;

    assert.equal(actionWords(swipe), 'Swipe from 1, 2 to 3, 4 of 1000');
  });
});
