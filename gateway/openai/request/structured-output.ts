import { type Static, Type } from 'typebox';
import { MeshError } from '#mesh/errors.ts';
import { isRecord } from '#mesh/json-value.ts';
import type { StructuredOutput } from '#protos/autoglm/llm/v1/structured_output.ts';
import { listField, objectField, textField } from './fields.ts';
import { refusal } from './refusal.ts';

const FORMATS = ['text', 'json_object', 'json_schema', 'structural_tag', 'phone_action'] as const;
const A_SCHEMA = 'a JSON Schema: an object, or its text';
const A_TAG = 'a structural tag: an object, or its text';

/** Fields that give an answer a form, as OpenAI and vLLM name them. */
export const structuredFields = {
  response_format: objectField(`an object with a type: one of ${FORMATS.join(', ')}`),
  structured_outputs: objectField('an object with one form, such as json, regex or choice'),
  guided_json: Type.Optional(
    Type.Union([Type.String({ minLength: 1 }), Type.Unsafe<object>(Type.Object({}))], {
      description: A_SCHEMA,
    }),
  ),
  guided_regex: textField('a regular expression'),
  guided_choice: listField(Type.String({ minLength: 1 }), 'a list of texts that are not empty'),
  guided_grammar: textField('a grammar'),
} as const;

export type StructuredRequest = Static<ReturnType<typeof Type.Object<typeof structuredFields>>>;

type Form = NonNullable<StructuredOutput['form']>;

/** The form that a request gives its answer. */
export interface RequestedForm {
  readonly structuredOutput: StructuredOutput | undefined;
  /** The client's name for the field of the form; undefined if there is none. */
  readonly formField: string | undefined;
}

/** A form with the field that gives it. */
interface NamedForm {
  readonly field: string;
  readonly form: Form;
}

/** Makes the form of a value; `field` is the client's name for it. */
type ReadForm = (value: unknown, field: string) => Form;

/** The forms of `structured_outputs`, by the names of its fields. */
const STRUCTURED: Readonly<Record<string, ReadForm>> = {
  json: (value, field) => ({ $case: 'jsonSchema', value: jsonText(value, field, A_SCHEMA) }),
  json_object: (value, field) => flagForm({ $case: 'jsonObject', value: {} }, value, field),
  regex: (value, field) => textForm('regex', value, field),
  choice: choiceForm,
  grammar: (value, field) => textForm('grammar', value, field),
  structural_tag: (value, field) => ({
    $case: 'structuralTag',
    value: jsonText(value, field, A_TAG),
  }),
  phone_action: (value, field) => flagForm({ $case: 'phoneAction', value: {} }, value, field),
};

/** Fields of `guided_*` with the field of `structured_outputs` that means the same. */
const GUIDED = {
  guided_json: 'json',
  guided_regex: 'regex',
  guided_choice: 'choice',
  guided_grammar: 'grammar',
} as const;

/** Returns the form that a request gives its answer; refuses a second one, naming both. */
export function requestedForm(request: StructuredRequest): RequestedForm {
  const named = [...responseFormat(request), ...structuredOutputs(request), ...guided(request)];
  // A plain format asks for nothing, except that it lifts the default form of the server.
  const [first, second] = named.filter(({ form }) => form.$case !== 'anyText');
  if (first !== undefined && second !== undefined) {
    const message = `${second.field} cannot be combined with ${first.field}; send one of them`;
    throw new MeshError('INVALID_REQUEST', message, { param: second.field });
  }
  const { form, field } = first ?? named[0] ?? {};
  return {
    structuredOutput: form === undefined ? undefined : { form },
    formField: field,
  };
}

function responseFormat({ response_format: format }: StructuredRequest): NamedForm[] {
  if (format === undefined) return [];
  const at = 'response_format';
  const { type } = format;
  const kind = FORMATS.find((one) => one === type);
  switch (kind) {
    case 'text':
      return [{ field: at, form: { $case: 'anyText', value: {} } }];
    case 'json_object':
      return [{ field: at, form: { $case: 'jsonObject', value: {} } }];
    case 'phone_action':
      return [{ field: at, form: { $case: 'phoneAction', value: {} } }];
    case 'json_schema':
      return [jsonSchemaFormat(format['json_schema'], `${at}.json_schema`)];
    case 'structural_tag':
      return [{ field: at, form: { $case: 'structuralTag', value: JSON.stringify(format) } }];
    case undefined:
      throw refusal(`${at}.type`, `one of ${FORMATS.join(', ')}`, type);
  }
}

function jsonSchemaFormat(value: unknown, at: string): NamedForm {
  if (!isRecord(value)) throw refusal(at, 'an object with name and schema', value);
  const { name, strict } = value;
  if (name !== undefined && typeof name !== 'string') throw refusal(`${at}.name`, 'a text', name);
  if (!isUnset(strict) && typeof strict !== 'boolean') {
    throw refusal(`${at}.strict`, 'true or false', strict);
  }
  const field = `${at}.schema`;
  return {
    field,
    form: { $case: 'jsonSchema', value: jsonText(value['schema'], field, A_SCHEMA) },
  };
}

function structuredOutputs({ structured_outputs: outputs }: StructuredRequest): NamedForm[] {
  if (outputs === undefined) return [];
  return Object.entries(STRUCTURED).flatMap(([name, read]) =>
    namedForm(read, outputs[name], `structured_outputs.${name}`),
  );
}

function guided(request: StructuredRequest): NamedForm[] {
  return Object.entries(GUIDED).flatMap(([field, name]) => {
    const value = request[field as keyof typeof GUIDED];
    const isIdle = value === '' || (Array.isArray(value) && value.length === 0);
    const read = STRUCTURED[name];
    return read === undefined || isIdle ? [] : namedForm(read, value, field);
  });
}

function namedForm(read: ReadForm, value: unknown, field: string): NamedForm[] {
  // A flag that is off asks for nothing.
  return isUnset(value) || value === false ? [] : [{ field, form: read(value, field) }];
}

function isUnset(value: unknown): boolean {
  return value === undefined || value === null;
}

function jsonText(value: unknown, field: string, allowed: string): string {
  if (isRecord(value)) return JSON.stringify(value);
  if (typeof value === 'string' && value !== '') return value;
  throw refusal(field, allowed, value);
}

function textForm(kind: 'regex' | 'grammar', value: unknown, field: string): Form {
  if (typeof value === 'string' && value !== '') return { $case: kind, value };
  throw refusal(field, 'a text that is not empty', value);
}

function choiceForm(value: unknown, field: string): Form {
  const texts: unknown[] = Array.isArray(value) ? value : [];
  const isText = (one: unknown): one is string => typeof one === 'string' && one !== '';
  if (texts.length > 0 && texts.every(isText)) return { $case: 'choice', value: { texts } };
  throw refusal(field, 'a list of at least one text, none of them empty', value);
}

function flagForm(form: Form, value: unknown, field: string): Form {
  if (value === true) return form;
  throw refusal(field, 'true or false', value);
}
