import { Type } from 'typebox';

/** Options of the gateway process; see `#mesh/options.ts` for how they become flags and keys. */
export const gatewayOptions = Type.Object(
  {
    host: Type.String({ default: '0.0.0.0', description: 'address to listen on' }),
    port: Type.Integer({
      minimum: 0,
      maximum: 65_535,
      default: 8000,
      description: 'TCP port to listen on; 0 picks a free one',
    }),
    apiKey: Type.Optional(
      Type.String({
        env: 'AUTOGLM_API_KEY',
        description:
          'keys that clients must present as a bearer token, comma separated; unset: none',
      }),
    ),
    backbone: Type.Array(Type.String({ minLength: 1 }), {
      minItems: 1,
      default: ['127.0.0.1:50051'],
      description: 'host:port of every llm-backbone',
    }),
    maxBodyMb: Type.Number({
      exclusiveMinimum: 0,
      maximum: 512,
      default: 32,
      description: 'largest request body, MB',
    }),
    maxConcurrentRequests: Type.Integer({
      minimum: 1,
      default: 1024,
      description: 'requests in flight beyond which 429 is answered',
    }),
    maxAttempts: Type.Integer({
      minimum: 1,
      maximum: 16,
      default: 3,
      description: 'endpoints tried for one request before its first token',
    }),
    requestTimeoutS: Type.Number({
      exclusiveMinimum: 0,
      maximum: 86_400,
      default: 600,
      description: 'deadline of a request, seconds',
    }),
    heartbeatIntervalS: Type.Number({
      exclusiveMinimum: 0,
      maximum: 3600,
      default: 5,
      description: 'silence after which a stream gets a comment line, seconds',
    }),
    stallTimeoutS: Type.Number({
      exclusiveMinimum: 0,
      maximum: 3600,
      default: 60,
      description: 'time after which a client that does not read its stream is cut off, seconds',
    }),
    drainTimeoutS: Type.Number({
      minimum: 0,
      maximum: 86_400,
      default: 30,
      description: 'time running requests are given to finish at shutdown, seconds',
    }),
    corsAllowOrigin: Type.Array(Type.String({ minLength: 1 }), {
      default: [],
      description: 'origins whose pages may call the API, or *',
    }),
    logLevel: Type.Union(
      [
        Type.Literal('trace'),
        Type.Literal('debug'),
        Type.Literal('info'),
        Type.Literal('warn'),
        Type.Literal('error'),
      ],
      { default: 'info', description: 'least severe log line' },
    ),
    logFormat: Type.Union([Type.Literal('auto'), Type.Literal('pretty'), Type.Literal('json')], {
      default: 'auto',
      description: 'auto is pretty on a terminal and JSON elsewhere',
    }),
    logPath: Type.Optional(Type.String({ description: 'file that also receives JSON log lines' })),
  },
  { additionalProperties: false },
);
