import { type Static, Type } from 'typebox';
import Value from 'typebox/value';
import { quoted } from '#mesh/client-text.ts';
import { type InstanceRecord, parseRecord } from './instance-record.ts';

/** Digits of a fingerprint that tell weights apart in a text. */
const FINGERPRINT_DIGITS = 12;

const censusSchema = Type.Record(Type.String(), Type.Array(Type.String()));

/** The kinds of replicas that each model has, by its name: versions and weights, in order. */
export type Census = Static<typeof censusSchema>;

/** Counts the models that records of a registry name; those that are no records do not count. */
export function countModels(values: readonly string[]): Census {
  const kinds = new Map<string, Set<string>>();
  for (const record of values.flatMap(recordOf)) {
    for (const model of record.models) {
      const known = kinds.get(model) ?? new Set();
      kinds.set(model, known.add(kindOf(record)));
    }
  }
  const sorted = [...kinds].sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(sorted.map(([model, known]) => [model, [...known].sort()]));
}

/** Says that the replicas of a model differ; undefined if they do not. */
export function differenceIn(census: Census, model: string): string | undefined {
  const kinds = census[model] ?? [];
  if (kinds.length < 2) return undefined;
  return `replicas of the model ${quoted(model)} differ: ${kinds.join('; ')}`;
}

/** Reads a census that was written; one that cannot be read counts as none. */
export function parseCensus(text: string): Census {
  try {
    const value: unknown = JSON.parse(text);
    return Value.Check(censusSchema, value) ? value : {};
  } catch {
    return {};
  }
}

function kindOf({ version, fingerprint }: InstanceRecord): string {
  return `version ${version}, weights ${fingerprint.slice(0, FINGERPRINT_DIGITS)}`;
}

function recordOf(value: string): InstanceRecord[] {
  try {
    return [parseRecord(value)];
  } catch {
    // Whoever lists the processes says what is wrong with it.
    return [];
  }
}
