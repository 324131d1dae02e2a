import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseChatRequest } from '#gateway/openai/request/chat-request.ts';
import { parseCompletionRequest } from '#gateway/openai/request/completion-request.ts';

const SCHEMA = { type: 'object', properties: { a: { type: 'integer' } } };
const SCHEMA_TEXT = JSON.stringify(SCHEMA);
const TAG = { type: 'structural_tag', structures: [], triggers: [] };

/** Fields of a request, the form that they give the answer, and the field that names it. */
const FORMS: readonly (readonly [fields: object, form: object, field: string])[] = [
  [{ response_format: { type: 'text' } }, { $case: 'anyText', value: {} }, 'response_format'],
  [
    { response_format: { type: 'json_object' } },
    { $case: 'jsonObject', value: {} },
    'response_format',
  ],
  [
    {
      response_format: {
        type: 'json_schema',
        json_schema: { name: 'a', description: 'b', strict: true, schema: SCHEMA },
      },
    },
    { $case: 'jsonSchema', value: SCHEMA_TEXT },
    'response_format.json_schema.schema',
  ],
  [
    { response_format: TAG },
    { $case: 'structuralTag', value: JSON.stringify(TAG) },
    'response_format',
  ],
  [
    { response_format: { type: 'phone_action' } },
    { $case: 'phoneAction', value: {} },
    'response_format',
  ],
  [
    { structured_outputs: { json: SCHEMA, regex: null } },
    { $case: 'jsonSchema', value: SCHEMA_TEXT },
    'structured_outputs.json',
  ],
  [
    { structured_outputs: { json: SCHEMA_TEXT } },
    { $case: 'jsonSchema', value: SCHEMA_TEXT },
    'structured_outputs.json',
  ],
  [
    { structured_outputs: { json_object: true, phone_action: false } },
    { $case: 'jsonObject', value: {} },
    'structured_outputs.json_object',
  ],
  [
    { structured_outputs: { regex: 'a+' } },
    { $case: 'regex', value: 'a+' },
    'structured_outputs.regex',
  ],
  [
    { structured_outputs: { choice: ['a', 'b'] } },
    { $case: 'choice', value: { texts: ['a', 'b'] } },
    'structured_outputs.choice',
  ],
  [
    { structured_outputs: { grammar: 'root ::= "a"' } },
    { $case: 'grammar', value: 'root ::= "a"' },
    'structured_outputs.grammar',
  ],
  [
    { structured_outputs: { structural_tag: TAG } },
    { $case: 'structuralTag', value: JSON.stringify(TAG) },
    'structured_outputs.structural_tag',
  ],
  [
    { structured_outputs: { phone_action: true } },
    { $case: 'phoneAction', value: {} },
    'structured_outputs.phone_action',
  ],
  [{ guided_json: SCHEMA }, { $case: 'jsonSchema', value: SCHEMA_TEXT }, 'guided_json'],
  [{ guided_regex: 'a+' }, { $case: 'regex', value: 'a+' }, 'guided_regex'],
  [{ guided_choice: ['a'] }, { $case: 'choice', value: { texts: ['a'] } }, 'guided_choice'],
  [{ guided_grammar: 'g' }, { $case: 'grammar', value: 'g' }, 'guided_grammar'],
  [
    { response_format: { type: 'text' }, guided_regex: 'a', guided_choice: [] },
    { $case: 'regex', value: 'a' },
    'guided_regex',
  ],
];

describe('the form of an answer', () => {
  for (const [fields, form, field] of FORMS) {
    it(`is read from ${JSON.stringify(fields).slice(0, 80)}, for chats and texts`, () => {
      const chat = parseChatRequest({ messages: [{ role: 'user', content: 'hi' }], ...fields });
      const texts = parseCompletionRequest({ prompt: ['a', 'b'], ...fields });

      assert.deepEqual(chat.start.structuredOutput, { form });
      assert.equal(chat.formField, field);
      assert.deepEqual(
        texts.starts.map(({ structuredOutput }) => structuredOutput),
        [{ form }, { form }],
      );
      assert.equal(texts.formField, field);
    });
  }

  it('is none if no field gives one', () => {
    const fields = { structured_outputs: { json: null }, guided_regex: '' };
    const { start, formField } = parseChatRequest({
      messages: [{ role: 'user', content: 'hi' }],
      ...fields,
    });

    assert.equal(start.structuredOutput, undefined);
    assert.equal(formField, undefined);
  });
});
