import { isRecord } from '#mesh/json-value.ts';
import { EMPTY, each, HARMLESS, refused, refusedUnless } from './field-use.ts';

const NO_STRUCTURE = 'structured output is not supported by this server';

const isPlain = (value: unknown) => isRecord(value) && value['type'] === 'text';

/** Fields that constrain an answer: formats and grammars. */
export const CONSTRAINT_USES = {
  response_format: refusedUnless(isPlain, `${NO_STRUCTURE}; only {"type":"text"} is accepted`),
  ...each(refused(NO_STRUCTURE), 'structured_outputs', 'guided_json', 'json_schema', 'format'),
  ...each(
    refused(NO_STRUCTURE, EMPTY),
    'guided_regex',
    'guided_choice',
    'guided_grammar',
    'structural_tag',
    'regex',
    'ebnf',
    'grammar',
    'choice',
    'json',
    'grammar_triggers',
    'preserved_tokens',
  ),
  grammar_lazy: refused(NO_STRUCTURE, false),
  // How a constraint is enforced makes no difference where there is none.
  ...each(HARMLESS, 'guided_decoding_backend', 'guided_whitespace_pattern', 'grammar_type'),
} as const;
