import type { LimitingForm } from '#backbone/grammar/form-rules.ts';
import { ArgumentType } from '#backbone/output/argument-value.ts';
import type { ToolUse } from '#backbone/output/tool-use.ts';
import { MeshError } from '#mesh/errors.ts';
import { isRecord } from '#mesh/json-value.ts';
import type { ToolFunction } from '#mesh/prompt/tool-function.ts';

/** A part of a structural tag. */
type Format = Readonly<Record<string, unknown>>;

/** Returns the form of an answer that calls at least once, as its model writes calls. */
export function callForm(tools: ToolUse): LimitingForm {
  return { $case: 'structuralTag', value: JSON.stringify({ format: callFormat(tools) }) };
}

/**
 * Returns the form of an answer that may call, in which the calls of strict tools have the arguments
 * that they should, and no other tools are called than may be; null if that limits nothing.
 */
export function heldCalls(tools: ToolUse): LimitingForm | null {
  const { functions, callable } = tools;
  const called = calledOf(tools);
  if (callable.length === functions.size && !called.some(({ isStrict }) => isStrict)) return null;
  const format = tools.format === 'glm4' ? namedCalls(tools) : taggedCalls(tools);
  return { $case: 'structuralTag', value: JSON.stringify({ format }) };
}

/** Returns the form of an answer that has a form or calls. */
export function withCalls(form: LimitingForm, tools: ToolUse): LimitingForm {
  const format = { type: 'or', elements: [formatOf(form), callFormat(tools)] };
  return { $case: 'structuralTag', value: JSON.stringify({ format }) };
}

function formatOf(form: LimitingForm): Format {
  switch (form.$case) {
    case 'jsonObject':
      return schemaFormat({ type: 'object', additionalProperties: true });
    case 'jsonSchema':
      return schemaFormat(parsed(form.value));
    case 'regex':
      return regex(form.value);
    case 'choice':
      return { type: 'or', elements: form.value.texts.map(constant) };
    case 'grammar':
      return { type: 'grammar', grammar: form.value };
    case 'structuralTag': {
      const tag = parsed(form.value);
      if (isRecord(tag) && isRecord(tag['format'])) return tag['format'];
      break;
    }
    case 'phoneAction':
      break;
  }
  const message =
    'structured_output: this form cannot be combined with tools; leave one of them out';
  throw new MeshError('INVALID_REQUEST', message, { param: 'structured_output' });
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (cause: unknown) {
    const param = 'structured_output';
    throw new MeshError('INVALID_REQUEST', `${param}: not JSON`, { param, cause });
  }
}

function calledOf({ functions, callable }: ToolUse): ToolFunction[] {
  return callable.flatMap((name) => functions.get(name) ?? []);
}

/** Returns the form of text with calls, each of which begins with its tag. */
function taggedCalls(tools: ToolUse): Format {
  return {
    type: 'triggered_tags',
    triggers: ['<tool_call>'],
    tags: calledOf(tools).map((tool) => heldCall(tools.format, tool)),
    stop_after_first: tools.singleCall,
  };
}

/** Returns the form of lines of text and calls: a line that is the name of a tool begins one. */
function namedCalls(tools: ToolUse): Format {
  const names = [...tools.functions.keys()].map((name) => name.replace(/[^\w]/g, '\\$&'));
  const noName = `(?![^\\S\\n]*(?:${names.join('|')})[^\\S\\n]*$)`;
  const line = tag('', regex(`${noName}[^\\n]*`), '');
  return {
    type: 'tags_with_separator',
    tags: [line, ...calledOf(tools).map((tool) => heldCall(tools.format, tool))],
    separator: '\n',
    at_least_one: true,
  };
}

/** Returns the form of a call that its model begins by itself; only a strict tool has its schema. */
function heldCall(format: ToolUse['format'], tool: ToolFunction): Format {
  if (tool.isStrict) return FORMATS[format](tool);
  if (format === 'glm45')
    return tag(`<tool_call>${tool.name}\n`, { type: 'any_text' }, '</tool_call>');
  return FORMATS[format]({ ...tool, parameters: { additionalProperties: true } });
}

function callFormat(tools: ToolUse): Format {
  const { format, singleCall } = tools;
  return {
    type: 'tags_with_separator',
    tags: calledOf(tools).map((tool) => FORMATS[format](tool)),
    separator: '\n',
    at_least_one: true,
    stop_after_first: singleCall,
  };
}

const FORMATS: Readonly<Record<ToolUse['format'], (tool: ToolFunction) => Format>> = {
  glm4: (tool) => tag(`${tool.name}\n`, argumentsFormat(tool), ''),
  glm45: (tool) => tag(`<tool_call>${tool.name}\n`, pairsFormat(tool), '</tool_call>'),
  hermes: (tool) => {
    // With the spaces that models were trained on, or without.
    const elements = [
      regex('\\n?\\{"name": ?'),
      constant(JSON.stringify(tool.name)),
      regex(', ?"arguments": ?'),
      argumentsFormat(tool),
      regex('\\}\\n?'),
    ];
    return tag('<tool_call>', { type: 'sequence', elements }, '</tool_call>');
  },
};

function tag(begin: string, content: Format, end: string): Format {
  return { type: 'tag', begin, content, end };
}

function argumentsFormat({ parameters }: ToolFunction): Format {
  return schemaFormat({ type: 'object', ...parameters });
}

function schemaFormat(schema: unknown): Format {
  return { type: 'json_schema', json_schema: schema };
}

function regex(pattern: string): Format {
  return { type: 'regex', pattern };
}

function constant(value: string): Format {
  return { type: 'const_string', value };
}

/** Returns the form of GLM-4.5's arguments, in the order of the schema. */
function pairsFormat({ parameters }: ToolFunction): Format {
  const { properties = {}, required = [], $defs, definitions } = parameters ?? {};
  const shared = { ...($defs ? { $defs } : {}), ...(definitions ? { definitions } : {}) };
  const pairs = Object.entries(isRecord(properties) ? properties : {}).map(([name, schema]) => {
    const isText = new ArgumentType(parameters, name).isText;
    const whole = isRecord(schema) ? { ...shared, ...schema } : schema;
    const pair = pairFormat(name, isText ? textFormat(schema) : schemaFormat(whole));
    const isRequired = Array.isArray(required) && required.includes(name);
    return isRequired ? pair : { type: 'or', elements: [pair, constant('')] };
  });
  return pairs.length === 0 ? constant('') : { type: 'sequence', elements: pairs };
}

function pairFormat(name: string, value: Format): Format {
  const begin = `<arg_key>${name}</arg_key>\n<arg_value>`;
  return { type: 'sequence', elements: [tag(begin, value, '</arg_value>'), constant('\n')] };
}

/** Returns the form of a text without quotes: one of those listed, or any that ends with its tag. */
function textFormat(schema: unknown): Format {
  const { enum: values, const: value } = isRecord(schema) ? schema : {};
  const texts = Array.isArray(values) ? values : value === undefined ? [] : [value];
  if (texts.length === 0) return { type: 'any_text' };
  return { type: 'or', elements: texts.map((one) => constant(String(one))) };
}
