import { didYouMean } from '#mesh/nearest-name.ts';
import { type OptionSchema, type OptionValues, optionsOf, variableName } from '#mesh/options.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Variables that are no keys: they steer the kernels, and a process that a supervisor started. */
const OTHER_VARIABLES = [
  'AUTOGLM_ISA',
  'AUTOGLM_CUDA_LIBRARY',
  'AUTOGLM_SUPERVISED',
  'AUTOGLM_FOLLOWED_ROLES',
  'AUTOGLM_JOURNAL',
  'AUTOGLM_RESTARTS',
];

/**
 * Returns the values that environment variables give to the options of a section, or of every
 * section. Lists are comma separated; an empty variable counts as none.
 */
export function environmentValues(
  schema: OptionSchema,
  env: Environment,
  section?: string,
): OptionValues {
  const values: Record<string, unknown> = {};
  for (const [name, option] of optionsOf(schema)) {
    const text = env[variableName(name, section)];
    if (text === undefined || text === '') continue;
    values[name] = option.type === 'array' ? text.split(',').map((one) => one.trim()) : text;
  }
  return values;
}

/** Returns a warning for each variable that looks like a key and is none. */
export function unknownVariables(env: Environment, known: readonly string[]): string[] {
  return Object.keys(env)
    .filter((name) => name.startsWith('AUTOGLM_') && env[name] !== '')
    .filter((name) => !known.includes(name) && !OTHER_VARIABLES.includes(name))
    .map((name) => `the variable ${name} has no effect${didYouMean(name, known)}`);
}

/**
 * Returns an environment without the variables that are keys, for a process that is told its values: a
 * secret of another process among them would be no business of its own.
 */
export function withoutKeys(env: Environment): Environment {
  const isKey = (name: string) => name.startsWith('AUTOGLM_') && !OTHER_VARIABLES.includes(name);
  return Object.fromEntries(Object.entries(env).filter(([name]) => !isKey(name)));
}

/** Returns the variables for the values that must not appear in a process list. */
export function secretVariables(
  schema: OptionSchema,
  values: OptionValues,
): Readonly<Record<string, string>> {
  const variables: Record<string, string> = {};
  for (const [name, option] of optionsOf(schema)) {
    const value = values[name];
    if (option.secret && value !== undefined) variables[variableName(name)] = String(value);
  }
  return variables;
}
