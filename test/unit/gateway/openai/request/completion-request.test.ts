import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseCompletionRequest } from '#gateway/openai/request/completion-request.ts';
import { refusalOf } from '#test/refusal.ts';

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

  it('takes a long list of sampling parameters for one prompt, and a short one for many', () => {
    const { starts } = parseCompletionRequest({ prompt: PROMPTS, logit_bias: { 1: 1 } });
    const [start] = parseCompletionRequest({ prompt: 'a', logit_bias: BIAS }).starts;

    assert.equal(starts.length, 64);
    assert.deepEqual(start?.sampling?.logitBias, BIAS);
  });

  it('gives every prompt the same parameters', () => {
    const { starts } = parseCompletionRequest({ prompt: ['a', 'b'], n: 2, seed: 1 });

    assert.deepEqual(starts[0]?.sampling, starts[1]?.sampling);
  });
});

const PROMPTS = Array.from({ length: 64 }, () => 'a');
const BIAS = Object.fromEntries(Array.from({ length: 15_000 }, (_, i) => [i, 1]));
const FIELDS = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`f${i}`, 0]));

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
    [{ prompt: PROMPTS, logit_bias: BIAS }, 'prompt', '15000 entries, too many or too long for 64'],
    [{ prompt: PROMPTS, stop: ['b'.repeat(300_000)] }, 'prompt', '1 entries, too many or too long'],
    [{ prompt: 'a', ...FIELDS }, 'none', 'the body must have at most 1000 fields, got 1001'],
    [{ prompt: 'a', extra_body: { ...FIELDS, z: 0 } }, 'none', 'extra_body must have at most 1000'],
    [{ prompt: 'a', suffix: 'b' }, 'suffix', 'not supported'],
    [{ prompt: 'a', stream_options: {} }, 'stream_options', 'stream'],
  ];
  for (const [body, param, message] of refusals) {
    it(`${JSON.stringify(body).slice(0, 60)}, naming ${param}`, () => {
      const refused = refusalOf(() => parseCompletionRequest(body));

      assert.equal(refused.param ?? 'none', param);
      assert(refused.message.includes(message), refused.message);
    });
  }
});
