import { parseArgs } from 'node:util';
import type { Static, TObject, TSchema } from 'typebox';
import Value from 'typebox/value';
import { MeshError } from './errors.ts';

/**
 * Options of one process: a TypeBox object whose property names are camelCase. Each is a flag and a
 * configuration key of the same name in kebab-case. `description` says the unit, `default` the
 * default. `env` names an environment variable whose value is taken if neither flag nor file gives
 * one, for secrets that must not appear in a process list.
 */
export type OptionSchema = TObject;

export type OptionValues = Readonly<Record<string, unknown>>;

interface OptionFacts {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly env?: string;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly { readonly const?: unknown; readonly type?: string }[];
}

export function kebabCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function camelCase(name: string): string {
  return name.replaceAll(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

function facts(schema: TSchema): OptionFacts {
  return schema;
}

function entries(schema: OptionSchema): [string, OptionFacts][] {
  return Object.entries(schema.properties).map(([name, option]) => [name, facts(option)]);
}

/** Reads flags into camelCase values; an unknown flag or a missing value is an INVALID_REQUEST. */
export function parseFlags(schema: OptionSchema, args: readonly string[]): OptionValues {
  const known = Object.fromEntries(
    entries(schema).map(([name, option]) => [
      kebabCase(name),
      {
        type: option.type === 'boolean' ? ('boolean' as const) : ('string' as const),
        multiple: option.type === 'array',
      },
    ]),
  );
  try {
    const { values } = parseArgs({
      args: repeatListFlags(schema, args),
      options: known,
      strict: true,
      allowNegative: true,
    });
    return Object.fromEntries(
      Object.entries(values).map(([name, value]) => [camelCase(name), value]),
    );
  } catch (cause: unknown) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new MeshError('INVALID_REQUEST', `${message} (--help lists the options)`, { cause });
  }
}

/**
 * Repeats the flag before each value of a list, as parseArgs wants it; vLLM's form is
 * `--served-model-name a b`.
 */
function repeatListFlags(schema: OptionSchema, args: readonly string[]): string[] {
  const lists = new Set(
    entries(schema).flatMap(([name, option]) =>
      option.type === 'array' ? [`--${kebabCase(name)}`] : [],
    ),
  );
  const repeated: string[] = [];
  let list: string | undefined;
  for (const [i, arg] of args.entries()) {
    if (arg.startsWith('--')) list = lists.has(arg) ? arg : undefined;
    else if (list !== undefined && args[i - 1] !== list) repeated.push(list);
    repeated.push(arg);
  }
  return repeated;
}

/**
 * Turns a configuration section's kebab-case keys into camelCase values; a null counts as no key. A
 * mapping becomes the JSON text that the flag would have.
 */
export function parseSection(name: string, section: unknown): OptionValues {
  if (section === null || section === undefined) return {};
  if (typeof section !== 'object' || Array.isArray(section)) {
    throw new MeshError('INVALID_REQUEST', `configuration: "${name}" must hold keys and values`);
  }
  return Object.fromEntries(
    Object.entries(section)
      .filter(([, value]) => value !== null)
      .map(([key, value]) => [camelCase(key), isMapping(value) ? JSON.stringify(value) : value]),
  );
}

function isMapping(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Completes values with environment variables and defaults, and checks them. A refusal names the
 * key, the value received and the values allowed.
 */
export function resolveOptions<S extends OptionSchema>(
  schema: S,
  values: OptionValues,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Static<S> {
  const fromEnv: Record<string, unknown> = {};
  for (const [name, option] of entries(schema)) {
    const value = option.env === undefined ? undefined : env[option.env];
    if (value !== undefined && value !== '') fromEnv[name] = value;
  }
  const complete = Value.Default(schema, Value.Convert(schema, { ...fromEnv, ...values }));
  const problems = Value.Errors(schema, complete).filter((error) => error.keyword !== 'boolean');
  const problem = problems[0];
  if (problem === undefined) return complete as Static<S>; // Checked by Value.Errors.
  throw new MeshError('INVALID_REQUEST', describe(schema, complete, problem), {
    param: problem.instancePath.slice(1),
  });
}

interface Problem {
  readonly keyword: string;
  readonly instancePath: string;
  readonly message: string;
  readonly params: object;
}

function describe(schema: OptionSchema, values: unknown, problem: Problem): string {
  if (problem.keyword === 'additionalProperties' && 'additionalProperties' in problem.params) {
    const unknown = String(problem.params.additionalProperties);
    return `unknown key "${kebabCase(unknown)}"; known are ${names(schema).join(', ')}`;
  }
  if (problem.keyword === 'required' && 'requiredProperties' in problem.params) {
    return `key "${kebabCase(String(problem.params.requiredProperties))}" is missing`;
  }
  const name = problem.instancePath.split('/')[1] ?? '';
  const received = JSON.stringify(Value.Pointer.Get(values, problem.instancePath));
  const option = entries(schema).find(([key]) => key === name)?.[1];
  const choices = option === undefined ? [] : choicesOf(option);
  const allowed = choices.length > 0 ? `must be one of ${choices.join(', ')}` : problem.message;
  return `key "${kebabCase(name)}": ${allowed}, got ${received}`;
}

function names(schema: OptionSchema): string[] {
  return entries(schema).map(([name]) => kebabCase(name));
}

function choicesOf(option: OptionFacts): string[] {
  if (option.enum !== undefined) return option.enum.map(String);
  const constants = option.anyOf?.flatMap((one) => (one.const === undefined ? [] : [one.const]));
  return (constants ?? []).map(String);
}

/** Writes values as flags, for starting a child with exactly these options. */
export function toFlags(schema: OptionSchema, values: OptionValues): string[] {
  return entries(schema).flatMap(([name, option]) => {
    const value = values[name];
    const flag = `--${kebabCase(name)}`;
    // A secret is passed by its environment variable.
    if (value === undefined || option.env !== undefined) return [];
    if (Array.isArray(value)) return value.length === 0 ? [] : [flag, ...value.map(String)];
    if (option.type !== 'boolean') return [`${flag}=${String(value)}`];
    return [value === true ? flag : `--no-${kebabCase(name)}`];
  });
}

/** Writes one line per option: flag, choices or type, meaning with its unit, default. */
export function helpText(schema: OptionSchema): string {
  const rows = entries(schema).map(([name, option]) => {
    const choices = choicesOf(option);
    const kind = choices.length > 0 ? choices.join('|') : (option.type ?? '').toUpperCase();
    const value = option.type === 'boolean' ? '' : ` ${option.type === 'array' ? 'NAME...' : kind}`;
    const fallback = option.default === undefined ? '' : ` [${JSON.stringify(option.default)}]`;
    const env = option.env === undefined ? '' : ` (or ${option.env})`;
    return { flag: `--${kebabCase(name)}${value}`, text: `${option.description}${env}${fallback}` };
  });
  const width = Math.min(38, Math.max(...rows.map((row) => row.flag.length)));
  return rows
    .map(({ flag, text }) =>
      flag.length > width
        ? `  ${flag}\n  ${' '.repeat(width)}  ${text}`
        : `  ${flag.padEnd(width)}  ${text}`,
    )
    .join('\n');
}

/** Returns environment variables for the values that `toFlags` leaves out. */
export function toEnvironment(
  schema: OptionSchema,
  values: OptionValues,
): Readonly<Record<string, string>> {
  const variables: Record<string, string> = {};
  for (const [name, option] of entries(schema)) {
    const value = values[name];
    if (option.env !== undefined && value !== undefined) variables[option.env] = String(value);
  }
  return variables;
}
