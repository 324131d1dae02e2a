import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { clientError } from '#gateway/openai/client-error.ts';
import {
  CHAT_FIELDS,
  COMPLETION_FIELDS,
  DETOKENIZE_FIELDS,
  TOKENIZE_FIELDS,
  TRANSCRIPTION_FIELDS,
} from '#gateway/openai/field-names.ts';
import type { MediaReference } from '#gateway/openai/request/media-reference.ts';
import { MeshError } from '#mesh/errors.ts';

const PLACE = 'messages[0].content[0].image_url.url';
const REFERENCES: readonly MediaReference[] = [
  {
    modality: 'image',
    source: { kind: 'base64', text: '' },
    declaredType: undefined,
    param: PLACE,
  },
];

const FIELDS = {
  chat: CHAT_FIELDS,
  completion: COMPLETION_FIELDS,
  transcription: TRANSCRIPTION_FIELDS,
  tokenize: TOKENIZE_FIELDS,
  detokenize: DETOKENIZE_FIELDS,
} as const;

function translated(param: string, message: string, route: keyof typeof FIELDS): MeshError {
  const refused = new MeshError('QUEUE_FULL', message, { param, retryAfterMs: 7 });
  const error = clientError(refused, { fields: FIELDS[route], references: REFERENCES });
  assert(error instanceof MeshError);
  assert.deepEqual([error.reason, error.retryAfterMs], ['QUEUE_FULL', 7]);
  return error;
}

describe('clientError', () => {
  for (const [param, message, field, expected] of [
    ['prompt', 'the prompt has no tokens', 'prompt[3]', 'prompt[3]: the prompt has no tokens'],
    ['prompt.text', 'prompt.text is long', 'prompt[3]', 'prompt[3] is long'],
    ['prompt.tokens.token_ids[1]', 'not a token', 'prompt[3][1]', 'prompt[3][1]: not a token'],
    ['prompt.max_prompt_tokens', 'too few', 'truncate_prompt_tokens', 'too few'],
  ] as const) {
    it(`names the prompt of several that ${param} is about, of which is said "${message}"`, () => {
      const refused = new MeshError('INVALID_REQUEST', message, { param });

      const error = clientError(refused, {
        fields: COMPLETION_FIELDS,
        references: [],
        promptIndex: 3,
      });

      assert(error instanceof MeshError);
      assert.equal(error.param, field);
      assert.equal(error.message, expected);
    });
  }

  for (const [param, message, expected] of [
    ['media[0]', 'media[0] is truncated', `${PLACE} is truncated`],
    ['media[0]', 'media item 0: too short', `${PLACE}: media item 0: too short`],
    ['media[0].options', 'too many pixels', `${PLACE}: too many pixels`],
    ['media[0].media_type', 'media[0].media_type is long', `${PLACE}.media_type is long`],
  ] as const) {
    it(`names the place of ${param}, of which is said "${message}"`, () => {
      const error = translated(param, message, 'chat');

      assert.equal(error.param, PLACE);
      assert.equal(error.message, expected);
    });
  }

  for (const [route, path, field] of [
    ['chat', 'sampling.top_p', 'top_p'],
    ['chat', 'sampling.num_choices', 'n'],
    ['chat', 'sampling.stop_strings', 'stop'],
    ['chat', 'sampling.logit_bias', 'logit_bias'],
    ['chat', 'output.num_logprobs', 'top_logprobs'],
    ['chat', 'output.num_prompt_logprobs', 'prompt_logprobs'],
    ['chat', 'prompt', 'messages'],
    ['chat', 'prompt.chat.messages', 'messages'],
    ['chat', 'prompt.chat.messages[3]', 'messages[3]'],
    ['chat', 'prompt.chat.continue_final_message', 'continue_final_message'],
    ['chat', 'prompt.chat.template_args.enable_thinking', 'enable_thinking'],
    ['chat', 'prompt.chat.template_args.clear_thinking', 'clear_thinking'],
    ['chat', 'prompt.max_prompt_tokens', 'truncate_prompt_tokens'],
    ['chat', 'media', 'messages'],
    ['completion', 'output.num_logprobs', 'logprobs'],
    ['completion', 'prompt.text', 'prompt'],
    ['completion', 'prompt.tokens.token_ids[4]', 'prompt[4]'],
    ['completion', 'prompt.max_prompt_tokens', 'truncate_prompt_tokens'],
    ['transcription', 'sampling.temperature', 'temperature'],
    ['transcription', 'prompt', 'file'],
    ['transcription', 'media', 'file'],
    ['transcription', 'prompt.chat.messages', 'instruction'],
    ['tokenize', 'prompt.text', 'prompt'],
    ['tokenize', 'prompt.chat.messages', 'messages'],
    ['detokenize', 'token_ids', 'tokens'],
  ] as const) {
    it(`calls ${path} of a ${route} request ${field}`, () => {
      const error = translated(path, `${path}: got 3, allowed is 1`, route);

      assert.equal(error.param, field);
      assert.equal(error.message, `${field}: got 3, allowed is 1`);
    });
  }

  for (const message of ['the prompt has 9 tokens', 'prompts have 9 tokens']) {
    it(`leaves "${message}" as it is, which does not begin with the field`, () => {
      const error = translated('prompt', message, 'chat');

      assert.equal(error.param, 'messages');
      assert.equal(error.message, message);
    });
  }

  for (const error of [
    new MeshError('INVALID_REQUEST', 'other field', { param: 'temperature' }),
    new MeshError('INVALID_REQUEST', 'a name of objects', { param: 'constructor' }),
    new MeshError('INVALID_REQUEST', 'no field of the client', { param: 'sampling' }),
    new MeshError('INVALID_REQUEST', 'no such item', { param: 'media[1]' }),
    new MeshError('INVALID_REQUEST', 'the client wrote it so', { param: PLACE }),
    new MeshError('QUEUE_FULL', 'full'),
    new TypeError('unforeseen'),
  ]) {
    it(`leaves "${error.message}" as it is`, () => {
      const words = { fields: COMPLETION_FIELDS, references: REFERENCES };

      assert.equal(clientError(error, words), error);
    });
  }
});
