import { type TInteger, Type } from 'typebox';
import { MeshError } from '#mesh/errors.ts';
import { camelCase, type OptionValues, resolveOptions, variableName } from '#mesh/options.ts';
import { processName } from '#mesh/process/supervision.ts';
import { BACKBONE, GATEWAY, type Role } from '../roles.ts';
import type { ConfigDocument } from './config-document.ts';
import type { ConfigEnvironment } from './config-environment.ts';
import { located, type Section } from './config-section.ts';
import { REPLICAS } from './section-only-keys.ts';

/** Most processes of one role. */
const MAX_REPLICAS = 64;

/** Numbers of processes by the name of their role. */
export type ReplicaCounts = ReadonlyMap<string, number>;

/** Name of the flag that says how many processes of a role are started: `llmBackboneReplicas`. */
export function replicasFlag({ name }: Role): string {
  return camelCase(`${name}-${REPLICAS}`);
}

/** The schema of a number of processes; a mesh needs a gateway and a backbone. */
export function replicasOption(role: Role): TInteger {
  return Type.Integer({
    minimum: isIndispensable(role) ? 1 : 0,
    maximum: MAX_REPLICAS,
    description: `Number of processes of ${role.name}; unset: as the configuration lists, or 1`,
  });
}

/** Tells whether a mesh cannot be without a process of a role. */
export function isIndispensable(role: Role): boolean {
  return [BACKBONE.name, GATEWAY.name].includes(role.name);
}

/** One process to be: its number among those of its role, from 1, and what configures it. */
export interface Slot {
  readonly role: Role;
  readonly name: string;
  readonly section: Section;
  /** Whether it is the first process of its section, which has the section's own address. */
  readonly isFirst: boolean;
}

export interface SlotSources {
  readonly document: ConfigDocument;
  readonly env: ConfigEnvironment;
  readonly flags: OptionValues;
  /** Numbers that win over all others. */
  readonly counts: ReplicaCounts;
}

/**
 * Lists the processes of a role: each section gives as many as its key `replicas` says, or one. If a flag, a variable or `counts` says another number, the last ones are left
 * out, or the last section gives more.
 */
export function slotsOf(
  role: Role,
  sections: readonly Section[],
  sources: SlotSources,
): readonly Slot[] {
  const listed = sections.flatMap((section) => {
    const count = countOf(role, section, sources.document);
    return Array.from({ length: count }, (_, i) => ({ section, i }));
  });
  const wanted = sources.counts.get(role.name) ?? saidAbove(role, sources) ?? listed.length;
  requireSome(role, wanted, sources.document);
  const last = sections.at(-1) ?? { place: [role.name], values: {} };
  const lastCount = listed.filter(({ section }) => section === last).length;
  return Array.from({ length: wanted }, (_, i) => {
    const found = listed[i] ?? { section: last, i: lastCount + i - listed.length };
    return {
      role,
      name: processName(role.name, i + 1),
      section: found.section,
      isFirst: found.i === 0,
    };
  });
}

function requireSome(role: Role, count: number, document: ConfigDocument): void {
  if (count > 0 || !isIndispensable(role)) return;
  const message = `${document.where(role.name)}: a mesh needs at least one ${role.name}`;
  throw new MeshError('INVALID_REQUEST', message, { param: role.name });
}

/** Returns how many processes a section stands for. */
function countOf(role: Role, { place, replicas }: Section, document: ConfigDocument) {
  if (replicas === undefined) return 1;
  return readCount(role, replicas, document.where(...place, REPLICAS));
}

/** Returns the number that a flag or a variable says; undefined if none does. */
function saidAbove(role: Role, { env, flags }: SlotSources): number | undefined {
  const flag = replicasFlag(role);
  if (flags[flag] !== undefined) return readCount(role, flags[flag], `--${role.name}-${REPLICAS}`);
  const value = env.replicas.get(role.name);
  if (value === undefined) return undefined;
  return readCount(role, value, variableName(REPLICAS, role.name));
}

/** Checks a number of processes; a refusal names `place`. */
export function readCount(role: Role, value: unknown, place: string): number {
  const schema = Type.Object({ [REPLICAS]: replicasOption(role) });
  try {
    return Number(resolveOptions(schema, { [REPLICAS]: value })[REPLICAS]);
  } catch (error: unknown) {
    throw error instanceof MeshError ? located(place, error) : error;
  }
}
