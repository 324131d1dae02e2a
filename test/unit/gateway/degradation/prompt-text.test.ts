import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { languageOf, promptText } from '#gateway/degradation/prompt-text.ts';
import { ContentParts, Prompt } from '#protos/autoglm/llm/v1/prompt.ts';

const textOf = (prompt: Parameters<typeof Prompt.fromPartial>[0]) =>
  promptText(Prompt.fromPartial(prompt));

describe('promptText', () => {
  it('is what the user said last, without media', () => {
    const parts = ContentParts.fromPartial({
      parts: [
        { part: { $case: 'text', value: 'tap ' } },
        { part: { $case: 'mediaIndex', value: 0 } },
        { part: { $case: 'text', value: 'here' } },
      ],
    });
    const chat = {
      messages: [
        { role: 'user', content: { $case: 'text' as const, value: 'first' } },
        { role: 'user', content: { $case: 'parts' as const, value: parts } },
        { role: 'assistant', content: { $case: 'text' as const, value: 'done' } },
      ],
    };

    assert.equal(textOf({ form: { $case: 'chat', value: chat } }), 'tap here');
  });

  it('is the text to continue, and none for tokens', () => {
    assert.equal(textOf({ form: { $case: 'text', value: { text: 'a' } } }), 'a');
    assert.equal(textOf({ form: { $case: 'tokens', value: { tokenIds: [1] } } }), '');
    assert.equal(promptText(undefined), '');
  });
});

describe('languageOf', () => {
  const cases = [
    ['打开微信', 'zh'],
    ['WeChat を開く', 'ja'],
    ['漢字とかな', 'ja'],
    ['위챗 열어', 'ko'],
    ['open WeChat', undefined],
    ['', undefined],
  ] as const;
  for (const [text, language] of cases) {
    it(`is ${language} for "${text}"`, () => {
      assert.equal(languageOf(text), language);
    });
  }
});
