import { alias, EMPTY, each, HARMLESS, HONOURED, honouredObject, refused } from './field-use.ts';

const NO_LAZY = 'a grammar that begins later is a structural_tag';

/** Fields that constrain an answer: formats and grammars. */
export const CONSTRAINT_USES = {
  response_format: honouredObject({
    ...each(HONOURED, 'type', 'format', 'structures', 'triggers'),
    json_schema: honouredObject({
      ...each(HONOURED, 'schema', 'strict', 'name'),
      description: HARMLESS,
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
    // An answer has no more space than its form needs, and objects no further properties.
    ...each(
      HARMLESS,
      'disable_any_whitespace',
      'disable_additional_properties',
      'disable_fallback',
      'whitespace_pattern',
      '_backend',
      '_backend_was_auto',
    ),
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
  // They say how a form is enforced, not which.
  ...each(HARMLESS, 'guided_decoding_backend', 'guided_whitespace_pattern', 'grammar_type'),
} as const;
