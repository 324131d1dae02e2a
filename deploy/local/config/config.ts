import { deviceList } from '#mesh/devices/device-list.ts';
import { MeshError } from '#mesh/errors.ts';
import { type LogSettings, logOptions } from '#mesh/log/log-options.ts';
import {
  kebabCase,
  type OptionValues,
  parseSection,
  resolveOptions,
  variableName,
} from '#mesh/options.ts';
import type { TowerModality } from '../model-towers.ts';
import { BACKBONE, ENCODERS, GATEWAY, ROLES, type Role, type TowerRole } from '../roles.ts';
import {
  assignPorts,
  type PortsInUse,
  type PortWish,
  pageName,
  pagePortOf,
  portOf,
  withPagePort,
  withPort,
} from './addresses.ts';
import { checkAdvertised } from './advertised.ts';
import type { ConfigDocument } from './config-document.ts';
import { type ConfigEnvironment, readConfigEnvironment } from './config-environment.ts';
import {
  checkTowerDevice,
  givenValues,
  type Layers,
  located,
  namesOf,
  pick,
  placeAbove,
  readSection,
  readSections,
  resolveProcess,
  type Section,
  unknownKey,
  withDevices,
  withPaths,
} from './config-section.ts';
import { memoryShares } from './memory-shares.ts';
import {
  gpusInWords,
  isOpen,
  type ModelProcesses,
  type PlacementFacts,
  placeProcesses,
} from './placement.ts';
import { type ReplicaCounts, type Slot, slotsOf } from './replicas.ts';
import { SECTION_ONLY_KEYS } from './section-only-keys.ts';

/** One process to start, with exactly these values. */
export interface ProcessConfig {
  readonly role: Role;
  /** Name among all processes of the mesh: that of its role, or `llm-backbone-2`. */
  readonly name: string;
  readonly values: OptionValues;
  /** Names of the roles whose members the supervisor tells it. */
  readonly follows: readonly string[];
}

/** The mesh that the supervisor runs. */
export interface MeshConfig {
  readonly log: LogSettings;
  /** What the operator should know before the mesh starts. */
  readonly warnings?: readonly string[];
  /** On which GPUs it runs, in words; none if it has none. */
  readonly notices?: readonly string[];
  /** Whether a process leaves its device open, so that what there is decides. */
  readonly isPlaced?: boolean;
  /** Path of the configuration file. */
  readonly file?: string;
  /** Processes in starting order; they stop in reverse order, so that the edge drains first. */
  readonly processes: readonly ProcessConfig[];
}

/** Facts about the machine on which defaults depend. */
export interface Surroundings extends PlacementFacts {
  /** What environment variables say; unset: nothing. */
  readonly env?: ConfigEnvironment;
  /** Memory of the machine, bytes. */
  readonly memoryBytes: number;
  hasTower(modelDirectory: string, modality: TowerModality): boolean;
}

/** What has changed since the start of a mesh. */
export interface Changes {
  /** Numbers of processes that win over all others. */
  readonly counts: ReplicaCounts;
  readonly ports: PortsInUse;
}

const NO_CHANGES: Changes = {
  counts: new Map(),
  ports: { kept: new Map(), foreign: new Set() },
};

/** A mesh, and what it is with other numbers of processes. */
export interface MeshPlan {
  readonly mesh: MeshConfig;
  /** Roles that it may have processes of. */
  readonly roles: readonly Role[];
  readonly changed: (changes: Changes) => MeshConfig;
}

/**
 * Turns a configuration file, the environment and command-line flags into the options of every
 * process. A key at the top level goes to every process that knows it, a section's key only to its
 * processes; the environment wins over both, and a flag over the environment.
 */
export function planMesh(
  document: ConfigDocument,
  flags: OptionValues,
  surroundings: Surroundings,
): MeshPlan {
  const changed = (changes: Changes) => resolveConfig(document, flags, { surroundings, changes });
  return { mesh: changed(NO_CHANGES), roles: ROLES, changed };
}

function resolveConfig(
  document: ConfigDocument,
  flags: OptionValues,
  { surroundings, changes }: { readonly surroundings: Surroundings; readonly changes: Changes },
): MeshConfig {
  const env = surroundings.env ?? readConfigEnvironment({});
  const layers = { shared: sharedValues(document), env, flags };
  const log = resolveLog(document, layers);
  const sources: Sources = { document, layers, surroundings, counts: changes.counts };
  const { backbones, encoders, isPlaced } = modelDrafts(sources);
  const gateways = slots(GATEWAY, sources).map((slot) => draft(slot, sources));
  const addressed = withAddresses([...encoders, ...backbones, ...gateways], changes.ports);
  checkAdvertised(addressed, sources);
  const processes = addressed.map((one) => connected(one, addressed, changes.counts));
  const devices = [...encoders, ...backbones].map(({ values }) => String(values['device']));
  return { log, file: document.path, processes, notices: gpusInWords(devices), isPlaced };
}

interface Sources {
  readonly document: ConfigDocument;
  readonly layers: Layers;
  readonly surroundings: Surroundings;
  readonly counts: ReplicaCounts;
}

/** A process whose address, and those of the others, may still change. */
interface Draft extends Slot {
  readonly values: OptionValues;
  /** Values that the configuration says. */
  readonly given: OptionValues;
}

function slots(role: Role, { document, layers, counts }: Sources): readonly Slot[] {
  return slotsOf(role, readSections(document, role), { document, ...layers, counts });
}

function draft(slot: Slot, { document, layers }: Sources): Draft {
  const { role, section } = slot;
  const values = resolveProcess(role, document, { section, layers });
  return { ...slot, values, given: givenValues(role, section, layers) };
}

/** Returns the backbones and encoders, each on its device and with its share of memory. */
function modelDrafts(sources: Sources): ModelProcesses<Draft> & { readonly isPlaced: boolean } {
  const { surroundings } = sources;
  const wanted = slots(BACKBONE, sources).map((slot) => draft(slot, sources));
  const drafts = { backbones: wanted, encoders: encoderDrafts(sources, wanted) };
  const { backbones, encoders } = placeProcesses(drafts, surroundings);
  const memory = memoryShares({ backbones, encoders }, surroundings.memoryBytes);
  return {
    backbones: backbones.map((one, i) => {
      const open = Object.entries(memory[i] ?? {}).filter(([key]) => !(key in one.given));
      return { ...one, values: { ...one.values, ...Object.fromEntries(open) } };
    }),
    encoders,
    isPlaced: [...drafts.backbones, ...drafts.encoders].some(isOpen),
  };
}

/**
 * Returns encoders for every tower of the model: as many as the configuration says. If the options of all backbones name encoders elsewhere, none are started.
 */
function encoderDrafts(sources: Sources, backbones: readonly Draft[]): readonly Draft[] {
  const { surroundings } = sources;
  const wanted = ENCODERS.flatMap((role) => {
    const found = slots(role, sources);
    const isWanted = backbones.some(
      ({ values }) =>
        addressesIn(values, role).length === 0 &&
        surroundings.hasTower(String(values['model']), role.modality),
    );
    return isWanted ? found : [];
  });
  return wanted.map((slot, i) => {
    const one = draft(slot, sources);
    const place = placeAbove(sources.layers, { name: 'device', role: slot.role });
    if (place === variableName('device', slot.role.name)) {
      checkTowerDevice(one.values['device'], place);
    }
    return onOneDevice(one, i);
  });
}

/** Puts an encoder on one device of a list that is said for all processes: they take turns. */
function onOneDevice(one: Draft, i: number): Draft {
  const devices = deviceList(String(one.values['device']));
  return { ...one, values: { ...one.values, device: devices[i % devices.length] } };
}

function addressesIn(values: OptionValues, { addressOption }: TowerRole): readonly unknown[] {
  const addresses = values[addressOption];
  return Array.isArray(addresses) ? addresses : [];
}

/** Gives every process its port. */
function withAddresses(drafts: readonly Draft[], inUse: PortsInUse): readonly Draft[] {
  const wishes = drafts.map(({ name, role, isFirst, section, values }) => {
    const isOwn = isFirst && ['listen', 'port'].some((key) => isSaidIn(section, key, values));
    // Of a mesh that runs, somebody may have got the default port meanwhile.
    const isDefault = name === role.name && inUse.kept.size === 0;
    return { name, port: portOf(values), isFixed: isOwn || isDefault };
  });
  const ports = assignPorts([...wishes, ...drafts.flatMap(pageWish)], inUse);
  return drafts.map((one) => {
    const port = ports.get(one.name);
    const pagePort = ports.get(pageName(one.name));
    const values = port === undefined ? one.values : withPort(one.values, port);
    return { ...one, values: pagePort === undefined ? values : withPagePort(values, pagePort) };
  });
}

/** Returns the port that a process wants for the page of its metrics, if it is not to be any one. */
function pageWish({ name, isFirst, section, values }: Draft): PortWish[] {
  const port = pagePortOf(values);
  if (port === 0) return [];
  const isFixed = isFirst && isSaidIn(section, 'metricsListen', values);
  return [{ name: pageName(name), port, isFixed }];
}

/** Tells whether a section says the value of a key, and nothing above it says another. */
function isSaidIn(section: Section, key: string, values: OptionValues): boolean {
  return key in section.values && String(section.values[key]) === String(values[key]);
}

/** Tells a process where the others are that it asks, unless its configuration says so. */
function connected(
  { role, name, values, given }: Draft,
  all: readonly Draft[],
  counts: ReplicaCounts,
): ProcessConfig {
  // Its registry lists the others.
  if (values['registry'] !== undefined) return { role, name, values, follows: [] };
  const addressesOf = (wanted: Role) =>
    all.filter((one) => one.role === wanted).map((one) => String(one.values['listen']));
  const follows: string[] = [];
  const found: Record<string, unknown> = {};
  if (role === BACKBONE) {
    for (const encoder of ENCODERS) {
      if (addressesIn(values, encoder).length > 0) continue;
      found[encoder.addressOption] = addressesOf(encoder);
      // Those that an operator has taken away may come back.
      if (addressesOf(encoder).length > 0 || counts.has(encoder.name)) follows.push(encoder.name);
    }
  }
  if (role === GATEWAY && !('backbone' in given)) {
    found['backbone'] = addressesOf(BACKBONE);
    follows.push(BACKBONE.name);
  }
  if (role === GATEWAY && !('scrape' in given)) {
    found['scrape'] = ENCODERS.flatMap(addressesOf);
    follows.push(...ENCODERS.map((encoder) => encoder.name));
  }
  return { role, name, values: { ...values, ...found }, follows };
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
  const onDevices = withDevices(values, document.where('device'));
  return { ...logValues(document), ...withPaths(document, onDevices) };
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
    const values = { ...layers.shared, ...layers.env.shared, ...layers.flags };
    return resolveOptions(logOptions, pick(logOptions, values));
  } catch (error: unknown) {
    if (!(error instanceof MeshError) || error.param === undefined) throw error;
    const key = kebabCase(error.param);
    const place =
      placeAbove(layers, { name: error.param }) ?? document.where('log', key.slice('log-'.length));
    throw located(place, error);
  }
}
