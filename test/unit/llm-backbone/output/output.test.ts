import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Vocabulary } from '#backbone/checkpoint/vocabulary.ts';
import { ChoiceOutput } from '#backbone/output/output.ts';
import type { ChoiceEnd, Emit, OutputStage, TextPiece } from '#backbone/output/output-stage.ts';
import { type ChoiceOptions, outputStages } from '#backbone/output/output-stages.ts';
import { golden, vocabulary } from '#test/unit/llm-backbone/text-model.ts';

const EOS = vocabulary.addedId('<|user|>') ?? -1;
const ANSWER_END = vocabulary.addedId('</answer>') ?? -1;

function idsOf(text: string): readonly number[] {
  const known = golden.tokens.find((entry) => entry.text === text);
  assert.ok(known, `"${text}" is not among the golden strings`);
  return known.ids;
}

const HELLO = idsOf('Hello, world!');
const CHINESE = idsOf('你好，世界！打开设置。');

const OPTIONS: ChoiceOptions = {
  endRules: { maxTokens: 100, eosTokenIds: new Set([EOS]), stopTokenIds: new Set([ANSWER_END]) },
  minTokens: 0,
  stopStrings: [],
  includeStopString: false,
  skipSpecialTokens: true,
  splitReasoning: false,
  tools: null,
};

function outputOf(options: Partial<ChoiceOptions> = {}, prompt: readonly number[] = []) {
  return new ChoiceOutput({ ...OPTIONS, ...options }, vocabulary, prompt);
}

/** Returns the text of the ids up to the end of the choice. */
function textOf(output: ChoiceOutput, ids: readonly number[]): string {
  let text = '';
  for (const id of ids) {
    if (output.end === null)
      text += output
        .push(id)
        .map((piece) => piece.text)
        .join('');
  }
  return text;
}

describe('ChoiceOutput', () => {
  it('emits the text of an answer', () => {
    assert.equal(textOf(outputOf(), CHINESE), '你好，世界！打开设置。');
  });

  it('ends at an end-of-sequence id without its text', () => {
    const output = outputOf({ skipSpecialTokens: false });

    assert.equal(textOf(output, [...HELLO, EOS]), 'Hello, world!');
    assert.deepEqual(output.end, { reason: 'stop' });
    assert.equal(output.numTokens, HELLO.length + 1);
  });

  it('ends at a stop id without its text and names it', () => {
    const output = outputOf();

    assert.equal(textOf(output, [...HELLO, ANSWER_END]), 'Hello, world!');
    assert.deepEqual(output.end, { reason: 'stop', stopTokenId: ANSWER_END });
  });

  it('ends at maxTokens before a character that it cuts, and counts its token', () => {
    const output = outputOf({
      endRules: { maxTokens: 5, eosTokenIds: new Set(), stopTokenIds: new Set() },
    });

    const text = textOf(output, CHINESE.slice(0, 5));

    assert.equal(text, '你好，世');
    assert.deepEqual(output.end, { reason: 'length' });
    assert.equal(output.numTokens, 5);
  });

  it('keeps the text of a stop id with includeStopString, as that of a stop string', () => {
    const output = outputOf({ includeStopString: true });

    assert.equal(textOf(output, [...HELLO, ANSWER_END]), 'Hello, world!</answer>');
    assert.deepEqual(output.end, { reason: 'stop', stopTokenId: ANSWER_END });
  });

  it('shows an end-of-sequence id with includeStopString only if special tokens are shown', () => {
    const hidden = outputOf({ includeStopString: true });
    const shown = outputOf({ includeStopString: true, skipSpecialTokens: false });

    assert.equal(textOf(hidden, [...HELLO, EOS]), 'Hello, world!');
    assert.equal(textOf(shown, [...HELLO, EOS]), 'Hello, world!<|user|>');
  });

  it('ends at a stop string across tokens', () => {
    const output = outputOf({ stopStrings: ['o, w'] });

    const text = textOf(output, HELLO);

    assert.equal(text, 'Hell');
    assert.deepEqual(output.end, { reason: 'stop', stopString: 'o, w' });
  });

  it('keeps the stop string where asked to', () => {
    assert.equal(
      textOf(outputOf({ stopStrings: ['o, w'], includeStopString: true }), HELLO),
      'Hello, w',
    );
  });

  it('releases a stop string that was only begun when the choice ends', () => {
    assert.equal(textOf(outputOf({ stopStrings: ['world!!'] }), [...HELLO, EOS]), 'Hello, world!');
  });

  it('does not stop at a stop string before minTokens', () => {
    const output = outputOf({ stopStrings: ['l'], minTokens: HELLO.length });

    assert.equal(textOf(output, HELLO), 'Hello, world!');
    assert.equal(output.end, null);
    assert.equal(textOf(output, idsOf('Hello, world!')), 'He');
  });

  it('splits thoughts and counts their tokens', () => {
    const [open, close] = ['<think>', '</think>'].map((tag) => vocabulary.addedId(tag) ?? -1);
    assert.ok(open && close);
    const output = outputOf({ splitReasoning: true });

    const pieces = [open, ...HELLO, close, ...CHINESE, EOS].flatMap((id) => output.push(id));

    const reasoning = pieces.filter((piece) => piece.channel === 'reasoning');
    assert.equal(reasoning.map((piece) => piece.text).join(''), 'Hello, world!');
    assert.equal(output.numReasoningTokens, HELLO.length);
  });

  it('starts in the thoughts where the prompt leaves them open', () => {
    const ids = ['<|assistant|>', '<think>'].map((tag) => vocabulary.addedId(tag) ?? -1);
    const output = outputOf({ splitReasoning: true }, ids);

    assert.equal(output.push(HELLO[0] ?? -1)[0]?.channel, 'reasoning');
  });

  it('splits thoughts even if the tokenizer calls their tags special', () => {
    const tags = ['<think>', '</think>'].map((content, id) => ({ id, content, special: true }));
    const special = new Vocabulary({
      added_tokens: tags,
      model: { vocab: { a: 2, b: 3 } },
      decoder: { type: 'ByteLevel' },
    });
    const output = new ChoiceOutput({ ...OPTIONS, splitReasoning: true }, special, []);

    const pieces = [0, 2, 1, 3].flatMap((id) => output.push(id));

    assert.deepEqual(pieces, [
      { channel: 'reasoning', text: 'a' },
      { channel: 'content', text: 'b' },
    ]);
  });

  it('says nothing for a choice that may not generate', () => {
    const output = outputOf();

    assert.deepEqual(output.finishEmpty(), []);
    assert.deepEqual(output.end, { reason: 'length' });
  });

  it('finds a stop string in the replacement of a character that was never completed', () => {
    const output = outputOf({ stopStrings: ['�'] });

    assert.equal(textOf(output, [...CHINESE.slice(0, 5), ...HELLO]), '你好，世');
    assert.deepEqual(output.end, { reason: 'stop', stopString: '�' });
  });
});

/** A stage that holds text back up to a '!', which ends the answer, and emits it in capitals. */
class Shout implements OutputStage {
  end: ChoiceEnd | null = null;
  #held = '';

  push({ channel, text }: TextPiece, emit: Emit): void {
    if (this.end !== null) return;
    this.#held += text;
    if (!this.#held.includes('!')) return;
    emit({ channel, text: this.#held.toUpperCase() });
    this.#held = '';
    this.end = { reason: 'stop' };
  }

  flush(emit: Emit): void {
    if (this.#held !== '') emit({ channel: 'content', text: `${this.#held}?` });
  }
}

describe('a stage that is added to the list', () => {
  function shoutingOutput(options: Partial<ChoiceOptions> = {}) {
    return new ChoiceOutput({ ...OPTIONS, ...options }, vocabulary, [], (context) => [
      ...outputStages(context),
      new Shout(),
    ]);
  }

  it('takes what the stages before it emit, and its text is the output', () => {
    assert.equal(textOf(shoutingOutput({ stopStrings: ['never'] }), HELLO), 'HELLO, WORLD!');
  });

  it('ends the choice by what it sees', () => {
    const output = shoutingOutput();

    textOf(output, [...HELLO, ...CHINESE]);

    assert.deepEqual(output.end, { reason: 'stop' });
    assert.equal(output.numTokens, HELLO.length);
  });

  it('is flushed after the stages before it when the answer ends', () => {
    const output = shoutingOutput({ stopStrings: ['Hello, you'] });

    assert.equal(textOf(output, [...HELLO.slice(0, 2), EOS]), 'Hello,?');
    assert.deepEqual(output.end, { reason: 'stop' });
  });

  it('is rebuilt by replaying the ids', () => {
    for (let cut = 0; cut < HELLO.length; cut++) {
      const output = shoutingOutput();

      assert.equal(textOf(output, HELLO.slice(0, cut)), '', `cut at ${cut}`);
      assert.equal(textOf(output, HELLO.slice(cut)), 'HELLO, WORLD!', `cut at ${cut}`);
    }
  });
});
