import { Type } from 'typebox';

/** Options of what answers when no replica of a model can, to be spread into the gateway's. */
export const degradationProperties = {
  fallbackModel: Type.Array(Type.String({ minLength: 3 }), {
    default: [],
    description:
      'Models that answer when no replica of the asked one can, ASKED=FALLBACK; * for every other one',
  }),
  degradedCacheMb: Type.Integer({
    minimum: 0,
    maximum: 65_536,
    default: 0,
    description:
      'Most bytes of answers kept to be given again when nobody can answer an identical request of the same client, MB; 0 keeps none',
  }),
  degradedCacheTtlS: Type.Number({
    minimum: 1,
    maximum: 604_800,
    default: 3600,
    description: 'How long such an answer is kept, seconds',
  }),
  rulesFile: Type.Optional(
    Type.String({
      minLength: 1,
      description: 'YAML or JSON file with answers for when nobody can answer; unset: none',
    }),
  ),
};

export interface DegradationOptions {
  readonly fallbackModel: readonly string[];
  readonly degradedCacheMb: number;
  readonly degradedCacheTtlS: number;
  readonly rulesFile?: string;
}
