import { MeshError } from '#mesh/errors.ts';
import { didYouMean } from '#mesh/nearest-name.ts';
import type { OptionFacts } from '#mesh/option-text.ts';
import {
  camelCase,
  kebabCase,
  type OptionSchema,
  type OptionValues,
  optionsOf,
} from '#mesh/options.ts';

/** A command line: the values of its flags, under camelCase names, and its other arguments. */
export interface Arguments {
  readonly values: OptionValues;
  readonly rest: readonly string[];
}

/** A flag as it was typed: `--no_lazy`, `--port=1`. */
export interface TypedFlag {
  /** The name as keys are written, without dashes in front. */
  readonly name: string;
  /** What stands behind `=`. */
  readonly value: string | undefined;
}

/** Reads a flag; `_` in its name is `-`. Undefined if the argument is no flag but a value. */
export function typedFlag(argument: string): TypedFlag | undefined {
  const [, name, value] = /^--([^=]+)(?:=(.*))?$/s.exec(argument) ?? [];
  return name === undefined ? undefined : { name: name.replaceAll('_', '-'), value };
}

/** Reads flags alone; anything else is an INVALID_REQUEST. */
export function parseFlags(schema: OptionSchema, args: readonly string[]): OptionValues {
  const { values, rest } = readArguments(schema, args);
  if (rest[0] === undefined) return values;
  throw refused(`unexpected argument "${rest[0]}"`);
}

/**
 * Separates flags, wherever they stand, from the other arguments. An unknown flag or a missing
 * value is an INVALID_REQUEST. The last of two equal flags wins; a list takes all values up to the
 * next flag, as in vLLM (`--served-model-name a b`).
 */
export function readArguments(schema: OptionSchema, args: readonly string[]): Arguments {
  const options = new Map(optionsOf(schema));
  const values: Record<string, unknown> = {};
  const rest: string[] = [];
  const queue = [...args];
  for (let arg = queue.shift(); arg !== undefined; arg = queue.shift()) {
    const flag = typedFlag(arg);
    if (flag === undefined) {
      if (arg === '--') rest.push(...queue.splice(0));
      else if (/^-[a-z]/i.test(arg)) throw refused(`unknown flag ${arg}`);
      else rest.push(arg);
      continue;
    }
    const { name, isNegated } = optionName(options, flag.name);
    const type = options.get(name)?.type;
    if (type === 'boolean') {
      if (isNegated && flag.value !== undefined) throw refused(`--${flag.name} takes no value`);
      values[name] = isNegated ? false : (flag.value ?? true);
    } else if (type === 'array') {
      const before = values[name];
      const list: unknown[] = Array.isArray(before) ? before : [];
      values[name] = [...list, ...valuesOf(flag, queue, Number.POSITIVE_INFINITY)];
    } else values[name] = valuesOf(flag, queue, 1)[0];
  }
  return { values, rest };
}

/** Takes the values of a flag from what stands behind it. */
function valuesOf(flag: TypedFlag, queue: string[], limit: number): string[] {
  if (flag.value !== undefined) return [flag.value];
  const end = queue.findIndex((arg) => arg.startsWith('--'));
  const found = queue.splice(0, Math.min(limit, end === -1 ? queue.length : end));
  if (found.length === 0) throw refused(`--${flag.name} needs a value`);
  return found;
}

function optionName(options: ReadonlyMap<string, OptionFacts>, typed: string) {
  const name = camelCase(typed);
  if (options.has(name)) return { name, isNegated: false };
  const positive = camelCase(typed.replace(/^no-/, ''));
  if (options.get(positive)?.type === 'boolean') return { name: positive, isNegated: true };
  throw refused(`unknown flag --${typed}${didYouMean(typed, [...options.keys()].map(kebabCase))}`);
}

function refused(why: string): MeshError {
  return new MeshError('INVALID_REQUEST', `${why} (--help lists the options)`);
}

/** Writes values as flags, for starting a child with exactly these options. */
export function toFlags(schema: OptionSchema, values: OptionValues): string[] {
  return optionsOf(schema).flatMap(([name, option]) => {
    const value = values[name];
    const flag = `--${kebabCase(name)}`;
    if (value === undefined || option.secret) return [];
    if (Array.isArray(value)) return value.map((one) => `${flag}=${String(one)}`);
    if (option.type !== 'boolean') return [`${flag}=${String(value)}`];
    return [value === true ? flag : `--no-${kebabCase(name)}`];
  });
}
