import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseCompletionRequest } from '#gateway/openai/completion-request.ts';
import { MeshError } from '#mesh/errors.ts';

function formsOf(prompt: unknown) {
  return parseCompletionRequest({ prompt }).starts.map((start) => start.prompt?.form);
}

const text = (value: string) => ({
  $case: 'text',
  value: { text: value, addSpecialTokens: true },
});
const tokens = (...tokenIds: number[]) => ({ $case: 'tokens', value: { tokenIds } });

describe('parseCompletionRequest', () => {
  it('reads a prompt as a text, token ids, or a list of either', () => {
    assert.deepEqual(formsOf('a'), [text('a')]);
    assert.deepEqual(formsOf(''), [text('')]);
    assert.deepEqual(formsOf(['a', 'b']), [text('a'), text('b')]);
    assert.deepEqual(formsOf([1, 2]), [tokens(1, 2)]);
    assert.deepEqual(formsOf([[1, 2], [3], 'c']), [tokens(1, 2), tokens(3), text('c')]);
  });

  it('counts alternatives of sampled tokens with logprobs', () => {
    const { starts, form } = parseCompletionRequest({ prompt: 'a', logprobs: 3 });

    assert.equal(starts[0]?.output?.numLogprobs, 3);
    assert.equal(starts[0]?.output?.numPromptLogprobs, undefined);
    assert.equal(form.numLogprobs, 3);
  });

  it('asks for the ids and probabilities of a prompt that is echoed with them', () => {
    const { starts, form, echoes } = parseCompletionRequest({
      prompt: 'a',
      logprobs: 3,
      echo: true,
    });

    assert.equal(echoes, true);
    assert.equal(starts[0]?.output?.returnPromptTokenIds, true);
    assert.equal(starts[0]?.output?.numPromptLogprobs, 3);
    assert.equal(form.hasPromptLogprobs, false);
    assert.equal(form.returnsTokenIds, false);
  });

  it('generates one token where only the prompt is wanted', () => {
    const { starts, isPromptOnly } = parseCompletionRequest({
      prompt: 'a',
      echo: true,
      max_tokens: 0,
    });

    assert.equal(isPromptOnly, true);
    assert.equal(starts[0]?.sampling?.maxTokens, 1);
  });

  it('gives every prompt the same parameters', () => {
    const { starts } = parseCompletionRequest({ prompt: ['a', 'b'], n: 2, seed: 1 });

    assert.deepEqual(starts[0]?.sampling, starts[1]?.sampling);
  });
});

describe('parseCompletionRequest refuses', () => {
  const refusals: readonly (readonly [object, string, string])[] = [
    [{}, 'prompt', 'prompt'],
    [{ prompt: [] }, 'prompt', 'an empty list'],
    [{ prompt: {} }, 'prompt', 'a list of either, got an object'],
    [{ prompt: [[]] }, 'prompt[0]', 'got an empty list'],
    [{ prompt: [1, 'a'] }, 'prompt[1]', 'a token id, got "a"'],
    [{ prompt: [1.5] }, 'prompt[0]', 'got 1.5'],
    [{ prompt: [-1] }, 'prompt[0]', 'got -1'],
    [{ prompt: [[4_294_967_296]] }, 'prompt[0][0]', 'got 4294967296'],
    [{ prompt: Array.from({ length: 257 }, () => 'a') }, 'prompt', 'at most 256 prompts'],
    [{ prompt: 'a', max_tokens: 0 }, 'max_tokens', 'at least 1'],
    [{ prompt: 'a', logprobs: 21 }, 'logprobs', 'from 0 to 20'],
    [{ prompt: 'a', logprobs: true }, 'logprobs', 'got true'],
    [{ prompt: 'a', best_of: 2 }, 'best_of', 'not supported'],
    [{ prompt: 'a', suffix: 'b' }, 'suffix', 'not supported'],
    [{ prompt: 'a', stream_options: {} }, 'stream_options', 'stream'],
  ];
  for (const [body, param, message] of refusals) {
    it(`${JSON.stringify(body).slice(0, 60)}, naming ${param}`, () => {
      assert.throws(
        () => parseCompletionRequest(body),
        (error: unknown) => {
          assert(error instanceof MeshError);
          assert.equal(error.param, param);
          assert(error.message.includes(message), error.message);
          return true;
        },
      );
    });
  }
});
