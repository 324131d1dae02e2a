import { type Static, type TObject, Type } from 'typebox';
import { lifeOptionFields } from '#mesh/life-options.ts';
import { logOptionFields } from '#mesh/log/log-options.ts';
import { servingOptionFields } from '#mesh/membership/registry-options.ts';
import { metricsOptionFields } from '#mesh/metrics-options.ts';
import { listenField, modelOptionFields } from '#mesh/model-options.ts';
import { otlpOptionFields } from '#mesh/otlp/otlp-options.ts';

/** Flags and configuration keys of every encoder process. */
export const encoderOptions = Type.Object(
  {
    model: modelOptionFields.model,
    listen: listenField('127.0.0.1:8052'),
    device: modelOptionFields.device,
    threads: modelOptionFields.threads,
    dtype: modelOptionFields.dtype,
    activationDtype: Type.Union(
      [Type.Literal('auto'), Type.Literal('bfloat16'), Type.Literal('float32')],
      {
        default: 'auto',
        description:
          "Inputs of the tower's matrix products; auto: bfloat16 if its weights are, otherwise float32, which is several times slower where the processor multiplies bfloat16",
      },
    ),
    stepTimeoutS: modelOptionFields.stepTimeoutS,
    weightsCache: modelOptionFields.weightsCache,
    quantizeTower: modelOptionFields.quantize,
    maxBatchSize: Type.Integer({
      minimum: 1,
      maximum: 1024,
      default: 4,
      description: 'Most items the tower encodes together',
    }),
    batchWindowMs: Type.Number({
      minimum: 0,
      maximum: 60_000,
      default: 2,
      description: 'How long an idle tower waits for a second item, milliseconds',
    }),
    encoderCacheMb: Type.Number({
      minimum: 0,
      maximum: 1_048_576,
      default: 512,
      description: 'Embeddings kept by content hash, MB; 0 keeps none',
    }),
    sharedMemory: modelOptionFields.sharedMemory,
    sharedMemoryMb: Type.Number({
      exclusiveMinimum: 0,
      maximum: 1_048_576,
      default: 1024,
      description: 'Most rows in shared memory, cached ones included, MB; others go in messages',
    }),
    gpuRowsMb: modelOptionFields.gpuRowsMb,
    maxQueue: Type.Integer({
      minimum: 1,
      maximum: 100_000,
      default: 32,
      description:
        'Most items inside the process; beyond it items are refused, and the last eighth is for clients that have few',
    }),
    maxItemMb: Type.Number({
      exclusiveMinimum: 0,
      maximum: 4096,
      default: 32,
      description: 'Largest item, MB',
    }),
    decoders: Type.Integer({
      minimum: 1,
      maximum: 64,
      default: 2,
      description:
        'Most processes that decode files of one client; one request has at most half of them, and other clients have one more',
    }),
    decodeTimeoutS: Type.Number({
      exclusiveMinimum: 0,
      maximum: 3600,
      default: 10,
      description: 'Most CPU time to decode one file, seconds; on a clock up to six times that',
    }),
    decodeMemoryMb: Type.Number({
      minimum: 256,
      maximum: 65_536,
      default: 1536,
      description: 'Most memory of a process that decodes files, MB',
    }),
    lazy: Type.Boolean({
      default: false,
      description: 'Load the tower at its first use and unload it when idle',
    }),
    idleUnloadS: Type.Number({
      exclusiveMinimum: 0,
      maximum: 86_400 * 7,
      default: 300,
      description: 'Unused this long, a lazy tower is unloaded, seconds',
    }),
    ...servingOptionFields,
    ...lifeOptionFields,
    ...metricsOptionFields,
    ...otlpOptionFields,
    ...logOptionFields,
  },
  { additionalProperties: false },
);

export type EncoderProcessOptions = Static<typeof encoderOptions>;

/** Returns the schema of one encoder: the common options, and its own keys or other defaults. */
export function encoderOptionsWith<Own extends TObject['properties']>(own: Own) {
  return Type.Object({ ...encoderOptions.properties, ...own }, { additionalProperties: false });
}
