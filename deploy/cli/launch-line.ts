import { type TypedFlag, typedFlag } from '#mesh/command-line/flags.ts';
import { MeshError } from '#mesh/errors.ts';
import { keysOf, type OptionSchema } from '#mesh/options.ts';
import { type Arity, FOREIGN_FLAGS, type ForeignFlag, SHORT_FLAGS } from './foreign-flags.ts';

/** A command line of this server, made from one that another server's users have at hand. */
export interface LaunchLine {
  readonly args: readonly string[];
  /** Flags that were left out because they mean nothing here, as they were typed. */
  readonly ignored: readonly string[];
}

/**
 * Translates flags of vLLM, SGLang and llama.cpp: those with one of our meanings get our name, those
 * that mean nothing here are left out with their values, and those whose neglect would change
 * answers or safety are refused.
 */
export function translateLaunchLine(schema: OptionSchema, typed: readonly string[]): LaunchLine {
  const own = new Set(keysOf(schema));
  const args: string[] = [];
  const ignored: string[] = [];
  const queue = [...typed];
  for (let arg = queue.shift(); arg !== undefined; arg = queue.shift()) {
    const flag = longFlag(arg);
    const foreign = flag === undefined ? undefined : foreignFlag(flag.name, own);
    if (flag === undefined) args.push(arg);
    else if (foreign === undefined) args.push(written(flag.name, flag.value));
    else if (foreign.kind === 'harmless') {
      ignored.push(`--${flag.name}`);
      takeValues(flag, foreign.arity, queue);
    } else if (foreign.kind === 'refused') {
      const { why, except = [], arity = 1 } = foreign;
      const values = takeValues(flag, arity, queue);
      if (values.length === 0 || !values.every((value) => except.includes(value))) {
        throw refused(`${written(flag.name, values[0])}: ${why}`, flag.name);
      }
    } else if (foreign.isList) args.push(`--${foreign.of}=${takeValues(flag, '*', queue).join()}`);
    else args.push(...listItems(foreign.of, takeValues(flag, 1, queue)[0]));
  }
  return { args, ignored };
}

/** Reads `--name`, `--name=value` and the one-dash flags; undefined: a value or an argument. */
function longFlag(arg: string): TypedFlag | undefined {
  const optimization = /^-O\.?(.+)$/.exec(arg)?.[1];
  if (optimization !== undefined) return { name: 'optimization-level', value: optimization };
  const [, short = '', rest = ''] = /^(-[^-.=][^.=]*)(.*)$/s.exec(arg) ?? [];
  const name = SHORT_FLAGS.get(short);
  return typedFlag(name === undefined ? arg : `--${name}${rest}`);
}

/** Finds the flag among the other servers'; `own` flags come first, with their list exception. */
function foreignFlag(name: string, own: ReadonlySet<string>): ForeignFlag | undefined {
  const found = FOREIGN_FLAGS.get(name);
  if (own.has(name)) return found?.kind === 'alias' ? found : undefined;
  if (found !== undefined) return found;
  // vLLM sets one field of a JSON value by --name.field.
  const [group = '', field] = name.split('.');
  if (field !== undefined) {
    if (own.has(group)) throw refused(`--${name}: give --${group} as one JSON object`, group);
    return FOREIGN_FLAGS.get(group);
  }
  const positive = FOREIGN_FLAGS.get(name.replace(/^no-/, ''));
  const isSwitch = positive !== undefined && 'arity' in positive && positive.arity === 0;
  // What is refused when it is asked for is not done anyway.
  return isSwitch ? { kind: 'harmless', arity: 0 } : undefined;
}

function takeValues(flag: TypedFlag, arity: Arity, queue: string[]): string[] {
  if (flag.value !== undefined) return [flag.value];
  const end = queue.findIndex((arg) => /^-[^\d.]/.test(arg));
  const limit = arity === '*' ? queue.length : arity === '?' ? 1 : arity;
  return queue.splice(0, Math.min(limit, end === -1 ? queue.length : end));
}

/** Writes a flag of ours; a list that is given as JSON, as vLLM wants it, item by item. */
function listItems(name: string, value: string | undefined): string[] {
  if (value === undefined || !value.startsWith('[')) return [written(name, value)];
  try {
    const list: unknown = JSON.parse(value);
    if (Array.isArray(list)) return list.map((one) => written(name, String(one)));
  } catch {
    // Not JSON: the option's own check says what it wants.
  }
  return [written(name, value)];
}

function written(name: string, value: string | undefined): string {
  return value === undefined ? `--${name}` : `--${name}=${value}`;
}

function refused(message: string, param: string): MeshError {
  return new MeshError('INVALID_REQUEST', message, { param });
}

/** Values of other servers for options that we have under the same name. */
const OTHER_VALUES: Readonly<Record<string, Readonly<Record<string, string | undefined>>>> = {
  dtype: { float16: 'half', float: 'float32', fp16: 'half', bf16: 'bfloat16' },
  logLevel: { warning: 'warn', critical: 'error' },
  maxModelLen: { auto: undefined, '-1': undefined },
};

const SIZES: Readonly<Record<string, number>> = {
  k: 1e3,
  m: 1e6,
  g: 1e9,
  K: 2 ** 10,
  M: 2 ** 20,
  G: 2 ** 30,
};

/** Options whose number vLLM also takes as `25.6k` (thousands) or `16K` (times 1024). */
const SIZED = new Set(['maxModelLen', 'maxNumBatchedTokens']);

/** Translates the values of flags, by camelCase names; others stay as they are. */
export function translateValues(
  values: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const translated = Object.entries(values).map(([name, value]) => {
    const others = OTHER_VALUES[name] ?? {};
    const text = String(value);
    if (Object.hasOwn(others, text)) return [name, others[text]] as const;
    const [, amount, unit = ''] = /^(\d+(?:\.\d+)?)([kmgKMG])$/.exec(text) ?? [];
    const isSize = SIZED.has(name) && amount !== undefined;
    return [name, isSize ? Math.floor(Number(amount) * (SIZES[unit] ?? 1)) : value] as const;
  });
  return Object.fromEntries(translated.filter(([, value]) => value !== undefined));
}
