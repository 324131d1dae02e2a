import { dirname, resolve } from 'node:path';
import { MeshError } from '#mesh/errors.ts';
import {
  kebabCase,
  type OptionSchema,
  type OptionValues,
  parseSection,
  resolveOptions,
} from '#mesh/options.ts';
import { didYouMean } from '../nearest-name.ts';
import type { ConfigDocument, ConfigKey } from './config-document.ts';
import type { Role } from './roles.ts';

/**
 * Keys whose value is a file or folder; in a configuration file, relative paths start at its
 * folder.
 */
const PATH_KEYS = new Set(['model', 'chatTemplate', 'logPath', 'allowedLocalMediaPath']);

/** Keys and values below one place of a configuration file. */
export interface Section {
  /** Keys from the file's root: `gateway`, or `vision-encoder`, 1. */
  readonly place: readonly ConfigKey[];
  readonly values: OptionValues;
}

/** Values below and above the keys of a section: defaults, and values that win over the keys. */
export interface Layers {
  readonly shared: OptionValues;
  readonly flags: OptionValues;
}

/** The content that a section may have. */
export interface SectionShape {
  readonly name: string;
  /** Keys that the section may have. */
  readonly known: readonly string[];
}

/** Reads the section of a name; it is empty if the file has none. */
export function readSection(document: ConfigDocument, shape: SectionShape): Section {
  return parsePlace(document, shape, { place: [shape.name], content: document.root[shape.name] });
}

/**
 * Reads the sections of a list, one for each process; keys without a list stand for one process.
 */
export function readSections(document: ConfigDocument, shape: SectionShape): readonly Section[] {
  const list = document.root[shape.name];
  if (!Array.isArray(list)) return [readSection(document, shape)];
  return list.map((content: unknown, i) =>
    parsePlace(document, shape, { place: [shape.name, i], content }),
  );
}

function parsePlace(
  document: ConfigDocument,
  { name, known }: SectionShape,
  { place, content }: { readonly place: readonly ConfigKey[]; readonly content: unknown },
): Section {
  let values: OptionValues;
  try {
    values = parseSection(name, content);
  } catch (error: unknown) {
    throw error instanceof MeshError ? located(document.where(...place), error) : error;
  }
  for (const key of Object.keys(values).map(kebabCase)) {
    if (!known.includes(key)) throw unknownKey(document, { keys: [...place, key], known });
  }
  return { place, values: withPaths(document, values) };
}

export function withPaths(document: ConfigDocument, values: OptionValues): OptionValues {
  const resolvePath = (key: string, value: unknown) =>
    PATH_KEYS.has(key) && typeof value === 'string'
      ? resolve(dirname(document.path), value)
      : value;
  return Object.fromEntries(
    Object.entries(values).map(([key, value]) => [key, resolvePath(key, value)]),
  );
}

/** Completes and checks the options of one process. */
export function resolveProcess(
  role: Role,
  document: ConfigDocument,
  { section, layers }: { readonly section: Section; readonly layers: Layers },
): OptionValues {
  const shared = pick(role.options, layers.shared);
  const flags = pick(role.options, layers.flags);
  try {
    return resolveOptions(role.options, { ...shared, ...section.values, ...flags });
  } catch (error: unknown) {
    if (!(error instanceof MeshError)) throw error;
    const name = error.param?.split('/')[0] ?? '';
    const key = kebabCase(name);
    if (Object.hasOwn(flags, name)) throw located(`--${key}`, error);
    const isOwn = Object.hasOwn(section.values, name);
    throw located(document.where(...(isOwn ? section.place : []), key), error);
  }
}

export function sectionShape({ name, options }: Role): SectionShape {
  return { name, known: namesOf(options) };
}

export function pick(schema: OptionSchema, values: OptionValues): OptionValues {
  return Object.fromEntries(
    Object.entries(values).filter(([name]) => Object.hasOwn(schema.properties, name)),
  );
}

export function namesOf(schema: OptionSchema): string[] {
  return Object.keys(schema.properties).map(kebabCase);
}

export function unknownKey(
  document: ConfigDocument,
  { keys, known }: { readonly keys: readonly ConfigKey[]; readonly known: readonly string[] },
): MeshError {
  const key = String(keys.at(-1));
  const section = keys.length > 1 ? ` in section "${keys[0]}"` : '';
  const hint = didYouMean(key, known) || `; known are ${[...new Set(known)].join(', ')}`;
  const message = `${document.where(...keys)}: unknown key "${key}"${section}${hint}`;
  return new MeshError('INVALID_REQUEST', message, { param: keys.join('.') });
}

export function located(place: string, error: MeshError): MeshError {
  return new MeshError(error.reason, `${place}: ${error.message}`, { cause: error });
}
