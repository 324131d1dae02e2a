import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { servedDefinition } from '#backbone/request/response-encoding.ts';
import { GenerateResponse } from '#protos/autoglm/llm/v1/llm_backbone.ts';

const { encode, decode } = servedDefinition.methods.generate.responseType;

function deltaOf(text: string, tokenIds: number[]): GenerateResponse {
  const value = { choices: [{ text, tokenIds }] };
  return GenerateResponse.fromPartial({ event: { $case: 'delta', value } });
}

describe('the encoding of responses', () => {
  it('writes deltas one after another, short behind long', () => {
    const responses = [
      deltaOf('a', [1]),
      deltaOf('长'.repeat(1000), [1, 2, 300_000]),
      GenerateResponse.fromPartial({ event: { $case: 'accepted', value: { seed: 7n } } }),
      deltaOf('', []),
      deltaOf('b', [2]),
    ];

    const written = responses.map((response) => encode(response).finish());

    assert.deepEqual(
      written.map((bytes) => decode(bytes)),
      responses,
    );
    assert.deepEqual(
      written.map((bytes) => Buffer.from(bytes)),
      responses.map((response) => Buffer.from(GenerateResponse.encode(response).finish())),
    );
  });

  it('writes the next delta whole after one that cannot be written', () => {
    assert.throws(() => encode(deltaOf('lost', [1, -1])), /uint32/);

    assert.deepEqual(decode(encode(deltaOf('b', [2])).finish()), deltaOf('b', [2]));
  });
});
