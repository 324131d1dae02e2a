import { dirname, resolve } from 'node:path';
import { deviceList } from '#mesh/devices/device-list.ts';
import { MeshError } from '#mesh/errors.ts';
import { didYouMean } from '#mesh/nearest-name.ts';
import {
  kebabCase,
  type OptionSchema,
  type OptionValues,
  parseSection,
  resolveOptions,
  variableName,
} from '#mesh/options.ts';
import { BACKBONE, type Role } from '../roles.ts';
import type { ConfigDocument, ConfigKey } from './config-document.ts';
import type { ConfigEnvironment } from './config-environment.ts';
import { REPLICAS } from './section-only-keys.ts';

/**
 * Keys whose value is a file or folder; in a configuration file, relative paths start at its
 * folder.
 */
const PATH_KEYS = new Set([
  'model',
  'chatTemplate',
  'weightsCache',
  'logPath',
  'allowedLocalMediaPath',
  'rulesFile',
]);

/** Keys and values below one place of a configuration file. */
export interface Section {
  /** Keys from the file's root: `gateway`, or `vision-encoder`, 1. */
  readonly place: readonly ConfigKey[];
  readonly values: OptionValues;
  /** Number of processes that the section stands for, not checked. */
  readonly replicas?: unknown;
}

/** Values below and above the keys of a section; the later win over the earlier. */
export interface Layers {
  readonly shared: OptionValues;
  readonly env: ConfigEnvironment;
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
export function readSections(document: ConfigDocument, role: Role): readonly Section[] {
  const shape = { name: role.name, known: [...namesOf(role.options), REPLICAS] };
  const list = document.root[shape.name];
  const sections = Array.isArray(list)
    ? list.map((content: unknown, i) =>
        parsePlace(document, shape, { place: [shape.name, i], content }),
      )
    : [readSection(document, shape)];
  return sections.map((section) => withoutReplicas(document, role, section));
}

/** Separates how many processes a section stands for from what each of them gets. */
function withoutReplicas(
  document: ConfigDocument,
  role: Role,
  { place, values }: Section,
): Section {
  const { [REPLICAS]: replicas, ...others } = values;
  const where = document.where(...place, 'device');
  const own = withDevices(others, where);
  if (role !== BACKBONE) checkTowerDevice(own['device'], where);
  return { place, values: own, ...(replicas !== undefined && { replicas }) };
}

/** Refuses a list of devices that is said of an encoder. */
export function checkTowerDevice(device: unknown, where: string): void {
  if (deviceList(String(device)).length === 1) return;
  const rule = `a tower runs on one device, got ${device}`;
  const message = `${rule}; for several encoders, write a list of sections with a device each`;
  throw refusedDevice(where, message);
}

/** Writes a list of devices as its flag has it: cpu:0,cpu:1. */
export function withDevices(values: OptionValues, where: string): OptionValues {
  const { device } = values;
  if (!Array.isArray(device)) return values;
  if (device.length === 0) throw refusedDevice(where, 'an empty list of devices');
  return { ...values, device: device.join() };
}

function refusedDevice(where: string, message: string): MeshError {
  return new MeshError('INVALID_REQUEST', `${where}: key "device": ${message}`, {
    param: 'device',
  });
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

/** Returns what is said of the options of one process, in the file and above it. */
export function givenValues(role: Role, section: Section, layers: Layers): OptionValues {
  const shared = pick(role.options, layers.shared);
  const env = { ...pick(role.options, layers.env.shared), ...layers.env.sections.get(role.name) };
  return { ...shared, ...section.values, ...env, ...pick(role.options, layers.flags) };
}

/** Completes and checks the options of one process. */
export function resolveProcess(
  role: Role,
  document: ConfigDocument,
  sources: {
    readonly section: Section;
    readonly layers: Layers;
  },
): OptionValues {
  const { section, layers } = sources;
  try {
    const given = givenValues(role, section, layers);
    return resolveOptions(role.options, given, {});
  } catch (error: unknown) {
    if (!(error instanceof MeshError)) throw error;
    const name = error.param?.split('/')[0] ?? '';
    const above = placeAbove(layers, { name, role });
    if (above !== undefined) throw located(above, error);
    const isOwn = Object.hasOwn(section.values, name);
    throw located(document.where(...(isOwn ? section.place : []), kebabCase(name)), error);
  }
}

/** Names the flag or the variable that an option's value comes from; undefined: from the file. */
export function placeAbove(
  { env, flags }: Layers,
  { name, role }: { readonly name: string; readonly role?: Role },
): string | undefined {
  if (Object.hasOwn(flags, name)) return `--${kebabCase(name)}`;
  const section = role?.name ?? '';
  if (Object.hasOwn(env.sections.get(section) ?? {}, name)) return variableName(name, section);
  return Object.hasOwn(env.shared, name) ? variableName(name) : undefined;
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
