import { Type } from 'typebox';
import { lifeOptionFields } from '#mesh/life-options.ts';
import { logOptionFields } from '#mesh/log/log-options.ts';
import { registryOptionFields } from '#mesh/membership/registry-options.ts';
import { metricsOptionFields } from '#mesh/metrics-options.ts';
import { otlpOptionFields } from '#mesh/otlp/otlp-options.ts';
import { peerOptionFields } from '#mesh/peers/peer-options.ts';
import { samplingOptionFields } from '#mesh/trace/trace-options.ts';
import { degradationProperties } from './degradation/degradation-options.ts';
import { idempotencyProperties } from './idempotency/idempotency-options.ts';
import { mediaProperties } from './media/media-options.ts';
import { requestProperties } from './requests/request-options.ts';

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
        secret: true,
        description:
          'Keys that clients must present as a bearer token, comma separated; unset: none',
      }),
    ),
    allowedHosts: Type.Array(Type.String({ minLength: 1 }), {
      default: [],
      description:
        'Names by which clients without a key may call this server besides addresses and localhost, *.example.com for all below, or *',
    }),
    trustedProxies: Type.Array(Type.String({ minLength: 1 }), {
      default: [],
      description:
        'Addresses or networks of proxies that name their clients by X-Forwarded-For or Forwarded',
    }),
    maxConnections: Type.Integer({
      minimum: 1,
      maximum: 1_000_000,
      default: 4096,
      description: 'Most connections of clients, fewer if ulimit -n allows fewer',
    }),
    maxConnectionsPerAddress: Type.Integer({
      minimum: 1,
      maximum: 1_000_000,
      default: 1024,
      description: 'Most connections from one address or IPv6 /64 other than trusted-proxies',
    }),
    backbone: Type.Array(Type.String({ minLength: 1 }), {
      meaning: 'address',
      default: [],
      description:
        'Address of every llm-backbone, host:port; none, without a registry: 127.0.0.1:8051',
    }),
    scrape: Type.Array(Type.String({ minLength: 1 }), {
      meaning: 'address',
      default: [],
      description:
        'Address of every encoder whose metrics /metrics shows too, host:port, besides those of a registry',
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
        'Most bytes of the bodies of all requests and their media together, MB; beyond it 429 is answered',
    }),
    unfinishedBodyMb: Type.Integer({
      minimum: 1,
      maximum: 65_536,
      default: 512,
      description:
        'Most bytes of bodies that have not arrived completely, MB; slow ones, and those of a client with many, give way to others',
    }),
    bodyStallTimeoutS: Type.Number({
      exclusiveMinimum: 0,
      maximum: 3600,
      default: 10,
      description: 'Time within which a body must bring 2 kB for each second of it, seconds',
    }),
    maxJsonValues: Type.Integer({
      minimum: 1000,
      maximum: 100_000_000,
      default: 320_000,
      description:
        'Most values and field names in a JSON body, an object or a list counting as 10; the time to parse it grows with them',
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
      maximum: 1_000_000,
      default: 1024,
      description: 'Requests in flight beyond which 429 is answered',
    }),
    reasoningParser: Type.Union(
      [
        Type.Literal('none'),
        Type.Literal('auto'),
        Type.Literal('glm45'),
        Type.Literal('deepseek_r1'),
        Type.Literal('qwen3'),
      ],
      {
        default: 'none',
        description:
          'Where thoughts in <think> go if a request does not say: into the content (none), or into reasoning_content (all others, which are alike)',
      },
    ),
    maxAnswerLogprobs: Type.Integer({
      minimum: 1,
      maximum: 100_000_000,
      default: 200_000,
      description: 'Most log-probabilities of one answer, all alternatives counted; 70 bytes each',
    }),
    maxAttempts: Type.Integer({
      minimum: 1,
      maximum: 16,
      default: 3,
      description: 'Endpoints tried in a row for one request that bring it no token',
    }),
    balancing: Type.Union([Type.Literal('least_work'), Type.Literal('least_conn')], {
      default: 'least_work',
      description:
        'Choose the endpoint with least outstanding tokens, near cached prefixes, or exactly as nginx does',
    }),
    maxResumes: Type.Integer({
      minimum: 0,
      maximum: 1000,
      default: 4,
      description:
        'Losses of an endpoint within one answer after which another one goes on with it',
    }),
    resumeAcrossNumerics: Type.Boolean({
      default: false,
      description:
        'Also go on with an answer at an endpoint of other weights, device or version, whose tokens may differ',
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
      description: 'Silence after which a stream gets a comment line or a ping, seconds',
    }),
    stallTimeoutS: Type.Number({
      exclusiveMinimum: 0,
      maximum: 3600,
      default: 60,
      description: 'Time after which a client that does not read its stream is cut off, seconds',
    }),
    ...peerOptionFields,
    ...registryOptionFields,
    maxHeldRequests: Type.Integer({
      minimum: 0,
      maximum: 1_000_000,
      default: 128,
      description: 'Most requests that wait at once for a backbone that is being started again',
    }),
    drainDelayS: Type.Number({
      minimum: 0,
      maximum: 3600,
      default: 0,
      description:
        'Time at shutdown in which /readyz is 503 and requests are still taken, seconds; counts towards the drain',
    }),
    ...lifeOptionFields,
    ...metricsOptionFields,
    ...idempotencyProperties,
    ...degradationProperties,
    corsAllowOrigin: Type.Array(Type.String({ minLength: 1 }), {
      default: [],
      description: 'Origins whose pages may call the API, or *',
    }),
    console: Type.Boolean({
      default: true,
      description: 'Serve the console in the browser at /; off: a plain page that lists the routes',
    }),
    ...mediaProperties,
    ...requestProperties,
    ...otlpOptionFields,
    ...samplingOptionFields,
    ...logOptionFields,
  },
  { additionalProperties: false },
);
