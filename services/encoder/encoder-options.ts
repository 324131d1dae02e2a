import { type Static, type TObject, Type } from 'typebox';
import { logOptionFields } from '#mesh/log/log-options.ts';
import { listenField, modelOptionFields } from '#mesh/model-options.ts';

/** Flags and configuration keys of every encoder process. */
export const encoderOptions = Type.Object(
  {
    model: modelOptionFields.model,
    listen: listenField('127.0.0.1:8052'),
    device: modelOptionFields.device,
    dtype: modelOptionFields.dtype,
    maxBatchSize: Type.Integer({
      minimum: 1,
      default: 4,
      description: 'Most items the tower encodes together',
    }),
    batchWindowMs: Type.Number({
      minimum: 0,
      default: 2,
      description: 'How long an idle tower waits for a second item, milliseconds',
    }),
    encoderCacheMb: Type.Number({
      minimum: 0,
      default: 512,
      description: 'Embeddings kept by content hash, MB; 0 keeps none',
    }),
    maxQueue: Type.Integer({
      minimum: 1,
      default: 32,
      description: 'Most items inside the process; beyond it items are refused',
    }),
    maxItemMb: Type.Number({
      exclusiveMinimum: 0,
      default: 32,
      description: 'Largest item, MB',
    }),
    lazy: Type.Boolean({
      default: false,
      description: 'Load the tower at its first use and unload it when idle',
    }),
    idleUnloadS: Type.Number({
      exclusiveMinimum: 0,
      default: 300,
      description: 'Unused this long, a lazy tower is unloaded, seconds',
    }),
    drainTimeoutS: Type.Number({
      minimum: 0,
      default: 30,
      description: 'Time running items are given to finish when the process ends, seconds',
    }),
    ...logOptionFields,
  },
  { additionalProperties: false },
);

export type EncoderProcessOptions = Static<typeof encoderOptions>;

/** Returns the schema of one encoder: the common options, and its own keys or other defaults. */
export function encoderOptionsWith<Own extends TObject['properties']>(own: Own) {
  return Type.Object({ ...encoderOptions.properties, ...own }, { additionalProperties: false });
}
