import type { StructuredOutput } from '#protos/autoglm/llm/v1/structured_output.ts';
import { gbnfRules } from './gbnf.ts';
import { choice, type GrammarRules, text } from './grammar-node.ts';
import { type FormName, formRefusal } from './grammar-refusal.ts';
import { jsonSchemaRules } from './json/schema-reader.ts';
import { anyObject, JSON_RULES } from './json/text.ts';
import { phoneActionRules } from './phone-action.ts';
import { RegexFault, regexNode } from './regex.ts';
import { structuralTagRules } from './structural-tag.ts';

/** A form that limits texts. */
export type LimitingForm = Exclude<
  NonNullable<StructuredOutput['form']>,
  { readonly $case: 'anyText' }
>;

/** What refusals call each form. */
export const FORM_NAMES: Readonly<Record<LimitingForm['$case'], FormName>> = {
  jsonObject: 'json_schema',
  jsonSchema: 'json_schema',
  regex: 'regex',
  choice: 'choice',
  grammar: 'grammar',
  structuralTag: 'structural_tag',
  phoneAction: 'grammar',
};

const MAX_TEXT_BYTES = 256 * 1024;
const MAX_REGEX_BYTES = 16 * 1024;
const MAX_CHOICES = 1024;
const MAX_CHOICE_BYTES = 64 * 1024;

/** Refuses a form that is too large to be read. */
export function checkFormSize(form: LimitingForm): void {
  switch (form.$case) {
    case 'jsonSchema':
      checkBytes('json_schema', form.value, MAX_TEXT_BYTES);
      return;
    case 'grammar':
      checkBytes('grammar', form.value, MAX_TEXT_BYTES);
      return;
    case 'structuralTag':
      checkBytes('structural_tag', form.value, MAX_TEXT_BYTES);
      return;
    case 'regex':
      checkBytes('regex', form.value, MAX_REGEX_BYTES);
      return;
    case 'choice':
      checkChoices(form.value.texts);
      return;
    case 'jsonObject':
    case 'phoneAction':
      return;
  }
}

/** Reads a form as a grammar; refuses what cannot be enforced, with its place. */
export function formRules(form: LimitingForm): GrammarRules {
  switch (form.$case) {
    case 'jsonObject':
      return { root: anyObject, rules: JSON_RULES };
    case 'jsonSchema':
      return jsonSchemaRules(form.value);
    case 'regex':
      return regexRules(form.value);
    case 'choice':
      return { root: choice(...form.value.texts.map(text)), rules: new Map() };
    case 'grammar':
      return gbnfRules(form.value);
    case 'structuralTag':
      return structuralTagRules(form.value);
    case 'phoneAction':
      return phoneActionRules();
  }
}

function regexRules(pattern: string): GrammarRules {
  try {
    return { root: regexNode(pattern), rules: new Map() };
  } catch (error: unknown) {
    if (!(error instanceof RegexFault)) throw error;
    throw formRefusal('regex', '', error.message);
  }
}

function checkBytes(form: Parameters<typeof formRefusal>[0], value: string, max: number): void {
  const numBytes = Buffer.byteLength(value);
  if (numBytes > max) throw formRefusal(form, '', `${numBytes} bytes, at most ${max} are allowed`);
  if (value === '') throw formRefusal(form, '', 'must not be empty');
}

function checkChoices(texts: readonly string[]): void {
  const numBytes = texts.reduce((sum, one) => sum + Buffer.byteLength(one), 0);
  if (texts.length === 0 || texts.includes('')) {
    throw formRefusal('choice', '', 'must be texts that are not empty, at least one');
  }
  if (texts.length <= MAX_CHOICES && numBytes <= MAX_CHOICE_BYTES) return;
  const message = `${texts.length} texts of ${numBytes} bytes, at most ${MAX_CHOICES} of ${MAX_CHOICE_BYTES} are allowed`;
  throw formRefusal('choice', '', message);
}
