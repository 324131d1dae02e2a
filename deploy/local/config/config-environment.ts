import {
  type Environment,
  environmentValues,
  unknownVariables,
} from '#mesh/command-line/environment.ts';
import { logOptions } from '#mesh/log/log-options.ts';
import { type OptionValues, optionsOf, variableName } from '#mesh/options.ts';
import { ROLES } from '../roles.ts';
import { REPLICAS, SECTION_ONLY_KEYS } from './section-only-keys.ts';

/** What environment variables say, in the places that a configuration file has. */
export interface ConfigEnvironment {
  /** Values for every process that knows the key: AUTOGLM_PORT. */
  readonly shared: OptionValues;
  /** Values for one kind of process by its name: AUTOGLM_LLM_BACKBONE__DEVICE. */
  readonly sections: ReadonlyMap<string, OptionValues>;
  /** Numbers of processes by the name of their role: AUTOGLM_LLM_BACKBONE__REPLICAS. */
  readonly replicas: ReadonlyMap<string, string>;
  /** Path of the configuration file: AUTOGLM_CONFIG. */
  readonly file: string | undefined;
  readonly warnings: readonly string[];
}

/** Reads the keys of every process from the environment. */
export function readConfigEnvironment(env: Environment): ConfigEnvironment {
  const shared = ROLES.map(({ options }) => environmentValues(options, env));
  const sections = ROLES.map(
    ({ name, options }) => [name, environmentValues(options, env, name)] as const,
  );
  const forAll = Object.entries(Object.assign({}, logValues(env), ...shared));
  return {
    shared: Object.fromEntries(forAll.filter(([name]) => !SECTION_ONLY_KEYS.has(name))),
    sections: new Map(sections),
    replicas: new Map(
      ROLES.flatMap(({ name }) => {
        const value = env[variableName(REPLICAS, name)];
        return value ? [[name, value] as const] : [];
      }),
    ),
    file: env[CONFIG_VARIABLE] || undefined,
    warnings: unknownVariables(env, knownVariables()),
  };
}

const CONFIG_VARIABLE = variableName('config');

/** Reads the keys of the `log` section: AUTOGLM_LOG__LEVEL stands for AUTOGLM_LOG_LEVEL. */
function logValues(env: Environment): OptionValues {
  const values = optionsOf(logOptions).flatMap(([name]) => {
    const value = env[logVariable(name)];
    return value === undefined || value === '' ? [] : [[name, value] as const];
  });
  return Object.fromEntries(values);
}

function logVariable(name: string): string {
  return variableName(name.slice('log'.length).toLowerCase(), 'log');
}

function knownVariables(): string[] {
  const keys = ROLES.flatMap(({ name, options }) =>
    optionsOf(options).flatMap(([key]) => [
      ...(SECTION_ONLY_KEYS.has(key) ? [] : [variableName(key)]),
      variableName(key, name),
    ]),
  );
  const log = optionsOf(logOptions).map(([name]) => logVariable(name));
  const replicas = ROLES.map(({ name }) => variableName(REPLICAS, name));
  return [...new Set([CONFIG_VARIABLE, ...keys, ...replicas, ...log])];
}
