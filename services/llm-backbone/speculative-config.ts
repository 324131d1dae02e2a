import { type Static, Type } from 'typebox';
import Value from 'typebox/value';
import type { SpeculationOptions } from '#backbone/engine/speculation-options.ts';
import { MeshError } from '#mesh/errors.ts';
import { isRecord } from '#mesh/json-value.ts';

const KEY = 'speculative-config';
const EXAMPLE = '{"method":"ngram","num_speculative_tokens":4}';
/** vLLM's length of the run that is looked up if the configuration names none. */
const DEFAULT_LOOKUP = 5;

const length = Type.Integer({ minimum: 1, maximum: 64 });
const FIELDS = {
  method: Type.Literal('ngram'),
  num_speculative_tokens: length,
  prompt_lookup_min: Type.Optional(length),
  prompt_lookup_max: Type.Optional(length),
  disable_by_batch_size: Type.Optional(Type.Integer({ minimum: 1, maximum: 65_536 })),
};
const SCHEMA = Type.Object(FIELDS, { additionalProperties: false });

/**
 * Reads `speculative-config`, JSON with vLLM's names; null if it is unset. If only one of the lookup
 * lengths is given, the other is the same. Throws INVALID_REQUEST that names the field.
 */
export function parseSpeculativeConfig(text: string | undefined): SpeculationOptions | null {
  if (text === undefined) return null;
  const config = readConfig(text);
  const { prompt_lookup_min: min, prompt_lookup_max: max } = config;
  const lookup = {
    min: min ?? max ?? DEFAULT_LOOKUP,
    max: max ?? min ?? DEFAULT_LOOKUP,
  };
  if (lookup.min > lookup.max) throw malformed('prompt_lookup_min is above prompt_lookup_max');
  return {
    numTokens: config.num_speculative_tokens,
    lookup,
    maxRunning: config.disable_by_batch_size ?? Number.POSITIVE_INFINITY,
  };
}

function readConfig(text: string): Static<typeof SCHEMA> {
  let config: unknown;
  try {
    config = JSON.parse(text);
  } catch (cause: unknown) {
    throw malformed('not valid JSON', cause);
  }
  if (Value.Check(SCHEMA, config)) return config;
  const unknown = isRecord(config)
    ? Object.keys(config).find((name) => !(name in FIELDS))
    : undefined;
  if (unknown !== undefined) throw malformed(`"${unknown}" is not a field of it`);
  const [error] = Value.Errors(SCHEMA, config);
  throw malformed(`${error?.instancePath.slice(1) ?? ''} ${error?.message ?? ''}`.trim());
}

function malformed(problem: string, cause?: unknown): MeshError {
  const message =
    `key "${KEY}": ${problem}; write ${EXAMPLE}, with prompt_lookup_min, prompt_lookup_max and ` +
    'disable_by_batch_size if wanted; ngram is the only method';
  return new MeshError('INVALID_REQUEST', message, { param: KEY, cause });
}
