import { totalmem } from 'node:os';
import { type Static, Type } from 'typebox';
import { MeshError } from '#mesh/errors.ts';
import { logOptionFields } from '#mesh/log/log-options.ts';
import type { MediaModality } from '#mesh/modality.ts';
import { listenField, modelOptionFields } from '#mesh/model-options.ts';

const GIB = 1024 ** 3;

/** Most MiB of a prompt: it is one gRPC message, and the server accepts little more. */
const MAX_PROMPT_MB = 16;

/** Tokens of KV cache in a block. */
export const BLOCK_SIZE = 16;

/** Returns the memory for the KV cache on a CPU if `kv-cache-gb` is unset, in GiB. */
function defaultKvCacheGb(): number {
  return Math.min(4, totalmem() / GIB / 10);
}

/** Flags and configuration keys of the backbone, with vLLM's names if vLLM has the option. */
export const backboneOptions = Type.Object(
  {
    model: modelOptionFields.model,
    servedModelName: Type.Array(Type.String({ minLength: 1 }), {
      default: [],
      description: 'Names requests may use, the first is the default; none: the directory name',
    }),
    listen: listenField('127.0.0.1:8051'),
    device: modelOptionFields.device,
    dtype: modelOptionFields.dtype,
    maxModelLen: Type.Optional(
      Type.Integer({
        minimum: 1,
        description: "Longest sequence, tokens; unset: the checkpoint's max_position_embeddings",
      }),
    ),
    maxNumSeqs: Type.Integer({
      minimum: 1,
      default: 64,
      description: 'Most sequences in one step',
    }),
    maxNumBatchedTokens: Type.Integer({
      minimum: 1,
      default: 512,
      description: 'Most tokens in one step, at least max-num-seqs',
    }),
    maxNumWaiting: Type.Integer({
      minimum: 1,
      default: 256,
      description: 'Most sequences in the waiting queue; beyond it requests are refused',
    }),
    maxMessages: Type.Integer({
      minimum: 1,
      maximum: 1_000_000,
      default: 2048,
      description: 'Most messages of a conversation',
    }),
    maxMessageParts: Type.Integer({
      minimum: 1,
      maximum: 1_000_000,
      default: 4096,
      description: 'Most content parts of all messages of a conversation together',
    }),
    maxPromptMb: Type.Number({
      exclusiveMinimum: 0,
      maximum: MAX_PROMPT_MB,
      default: MAX_PROMPT_MB,
      description: 'Most text in a prompt, MB; beyond it 413 is answered',
    }),
    gpuMemoryUtilization: Type.Number({
      exclusiveMinimum: 0,
      maximum: 1,
      default: 0.9,
      description: 'Share of GPU memory for weights and KV cache',
    }),
    kvCacheGb: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        description: 'Memory for the KV cache, GiB; unset on a CPU: a tenth of memory, at most 4',
      }),
    ),
    tensorParallelSize: Type.Integer({
      minimum: 1,
      default: 1,
      description: 'Devices one decoder is spread over; only 1 is built',
    }),
    seed: Type.Optional(
      Type.Integer({
        minimum: 0,
        description: 'Seed that the seeds of requests without one are drawn from; unset: random',
      }),
    ),
    chatTemplate: Type.Optional(
      Type.String({ description: "Jinja file used instead of the checkpoint's chat template" }),
    ),
    chatTemplateContentFormat: Type.Union(
      [Type.Literal('auto'), Type.Literal('string'), Type.Literal('openai')],
      {
        default: 'auto',
        description: 'Hand message parts to the template as a list (openai) or flattened (string)',
      },
    ),
    generationConfig: Type.Union([Type.Literal('auto'), Type.Literal('vllm')], {
      default: 'auto',
      description: "Sampling defaults: the checkpoint's generation_config.json, or neutral (vllm)",
    }),
    visionEncoder: Type.Array(Type.String({ minLength: 1 }), {
      default: [],
      description: 'Addresses of vision encoders, host:port; none: images are refused',
    }),
    speechEncoder: Type.Array(Type.String({ minLength: 1 }), {
      default: [],
      description: 'Addresses of speech encoders, host:port; none: audio is refused',
    }),
    embeddingCacheMb: Type.Number({
      minimum: 0,
      default: 512,
      description: 'Embeddings of images and audio kept by content hash, MB; 0 keeps none',
    }),
    maxEncodeStreams: Type.Integer({
      minimum: 1,
      default: 16,
      description: 'Most items of one modality that are encoded for this backbone at once',
    }),
    maxRequestMediaMb: Type.Number({
      exclusiveMinimum: 0,
      default: 64,
      description: 'Most bytes of media in one request, MB',
    }),
    mediaBufferMb: Type.Number({
      exclusiveMinimum: 0,
      default: 1024,
      description: 'Most bytes of media in all requests together, MB; beyond it they are refused',
    }),
    drainTimeoutS: Type.Number({
      minimum: 0,
      default: 30,
      description: 'Time running requests are given to finish when the process ends, seconds',
    }),
    ...logOptionFields,
  },
  { additionalProperties: false },
);

export type BackboneOptions = Static<typeof backboneOptions>;

/** Returns the addresses of a modality's encoders; without any, the modality is not offered. */
export function encoderAddresses(
  options: BackboneOptions,
  modality: MediaModality,
): readonly string[] {
  return modality === 'image' ? options.visionEncoder : options.speechEncoder;
}

/** Refuses combinations of options that the schema cannot express. */
export function checkBackboneOptions(options: BackboneOptions): void {
  if (options.tensorParallelSize !== 1) {
    throw new MeshError(
      'INVALID_REQUEST',
      `key "tensor-parallel-size": got ${options.tensorParallelSize}; one decoder runs on one device, set it to 1`,
      { param: 'tensor-parallel-size' },
    );
  }
  if (options.maxNumBatchedTokens < options.maxNumSeqs) {
    throw new MeshError(
      'INVALID_REQUEST',
      `key "max-num-batched-tokens": ${options.maxNumBatchedTokens} is below max-num-seqs, ${options.maxNumSeqs}; a step must hold one token of each sequence`,
      { param: 'max-num-batched-tokens' },
    );
  }
}

/** The device that will hold the KV cache, its memory and the weights already in it, in bytes. */
export interface DeviceMemory {
  readonly kind: 'cpu' | 'cuda';
  readonly memoryBytes: number;
  readonly weightBytes: number;
}

/**
 * Returns the KV cache's size in bytes: `kv-cache-gb`, or on a GPU the share that utilization
 * leaves after the weights.
 */
export function kvCacheBytes(options: BackboneOptions, memory: DeviceMemory): number {
  if (options.kvCacheGb !== undefined) return Math.floor(options.kvCacheGb * GIB);
  if (memory.kind === 'cpu') return Math.floor(defaultKvCacheGb() * GIB);
  const left = Math.floor(memory.memoryBytes * options.gpuMemoryUtilization - memory.weightBytes);
  if (left > 0) return left;
  throw new MeshError(
    'INVALID_REQUEST',
    `key "gpu-memory-utilization": ${options.gpuMemoryUtilization} of ${memory.memoryBytes} bytes leaves no KV cache beside ${memory.weightBytes} bytes of weights`,
    { param: 'gpu-memory-utilization' },
  );
}
