import { type Static, Type } from 'typebox';

const PROTOCOLS = [
  Type.Literal('http/protobuf'),
  Type.Literal('http/json'),
  Type.Literal('grpc'),
] as const;

/** Where a process sends its spans and metrics: the same options, with the same names, in every process. */
export const otlpOptionFields = {
  otlpTracesEndpoint: Type.Optional(
    Type.String({
      minLength: 1,
      // A URL may hold a user and a password.
      secret: true,
      description:
        'URL to which spans are sent, such as http://localhost:4318/v1/traces, by gRPC http://localhost:4317; unset: that of OTEL_EXPORTER_OTLP_TRACES_ENDPOINT or OTEL_EXPORTER_OTLP_ENDPOINT, or no tracing',
    }),
  ),
  otlpTracesProtocol: Type.Optional(
    Type.Union([...PROTOCOLS], {
      description:
        'How spans are sent; unset: as OTEL_EXPORTER_OTLP_TRACES_PROTOCOL or OTEL_EXPORTER_OTLP_PROTOCOL says, or http/protobuf',
    }),
  ),
  otlpMetricsEndpoint: Type.Optional(
    Type.String({
      minLength: 1,
      // A URL may hold a user and a password.
      secret: true,
      description:
        'URL to which metrics are sent, such as http://localhost:4318/v1/metrics, by gRPC http://localhost:4317; unset: that of OTEL_EXPORTER_OTLP_METRICS_ENDPOINT or OTEL_EXPORTER_OTLP_ENDPOINT, or none are sent',
    }),
  ),
  otlpMetricsProtocol: Type.Optional(
    Type.Union([...PROTOCOLS], {
      description:
        'How metrics are sent; unset: as OTEL_EXPORTER_OTLP_METRICS_PROTOCOL or OTEL_EXPORTER_OTLP_PROTOCOL says, or http/protobuf',
    }),
  ),
} as const;

const otlpOptions = Type.Object(otlpOptionFields);

export type OtlpOptions = Static<typeof otlpOptions>;

export type OtlpProtocol = NonNullable<OtlpOptions['otlpTracesProtocol']>;
