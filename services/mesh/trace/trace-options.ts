import { type Static, Type } from 'typebox';

/** Where a process sends its spans: the same options, with the same names, in every process. */
export const traceOptionFields = {
  otlpTracesEndpoint: Type.Optional(
    Type.String({
      minLength: 1,
      description:
        'URL to which spans are sent, such as http://localhost:4318/v1/traces, by gRPC http://localhost:4317; unset: that of OTEL_EXPORTER_OTLP_TRACES_ENDPOINT or OTEL_EXPORTER_OTLP_ENDPOINT, or no tracing',
    }),
  ),
  otlpTracesProtocol: Type.Optional(
    Type.Union([Type.Literal('http/protobuf'), Type.Literal('http/json'), Type.Literal('grpc')], {
      description:
        'How spans are sent; unset: as OTEL_EXPORTER_OTLP_TRACES_PROTOCOL or OTEL_EXPORTER_OTLP_PROTOCOL says, or http/protobuf',
    }),
  ),
} as const;

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

const traceOptions = Type.Object(traceOptionFields);
const samplingOptions = Type.Object(samplingOptionFields);

export type TraceOptions = Static<typeof traceOptions>;
export type SamplingOptions = Static<typeof samplingOptions>;
