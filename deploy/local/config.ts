import { MeshError } from '#mesh/errors.ts';
import { type LogSettings, logOptions } from '#mesh/log/log-options.ts';
import { kebabCase, type OptionValues, parseSection, resolveOptions } from '#mesh/options.ts';
import type { ConfigDocument } from './config-document.ts';
import {
  type Layers,
  located,
  namesOf,
  pick,
  readSection,
  readSections,
  resolveProcess,
  sectionShape,
  unknownKey,
  withPaths,
} from './config-section.ts';
import { shareCores } from './cores.ts';
import type { TowerModality } from './model-towers.ts';
import { BACKBONE, ENCODERS, GATEWAY, ROLES, type Role, type TowerRole } from './roles.ts';

/** One process to start, with exactly these values. */
export interface ProcessConfig {
  readonly role: Role;
  readonly values: OptionValues;
}

/** The mesh that the supervisor runs. */
export interface MeshConfig {
  readonly log: LogSettings;
  /** Processes in starting order; they stop in reverse order, so that the edge drains first. */
  readonly processes: readonly ProcessConfig[];
}

/** Facts about the machine on which defaults depend. */
export interface Surroundings {
  /** Numbers of the cores that the processes may use, ascending. */
  readonly cores: readonly number[];
  hasTower(modelDirectory: string, modality: TowerModality): boolean;
}

/** Keys that are allowed in a section only, because each process has its own value. */
export const SECTION_ONLY_KEYS: ReadonlySet<string> = new Set(['listen']);

/**
 * Turns a configuration file and command-line flags into the options of every process. A key at the
 * top level goes to every process that knows it, a section's key only to its process; a flag wins
 * over both.
 */
export function resolveConfig(
  document: ConfigDocument,
  flags: OptionValues,
  surroundings: Surroundings,
): MeshConfig {
  const layers = { shared: sharedValues(document), flags };
  const log = resolveLog(document, layers);
  const resolveOne = (role: Role, further: OptionValues = {}) => {
    const shared = { ...further, ...layers.shared };
    const section = readSection(document, sectionShape(role));
    return resolveProcess(role, document, { section, layers: { shared, flags } });
  };
  const alone = resolveOne(BACKBONE);
  const encoders = resolveEncoders(document, layers, { backbone: alone, surroundings });
  const backbone: OptionValues = { ...alone, ...encoderAddresses(encoders) };
  const gateway = resolveOne(GATEWAY, {
    backbone: [String(backbone['listen'])],
    scrape: encoders.map(({ values }) => String(values['listen'])),
  });
  return {
    log,
    processes: [
      ...encoders,
      { role: BACKBONE, values: backbone },
      { role: GATEWAY, values: gateway },
    ],
  };
}

interface EncoderProcess extends ProcessConfig {
  readonly role: TowerRole;
}

/**
 * Returns encoders for every tower of the model: as many as the configuration lists, or one if it
 * lists none. If the backbone's own options name encoders elsewhere, none are started.
 */
function resolveEncoders(
  document: ConfigDocument,
  layers: Layers,
  {
    backbone,
    surroundings,
  }: { readonly backbone: OptionValues; readonly surroundings: Surroundings },
): EncoderProcess[] {
  const wanted = ENCODERS.flatMap((role) => {
    const sections = readSections(document, sectionShape(role));
    const addresses = backbone[role.addressOption];
    const isElsewhere = Array.isArray(addresses) && addresses.length > 0;
    const isWanted =
      !isElsewhere && surroundings.hasTower(String(backbone['model']), role.modality);
    return isWanted ? sections.map((section) => ({ role, section })) : [];
  });
  const devices = shareCores(surroundings.cores, wanted.length);
  return wanted.map(({ role, section }, i) => {
    const shared = { device: devices[i], ...layers.shared };
    const encoder = { section, layers: { ...layers, shared } };
    return { role, values: resolveProcess(role, document, encoder) };
  });
}

/** Returns the options that tell the backbone the encoders' addresses. */
function encoderAddresses(encoders: readonly EncoderProcess[]): OptionValues {
  const byOption = ENCODERS.map(({ addressOption }) => {
    const own = encoders.filter(({ role }) => role.addressOption === addressOption);
    return [addressOption, own.map(({ values }) => String(values['listen']))] as const;
  });
  return Object.fromEntries(byOption.filter(([, addresses]) => addresses.length > 0));
}

/** Returns the values of the top-level keys and of the `log` section. */
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

/** Returns the keys of `log` under the names that processes use: `level` becomes `log-level`. */
function logValues(document: ConfigDocument): OptionValues {
  const known = namesOf(logOptions).map((name) => name.slice('log-'.length));
  const section = readSection(document, { name: 'log', known });
  const renamed = Object.entries(section.values).map(([key, value]) => [
    `log${key.charAt(0).toUpperCase()}${key.slice(1)}`,
    value,
  ]);
  return withPaths(document, Object.fromEntries(renamed));
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
