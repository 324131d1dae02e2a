import { alias, EMPTY, each, HONOURED, harmless, honouredObject, refused } from './field-use.ts';

const ONE_ENGINE = 'one engine enforces every form';
const NO_LAZY = 'a grammar that begins later is a structural_tag';

/** Fields that constrain an answer: formats and grammars. */
export const CONSTRAINT_USES = {
  response_format: honouredObject({
    ...each(HONOURED, 'type', 'format', 'structures', 'triggers'),
    json_schema: honouredObject({
      ...each(HONOURED, 'schema', 'strict', 'name'),
      description: harmless('a form is its schema alone'),
    }),
  }),
  structured_outputs: honouredObject({
    ...each(
      HONOURED,
      'json',
      'json_object',
      'regex',
      'choice',
      'grammar',
      'structural_tag',
      'phone_action',
    ),
    disable_additional_properties: harmless(
      'objects have no properties beyond those of the schema',
    ),
    ...each(
      harmless('an answer has no more space than its form needs'),
      'disable_any_whitespace',
      'whitespace_pattern',
    ),
    ...each(harmless(ONE_ENGINE), 'disable_fallback', '_backend', '_backend_was_auto'),
  }),
  ...each(HONOURED, 'guided_json', 'guided_regex', 'guided_choice', 'guided_grammar'),
  json_schema: alias('response_format or structured_outputs.json'),
  format: alias('response_format'),
  json: alias('structured_outputs.json', EMPTY),
  regex: alias('structured_outputs.regex', EMPTY),
  choice: alias('structured_outputs.choice', EMPTY),
  grammar: alias('structured_outputs.grammar', EMPTY),
  ebnf: alias('structured_outputs.grammar', EMPTY),
  structural_tag: alias('structured_outputs.structural_tag', EMPTY),
  grammar_triggers: refused(NO_LAZY, EMPTY),
  preserved_tokens: refused(NO_LAZY, EMPTY),
  grammar_lazy: refused(NO_LAZY, false),
  ...each(harmless(ONE_ENGINE), 'guided_decoding_backend', 'grammar_type'),
  guided_whitespace_pattern: harmless('an answer has no more space than its form needs'),
} as const;
