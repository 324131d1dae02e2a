import { dirname, resolve } from 'node:path';
import { MeshError } from '#mesh/errors.ts';
import { type LogSettings, logOptions } from '#mesh/log-options.ts';
import {
  kebabCase,
  type OptionSchema,
  type OptionValues,
  parseSection,
  resolveOptions,
} from '#mesh/options.ts';
import { didYouMean } from '../nearest-name.ts';
import type { ConfigDocument } from './config-document.ts';

import { BACKBONE, GATEWAY, ROLES, type Role } from './roles.ts';

/** One process to start with exactly these values. */
export interface ProcessConfig {
  readonly role: Role;
  readonly values: OptionValues;
}

/** What the supervisor runs. */
export interface MeshConfig {
  readonly log: LogSettings;
  /** In starting order. */
  readonly processes: readonly ProcessConfig[];
}

/** Keys whose value is a file or folder; in a configuration file they are relative to it. */
const PATH_KEYS = new Set(['model', 'chatTemplate', 'logPath']);

/** Every process has its own value, so these belong in a section only. */
export const SECTION_ONLY_KEYS: ReadonlySet<string> = new Set(['listen']);

/**
 * Turns a configuration file and command-line flags into the options of every process. A key at the
 * top level goes to every process that knows it; a section's key to its process only; a flag wins
 * over both.
 */
export function resolveConfig(document: ConfigDocument, flags: OptionValues): MeshConfig {
  const layers = { shared: sharedValues(document), flags };
  const log = resolveLog(document, layers);
  const backbone = resolveProcess(BACKBONE, document, layers);
  const shared = { backbone: [String(backbone['listen'])], ...layers.shared };
  const gateway = resolveProcess(GATEWAY, document, { ...layers, shared });
  return {
    log,
    processes: [
      { role: BACKBONE, values: backbone },
      { role: GATEWAY, values: gateway },
    ],
  };
}

interface Layers {
  readonly shared: OptionValues;
  readonly flags: OptionValues;
}

/** Values of the top-level keys and of the `log` section. */
function sharedValues(document: ConfigDocument): OptionValues {
  const sections = new Set(['log', ...ROLES.map(({ name }) => name)]);
  const topLevel = Object.entries(document.root).filter(([key]) => !sections.has(key));
  const known = [...sections, ...ROLES.flatMap(({ options }) => namesOf(options))].filter(
    (name) => !SECTION_ONLY_KEYS.has(name),
  );
  for (const [key] of topLevel) {
    if (!known.includes(key)) throw unknownKey(document, { keys: [key], known });
  }
  const values = parseSection(document.path, Object.fromEntries(topLevel));
  return { ...logValues(document), ...withPaths(document, values) };
}

/** `log: {level}` is what the processes know as `log-level`. */
function logValues(document: ConfigDocument): OptionValues {
  const section = sectionValues(document, 'log');
  const known = namesOf(logOptions).map((name) => name.slice('log-'.length));
  const renamed: [string, unknown][] = [];
  for (const [key, value] of Object.entries(section)) {
    const name = kebabCase(key);
    if (!known.includes(name)) throw unknownKey(document, { keys: ['log', name], known });
    renamed.push([`log${key.charAt(0).toUpperCase()}${key.slice(1)}`, value]);
  }
  return withPaths(document, Object.fromEntries(renamed));
}

function sectionValues(document: ConfigDocument, name: string): OptionValues {
  try {
    return withPaths(document, parseSection(name, document.root[name]));
  } catch (error: unknown) {
    throw error instanceof MeshError ? located(document.where(name), error) : error;
  }
}

function withPaths(document: ConfigDocument, values: OptionValues): OptionValues {
  const resolvePath = (key: string, value: unknown) =>
    PATH_KEYS.has(key) && typeof value === 'string'
      ? resolve(dirname(document.path), value)
      : value;
  return Object.fromEntries(
    Object.entries(values).map(([key, value]) => [key, resolvePath(key, value)]),
  );
}

function resolveLog(document: ConfigDocument, layers: Layers): LogSettings {
  try {
    const values = { ...layers.shared, ...layers.flags };
    return resolveOptions(logOptions, pick(logOptions, values));
  } catch (error: unknown) {
    if (!(error instanceof MeshError) || error.param === undefined) throw error;
    const key = kebabCase(error.param);
    const place = Object.hasOwn(layers.flags, error.param)
      ? `--${key}`
      : document.where('log', key.slice('log-'.length));
    throw located(place, error);
  }
}

function resolveProcess(role: Role, document: ConfigDocument, layers: Layers): OptionValues {
  const section = sectionValues(document, role.name);
  const known = namesOf(role.options);
  for (const key of Object.keys(section).map(kebabCase)) {
    if (!known.includes(key)) throw unknownKey(document, { keys: [role.name, key], known });
  }
  const shared = pick(role.options, layers.shared);
  const flags = pick(role.options, layers.flags);
  try {
    return resolveOptions(role.options, { ...shared, ...section, ...flags });
  } catch (error: unknown) {
    if (!(error instanceof MeshError)) throw error;
    const name = error.param?.split('/')[0] ?? '';
    const key = kebabCase(name);
    if (Object.hasOwn(flags, name)) throw located(`--${key}`, error);
    if (Object.hasOwn(section, name)) throw located(document.where(role.name, key), error);
    throw located(document.where(key), error);
  }
}

function pick(schema: OptionSchema, values: OptionValues): OptionValues {
  return Object.fromEntries(
    Object.entries(values).filter(([name]) => Object.hasOwn(schema.properties, name)),
  );
}

function namesOf(schema: OptionSchema): string[] {
  return Object.keys(schema.properties).map(kebabCase);
}

function unknownKey(
  document: ConfigDocument,
  { keys, known }: { readonly keys: readonly string[]; readonly known: readonly string[] },
): MeshError {
  const key = keys.at(-1) ?? '';
  const section = keys.length > 1 ? ` in section "${keys[0]}"` : '';
  const hint = didYouMean(key, known) || `; known are ${[...new Set(known)].join(', ')}`;
  const message = `${document.where(...keys)}: unknown key "${key}"${section}${hint}`;
  return new MeshError('INVALID_REQUEST', message, { param: keys.join('.') });
}

function located(place: string, error: MeshError): MeshError {
  return new MeshError(error.reason, `${place}: ${error.message}`, { cause: error });
}
