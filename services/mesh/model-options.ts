import { Type } from 'typebox';

/** Options of every process that loads a model, under the same names. */
export const modelOptionFields = {
  model: Type.String({ minLength: 1, description: 'Model directory' }),
  device: Type.String({
    default: 'cpu',
    description: 'Where the model runs: cpu, cpu:0-3 (a set of cores) or cuda:0',
  }),
  dtype: Type.Union(
    [Type.Literal('auto'), Type.Literal('half'), Type.Literal('bfloat16'), Type.Literal('float32')],
    {
      default: 'auto',
      description: "Weights in memory; auto: the checkpoint's, half: float16",
    },
  ),
} as const;

/** Makes the option for the address of an internal gRPC server. */
export function listenField(address: string) {
  return Type.String({
    default: address,
    description:
      'Address of the internal gRPC server, host:port; port 0 picks a free one outside a mesh',
  });
}

/** Returns the loader's name of an in-memory weight type. */
export function weightDtype(dtype: 'auto' | 'half' | 'bfloat16' | 'float32') {
  return dtype === 'half' ? 'float16' : dtype;
}
