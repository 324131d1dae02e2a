import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type AnswerText, answerText } from '#mesh/answer/answer-text.ts';

const TAP = 'do(action="Tap", element=[500,120])';

/** Answers as models write them, and what is shown of them. */
const WHOLE: readonly (readonly [string, string, AnswerText])[] = [
  ['plain words', 'Hello.', { thoughts: '', words: 'Hello.' }],
  ['nothing', '', { thoughts: '', words: '' }],
  ['an answer', `<answer>${TAP}</answer>`, { thoughts: '', words: TAP }],
  ['an answer whose end tag stops the model', `<answer>${TAP}`, { thoughts: '', words: TAP }],
  [
    'thoughts and an answer',
    `<think>The icon is on top.</think>\n<answer>${TAP}</answer>`,
    { thoughts: 'The icon is on top.', words: TAP },
  ],
  [
    'thoughts that the prompt has opened',
    `The icon is on top.</think><answer>${TAP}</answer>`,
    { thoughts: 'The icon is on top.', words: TAP },
  ],
  ['thoughts without an end', '\n<think>Let me see', { thoughts: 'Let me see', words: '' }],
  ['no thoughts', '<think></think>Hello.', { thoughts: '', words: 'Hello.' }],
  [
    'words before the answer',
    `I see it.\n<answer>${TAP}</answer>`,
    { thoughts: '', words: `I see it.\n${TAP}` },
  ],
  ['words behind the answer', '<answer>42</answer>\nDone.', { thoughts: '', words: '42\nDone.' }],
  ['a box', 'It is <|begin_of_box|>42<|end_of_box|>.', { thoughts: '', words: 'It is 42.' }],
  [
    'words about the tag',
    'Write <answer>42</answer> there.',
    { thoughts: '', words: 'Write <answer>42</answer> there.' },
  ],
  ['something like a tag', 'a <answ', { thoughts: '', words: 'a <answ' }],
  ['a comparison', 'a <', { thoughts: '', words: 'a <' }],
];

describe('answerText', () => {
  for (const [what, content, shown] of WHOLE) {
    it(`reads ${what}`, () => {
      assert.deepEqual(answerText(content, { isUnfinished: false }), shown);
    });
  }

  it('shows no part of a tag while an answer comes, wherever it is cut', () => {
    const content = `<think>The icon.</think>\n<answer>${TAP}</answer>`;

    for (let length = 0; length <= content.length; length++) {
      const { thoughts, words } = answerText(content.slice(0, length), { isUnfinished: true });

      assert('The icon.'.startsWith(thoughts), `${length}: ${thoughts}`);
      assert(TAP.startsWith(words), `${length}: ${words}`);
    }
  });

  it('shows no part of a box while it comes', () => {
    const content = '<|begin_of_box|>42<|end_of_box|>';

    for (let length = 0; length <= content.length; length++) {
      const { words } = answerText(content.slice(0, length), { isUnfinished: true });

      assert('42'.startsWith(words), `${length}: ${words}`);
    }
  });

  it('shows a bracket in the middle while an answer comes', () => {
    assert.equal(answerText('a < b', { isUnfinished: true }).words, 'a < b');
  });
});
