import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { contextOverflow } from '#mesh/prompt/context-overflow.ts';

const OVERFLOW = { maxModelLen: 32, numPromptTokens: 30, maxTokens: 5, param: 'prompt' };

describe('contextOverflow', () => {
  it('says what was asked and what fits, as vLLM does', () => {
    const { reason, message, param } = contextOverflow(OVERFLOW);

    assert.equal(reason, 'CONTEXT_LENGTH_EXCEEDED');
    assert.equal(param, 'prompt');
    assert.equal(
      message,
      "This model's maximum context length is 32 tokens. However, you requested 5 output tokens and your prompt contains 30 input tokens, for a total of 35 tokens. Please reduce the length of the input prompt or the number of requested output tokens.",
    );
  });

  it('says "at least" of a prompt that was not counted to its end, and who takes the tokens', () => {
    const share = '; images take 20 tokens';

    const { message } = contextOverflow({ ...OVERFLOW, isWhole: false, share });

    assert.match(message, /contains at least 30 input tokens, for a total of at least 35 tokens;/);
    assert.match(message, /tokens; images take 20 tokens\. Please/);
  });
});
