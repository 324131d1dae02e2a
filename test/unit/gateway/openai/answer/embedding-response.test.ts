import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkVectors } from '#gateway/openai/answer/embedding-response.ts';
import { refusal } from '#test/refusal.ts';

describe('the vectors of an answer', () => {
  it('are as many as OpenAI allows, as base64 of 4096 numbers each', () => {
    checkVectors({ numVectors: 2048, width: 4096, format: 'base64' });
  });

  it('are no more than an answer holds', () => {
    checkVectors({ numVectors: 256, width: 4096, format: 'float' });

    assert.throws(
      () => checkVectors({ numVectors: 257, width: 4096, format: 'float' }),
      refusal('INVALID_REQUEST', /at most 256 inputs, or ask for encoding_format "base64"/),
    );
    assert.throws(
      () => checkVectors({ numVectors: 2048, width: 5120, format: 'base64' }),
      refusal('INVALID_REQUEST', /at most 1638 inputs$/),
    );
  });
});
