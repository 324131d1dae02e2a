import type { Static, TObject, TSchema } from 'typebox';
import Value from 'typebox/value';
import { MeshError } from './errors.ts';
import { didYouMean } from './nearest-name.ts';
import { isAddress, type OptionFacts, readText } from './option-text.ts';
import { parseRegistry } from './registry-url.ts';

/**
 * Options of one process: a TypeBox object whose property names are camelCase. Each is a flag, a
 * configuration key of the same name in kebab-case, and an environment variable (`max-num-seqs` is
 * AUTOGLM_MAX_NUM_SEQS). `description` says the unit, `default` the default.
 */
export type OptionSchema = TObject;

export type OptionValues = Readonly<Record<string, unknown>>;

export function kebabCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** Returns the environment variable of an option: `maxNumSeqs` is AUTOGLM_MAX_NUM_SEQS. */
export function variableName(name: string, section?: string): string {
  const words = section === undefined ? kebabCase(name) : `${section}__${kebabCase(name)}`;
  return `AUTOGLM_${words.replaceAll('-', '_').toUpperCase()}`;
}

export function camelCase(name: string): string {
  return name.replaceAll(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

function facts(schema: TSchema): OptionFacts {
  return schema;
}

/** Returns the options with what their schemas say about them. */
export function optionsOf(schema: OptionSchema): [string, OptionFacts][] {
  return Object.entries(schema.properties).map(([name, option]) => [name, facts(option)]);
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
 * Completes values with secrets from the environment and with defaults, and checks them; texts are
 * read as the option's kind of value. A refusal names the key, the value received and the values
 * allowed.
 */
export function resolveOptions<S extends OptionSchema>(
  schema: S,
  values: OptionValues,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Static<S> {
  const read: Record<string, unknown> = { ...values };
  for (const [name, option] of optionsOf(schema)) {
    const secret = option.secret ? env[variableName(name)] : undefined;
    if (read[name] === undefined && secret) read[name] = secret;
    if (read[name] !== undefined) read[name] = readText(option, read[name]);
  }
  const complete = Value.Default(schema, read);
  const problem = Value.Errors(schema, complete).find((error) => error.keyword !== 'boolean');
  if (problem !== undefined) throw refused(problem.instancePath, describe(schema, read, problem));
  checkMeanings(schema, read);
  return complete as Static<S>; // Checked by Value.Errors.
}

function refused(path: string, message: string): MeshError {
  return new MeshError('INVALID_REQUEST', message, { param: path.slice(1) });
}

function checkMeanings(schema: OptionSchema, values: OptionValues): void {
  for (const [name, { meaning }] of optionsOf(schema)) {
    const given = [values[name] ?? []].flat().map(String);
    if (meaning === 'registry') given.forEach(parseRegistry);
    if (meaning !== 'address' && meaning !== 'address or off') continue;
    const mayBeOff = meaning === 'address or off';
    const wrong = given.find((one) => !isAddress(one) && !(mayBeOff && one === 'off'));
    if (wrong === undefined) continue;
    const rule = `must be host:port, an IPv6 host in brackets${mayBeOff ? ', or off' : ''}`;
    throw refused(`/${name}`, `key "${kebabCase(name)}": ${rule}, got ${JSON.stringify(wrong)}`);
  }
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
    const known = keysOf(schema);
    const hint = didYouMean(kebabCase(unknown), known) || `; known are ${known.join(', ')}`;
    return `unknown key "${kebabCase(unknown)}"${hint}`;
  }
  if (problem.keyword === 'required' && 'requiredProperties' in problem.params) {
    return `key "${kebabCase(String(problem.params.requiredProperties))}" is missing`;
  }
  const name = problem.instancePath.split('/')[1] ?? '';
  const value: unknown = Value.Pointer.Get(values, problem.instancePath);
  const option = optionsOf(schema).find(([key]) => key === name)?.[1];
  const choices = option === undefined ? [] : choicesOf(option);
  const allowed = choices.length > 0 ? `must be one of ${choices.join(', ')}` : problem.message;
  return `key "${kebabCase(name)}": ${allowed}, got ${written(value)}${quotingHint(problem, value)}`;
}

/** Writes a value for a message; JSON would write a number that is none as null. */
function written(value: unknown): string {
  return typeof value === 'number' ? String(value) : JSON.stringify(value);
}

/** A file's reader takes an unquoted key of digits for a number, and may lose some of them. */
function quotingHint({ params }: Problem, value: unknown): string {
  const wantsText = 'type' in params && params.type === 'string';
  return wantsText && typeof value === 'number' ? '; in a file, put it in quotes' : '';
}

export function keysOf(schema: OptionSchema): string[] {
  return optionsOf(schema).map(([name]) => kebabCase(name));
}

function choicesOf(option: OptionFacts): string[] {
  if (option.enum !== undefined) return option.enum.map(String);
  const constants = option.anyOf?.flatMap((one) => (one.const === undefined ? [] : [one.const]));
  return (constants ?? []).map(String);
}

/** Writes one line per option: flag, choices or type, meaning with its unit, default. */
export function helpText(schema: OptionSchema): string {
  const rows = optionsOf(schema).map(([name, option]) => {
    const choices = choicesOf(option);
    const kind = choices.length > 0 ? choices.join('|') : (option.type ?? '').toUpperCase();
    const value = option.type === 'boolean' ? '' : ` ${option.type === 'array' ? 'NAME...' : kind}`;
    const fallback = option.default === undefined ? '' : ` [${JSON.stringify(option.default)}]`;
    const env = option.secret ? ` (or ${variableName(name)})` : '';
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
