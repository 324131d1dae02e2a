import { type Static, Type } from 'typebox';

/** Which requests are traced; the gateway alone decides that. */
export const samplingOptionFields = {
  traceSampleRatio: Type.Optional(
    Type.Number({
      minimum: 0,
      maximum: 1,
      description:
        'Share of the requests that are traced if their caller does not say; unset: as OTEL_TRACES_SAMPLER says, or 0.01',
    }),
  ),
  traceSlowS: Type.Number({
    minimum: 0,
    maximum: 86_400,
    default: 10,
    description:
      "Time from which on a request's own spans are kept although it is not sampled, seconds",
  }),
} as const;

const samplingOptions = Type.Object(samplingOptionFields);

export type SamplingOptions = Static<typeof samplingOptions>;
