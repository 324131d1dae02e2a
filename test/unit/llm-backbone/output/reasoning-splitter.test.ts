import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { OutputPiece } from '#backbone/output/output-stage.ts';
import { endsInReasoning, ReasoningCounter } from '#backbone/output/reasoning-counter.ts';
import { ReasoningSplitter } from '#backbone/output/reasoning-splitter.ts';

function split(pieces: readonly string[], isOpen = false) {
  const splitter = new ReasoningSplitter({ isOpen });
  const parts: OutputPiece[] = [];
  const emit = (part: OutputPiece) => void parts.push(part);
  for (const text of pieces) splitter.push({ channel: 'content', text }, emit);
  splitter.flush(emit);
  const textOf = (channel: string) =>
    parts
      .filter((part) => part.channel === channel)
      .map((part) => part.text)
      .join('');
  return { reasoning: textOf('reasoning'), content: textOf('content') };
}

describe('ReasoningSplitter', () => {
  const cases = [
    {
      name: 'separates thoughts from the answer',
      text: '<think>a</think>b',
      reasoning: 'a',
      content: 'b',
    },
    {
      name: 'takes text without tags as content',
      text: 'ab</think>c',
      reasoning: '',
      content: 'ab</think>c',
    },
    {
      name: 'keeps text before the thoughts as content',
      text: 'x<think>a</think>b',
      reasoning: 'a',
      content: 'xb',
    },
    {
      name: 'takes an opening tag inside the thoughts as text',
      text: '<think>a<think>b</think>c</think>d',
      reasoning: 'a<think>b',
      content: 'c</think>d',
    },
    {
      name: 'splits only the first thoughts',
      text: '<think>a</think>b<think>c</think>',
      reasoning: 'a',
      content: 'b<think>c</think>',
    },
    {
      name: 'takes thoughts that are never closed as thoughts',
      text: '<think>a<',
      reasoning: 'a<',
      content: '',
    },
    {
      name: 'leaves what only begins like a tag',
      text: '<thin a',
      reasoning: '',
      content: '<thin a',
    },
  ];
  for (const { name, text, reasoning, content } of cases) {
    it(`${name}, however the text is cut`, () => {
      for (let cut = 0; cut <= text.length; cut++) {
        const result = split([text.slice(0, cut), text.slice(cut)]);
        assert.deepEqual(result, { reasoning, content }, `cut at ${cut}`);
      }
      assert.deepEqual(split([...text]), { reasoning, content });
    });
  }

  it('starts inside the thoughts where the prompt left them open', () => {
    assert.deepEqual(split(['a</think>', 'b'], true), { reasoning: 'a', content: 'b' });
  });
});

describe('reasoning tokens', () => {
  const tags = { open: 1, close: 2, assistant: 3 };

  it('counts between the first tags only', () => {
    const counter = new ReasoningCounter(tags, { isOpen: false });

    for (const id of [9, 1, 8, 7, 2, 6, 1, 5]) counter.push(id);

    assert.equal(counter.numTokens, 2);
  });

  it('counts from the start where the prompt left the thoughts open', () => {
    const counter = new ReasoningCounter(tags, { isOpen: true });

    for (const id of [8, 7, 2, 6]) counter.push(id);

    assert.equal(counter.numTokens, 2);
  });

  const prompts = [
    { name: 'an open tag after the last assistant token', ids: [3, 9, 1], open: true },
    { name: 'closed thoughts', ids: [3, 1, 9, 2], open: false },
    { name: 'an open tag in an earlier message', ids: [1, 9, 3, 9], open: false },
    { name: 'no tag at all', ids: [9, 9], open: false },
  ];
  for (const { name, ids, open } of prompts) {
    it(`reads ${name} as ${open ? 'open' : 'closed'}`, () => {
      assert.equal(endsInReasoning(ids, tags), open);
    });
  }

  it('reads nothing into ids where the tokenizer has no tags', () => {
    const none = { open: undefined, close: undefined, assistant: undefined };

    assert.equal(endsInReasoning([1, 2], none), false);
  });
});
