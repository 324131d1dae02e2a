import { Type } from 'typebox';

/** Options of every process that loads a model, under the same names. */
export const modelOptionFields = {
  model: Type.String({ minLength: 1, description: 'Model directory' }),
  device: Type.String({
    default: 'auto',
    description:
      'Where the model runs: cpu, cpu:0-3 (a set of cores) or cuda:0; a list (cpu:0,cpu:1) spreads a language model over several; auto: on GPUs where there are some that can be used, otherwise cpu',
  }),
  threads: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 1024,
      description:
        "Most threads that compute on a CPU, all devices of a list together; unset: one for each core of the device, at most the control group's share",
    }),
  ),
  dtype: Type.Union(
    [Type.Literal('auto'), Type.Literal('half'), Type.Literal('bfloat16'), Type.Literal('float32')],
    {
      default: 'auto',
      description: "Weights in memory; auto: the checkpoint's, half: float16",
    },
  ),
  stepTimeoutS: Type.Number({
    minimum: 0,
    maximum: 86_400,
    default: 60,
    description:
      'Time after which a step of the engine counts as standing still and the process is started again, seconds; on a slow device longer; 0: never',
  }),
  weightsCache: Type.Optional(
    Type.String({
      minLength: 1,
      description:
        'Folder in which packed weights are kept: written at the first start, mapped at the next ones and shared by all replicas; unset: none',
    }),
  ),
  quantize: Type.Union([Type.Literal('none'), Type.Literal('int8'), Type.Literal('int4')], {
    default: 'none',
    description:
      'Round matrices at load to int8, or to int4 in groups of 128, if the checkpoint has floats',
  }),
  sharedMemory: Type.Union([Type.Literal('auto'), Type.Literal('off')], {
    default: 'auto',
    description:
      'Embedding rows between processes of one user on one host: by shared memory where both can (auto), or in messages (off)',
  }),
  gpuRowsMb: Type.Number({
    minimum: 0,
    maximum: 65_536,
    default: 256,
    description:
      'Memory of each GPU for embedding rows that go from GPU to GPU, cached ones included, MB; 0: rows go through memory of the host',
  }),
} as const;

/** Makes the option for the address of an internal gRPC server. */
export function listenField(address: string) {
  return Type.String({
    default: address,
    meaning: 'address',
    description:
      'Address of the internal gRPC server, host:port; port 0 picks a free one outside a mesh',
  });
}

/** Writes the weights of a model in memory: `bfloat16, int4 in groups of 128`. */
export function weightsInWords(description: {
  readonly weightDtype: string;
  readonly quantization: string;
}): string {
  const { weightDtype, quantization } = description;
  return quantization === '' ? weightDtype : `${weightDtype}, ${quantization}`;
}

/**
 * Returns the type of activations for weights of a type, `auto` as they are stored: the same, except
 * that float16 weights compute in float32, because GLM-4's residuals overflow float16.
 */
export function activationDtypeOf(dtype: string, storedDtype: string): 'bfloat16' | 'float32' {
  return (dtype === 'auto' ? storedDtype : dtype) === 'bfloat16' ? 'bfloat16' : 'float32';
}

/** Returns the loader's name of an in-memory weight type. */
export function weightDtype(dtype: 'auto' | 'half' | 'bfloat16' | 'float32') {
  return dtype === 'half' ? 'float16' : dtype;
}
