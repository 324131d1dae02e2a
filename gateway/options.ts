import { Type } from 'typebox';
import { logOptionFields } from '#mesh/log/log-options.ts';
import { mediaProperties } from './media/media-options.ts';

/** Options of the gateway process; see `#mesh/options.ts` for how they become flags and keys. */
export const gatewayOptions = Type.Object(
  {
    host: Type.String({ default: '0.0.0.0', description: 'Address to listen on' }),
    port: Type.Integer({
      minimum: 0,
      maximum: 65_535,
      default: 8000,
      description: 'TCP port to listen on; 0 picks a free one outside a mesh',
    }),
    apiKey: Type.Optional(
      Type.String({
        env: 'AUTOGLM_API_KEY',
        description:
          'Keys that clients must present as a bearer token, comma separated; unset: none',
      }),
    ),
    backbone: Type.Array(Type.String({ minLength: 1 }), {
      minItems: 1,
      default: ['127.0.0.1:8051'],
      description: 'Address of every llm-backbone, host:port',
    }),
    scrape: Type.Array(Type.String({ minLength: 1 }), {
      default: [],
      description: 'Address of every encoder whose metrics /metrics shows too, host:port',
    }),
    maxBodyMb: Type.Number({
      exclusiveMinimum: 0,
      maximum: 512,
      default: 96,
      description: 'Largest request body, MB; base64 makes media a third larger',
    }),
    bodyBufferMb: Type.Integer({
      minimum: 1,
      maximum: 65_536,
      default: 1024,
      description:
        'Most bytes of the bodies of all requests together, MB; beyond it 429 is answered',
    }),
    maxJsonValues: Type.Integer({
      minimum: 1000,
      maximum: 100_000_000,
      default: 320_000,
      description:
        'Most values and field names in a JSON body; the time to parse it grows with them',
    }),
    maxJsonDepth: Type.Integer({
      minimum: 8,
      maximum: 1000,
      default: 32,
      description: 'Most objects and lists within each other in a JSON body',
    }),
    maxFormParts: Type.Integer({
      minimum: 1,
      maximum: 10_000,
      default: 64,
      description: 'Most fields and files in a form',
    }),
    maxConcurrentRequests: Type.Integer({
      minimum: 1,
      default: 1024,
      description: 'Requests in flight beyond which 429 is answered',
    }),
    maxAnswerLogprobs: Type.Integer({
      minimum: 1,
      default: 200_000,
      description: 'Most log-probabilities of one answer, all alternatives counted; 70 bytes each',
    }),
    maxAttempts: Type.Integer({
      minimum: 1,
      maximum: 16,
      default: 3,
      description: 'Endpoints tried for one request before its first token',
    }),
    requestTimeoutS: Type.Number({
      exclusiveMinimum: 0,
      maximum: 86_400,
      default: 600,
      description: 'Deadline of a request, seconds',
    }),
    heartbeatIntervalS: Type.Number({
      exclusiveMinimum: 0,
      maximum: 3600,
      default: 5,
      description: 'Silence after which a stream gets a comment line, seconds',
    }),
    stallTimeoutS: Type.Number({
      exclusiveMinimum: 0,
      maximum: 3600,
      default: 60,
      description: 'Time after which a client that does not read its stream is cut off, seconds',
    }),
    drainTimeoutS: Type.Number({
      minimum: 0,
      maximum: 86_400,
      default: 30,
      description: 'Time running requests are given to finish at shutdown, seconds',
    }),
    corsAllowOrigin: Type.Array(Type.String({ minLength: 1 }), {
      default: [],
      description: 'Origins whose pages may call the API, or *',
    }),
    ...mediaProperties,
    ...logOptionFields,
  },
  { additionalProperties: false },
);
