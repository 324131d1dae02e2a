import { type Static, Type } from 'typebox';
import { MeshError } from '#mesh/errors.ts';
import { lifeOptionFields } from '#mesh/life-options.ts';
import { logOptionFields } from '#mesh/log/log-options.ts';
import { servingOptionFields } from '#mesh/membership/registry-options.ts';
import { metricsOptionFields } from '#mesh/metrics-options.ts';
import type { MediaModality } from '#mesh/modality.ts';
import { listenField, modelOptionFields } from '#mesh/model-options.ts';
import { otlpOptionFields } from '#mesh/otlp/otlp-options.ts';
import { peerOptionFields } from '#mesh/peers/peer-options.ts';
import { checkDeviceWish } from './decoder-devices.ts';
import { parseSpeculativeConfig } from './speculative-config.ts';

const GIB = 1024 ** 3;

/** Most MiB of a prompt: it is one gRPC message, and the server accepts little more. */
const MAX_PROMPT_MB = 16;

/** Tokens of KV cache in a block. */
export const BLOCK_SIZE = 16;

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
    threads: modelOptionFields.threads,
    dtype: modelOptionFields.dtype,
    stepTimeoutS: modelOptionFields.stepTimeoutS,
    weightsCache: modelOptionFields.weightsCache,
    quantize: modelOptionFields.quantize,
    quantizeHead: Type.Boolean({
      default: true,
      description: 'Whether quantize rounds the head, which makes the logits, too',
    }),
    kvCacheDtype: Type.Union(
      [
        Type.Literal('auto'),
        Type.Literal('bfloat16'),
        Type.Literal('float32'),
        Type.Literal('int8'),
      ],
      {
        default: 'auto',
        description:
          'Type of the KV cache, int8 with a scale for each token and head; auto: bfloat16 if the weights are, otherwise float32',
      },
    ),
    maxModelLen: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 16_777_216,
        description: "Longest sequence, tokens; unset: the checkpoint's max_position_embeddings",
      }),
    ),
    maxNumSeqs: Type.Integer({
      minimum: 1,
      maximum: 65_536,
      default: 64,
      description: 'Most sequences in one step',
    }),
    maxNumBatchedTokens: Type.Integer({
      minimum: 1,
      maximum: 1_048_576,
      default: 512,
      description: 'Most tokens in one step, at least max-num-seqs',
    }),
    maxNumWaiting: Type.Integer({
      minimum: 1,
      maximum: 1_000_000,
      default: 256,
      description: 'Most sequences in the waiting queue; beyond it requests are refused',
    }),
    maxNumWaitingMedia: Type.Integer({
      minimum: 1,
      maximum: 1_000_000,
      default: 256,
      description: 'Most sequences that wait for images or audio to be encoded, beside those',
    }),
    schedulingPolicy: Type.Union([Type.Literal('fcfs'), Type.Literal('priority')], {
      default: 'fcfs',
      description: 'Honour `priority` of requests (priority), or refuse it (fcfs)',
    }),
    defaultStructuredOutput: Type.Union([Type.Literal('none'), Type.Literal('phone_action')], {
      default: 'none',
      description:
        'Form of answers whose request names none: any text (none), or an action of the phone agent (phone_action)',
    }),
    priorityAgingS: Type.Number({
      minimum: 0,
      maximum: 3600,
      default: 10,
      description: 'Waiting time that makes up for one step of `priority`, seconds',
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
    streamInterval: Type.Integer({
      minimum: 1,
      maximum: 512,
      default: 1,
      description:
        'Tokens of an answer that are sent together, behind its first one; more cost less time of the processors and come later',
    }),
    speculativeConfig: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          'Drafts tokens by prompt lookup, JSON as in vLLM: {"method":"ngram","num_speculative_tokens":4}; unset: nothing is drafted',
      }),
    ),
    gpuMemoryUtilization: Type.Number({
      exclusiveMinimum: 0,
      maximum: 1,
      default: 0.9,
      description: 'Share of GPU memory for weights and KV cache',
    }),
    enforceEager: Type.Boolean({
      default: false,
      description:
        'Launch the kernels of a GPU one by one, instead of replaying CUDA graphs of steps that decode',
    }),
    kvCacheGb: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        maximum: 65_536,
        description:
          'Memory for the KV cache, on all devices together, GiB; unset on a CPU: a tenth of memory, at most 4',
      }),
    ),
    tensorParallelSize: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 1024,
        description:
          'Devices one decoder is spread over: as many as device lists, or so many even sets of the cores of one CPU; unset: as many as device lists',
      }),
    ),
    seed: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: Number.MAX_SAFE_INTEGER,
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
    toolCallParser: Type.Union(
      [
        Type.Literal('auto'),
        Type.Literal('glm4'),
        Type.Literal('glm45'),
        Type.Literal('glm47'),
        Type.Literal('hermes'),
      ],
      {
        default: 'auto',
        description:
          'How the model writes calls of tools: name and JSON (glm4), <arg_key> pairs (glm45 or glm47), JSON in <tool_call> (hermes); auto: as the chat template shows them',
      },
    ),
    specialTokensInContent: Type.Union([Type.Literal('text'), Type.Literal('allow')], {
      default: 'text',
      description:
        'What special tokens that users and tools write become: the text they are, or (allow) control tokens',
    }),
    promptTimeoutS: Type.Number({
      exclusiveMinimum: 0,
      maximum: 3600,
      default: 30,
      description: 'Most time to render a large prompt, and again to tokenize it, seconds',
    }),
    maxLargePrompts: Type.Integer({
      minimum: 1,
      maximum: 10_000,
      default: 64,
      description: 'Most large prompts, and forms of answers, that wait to be read',
    }),
    generationConfig: Type.Union([Type.Literal('auto'), Type.Literal('vllm')], {
      default: 'auto',
      description: "Sampling defaults: the checkpoint's generation_config.json, or neutral (vllm)",
    }),
    visionEncoder: Type.Array(Type.String({ minLength: 1 }), {
      meaning: 'address',
      default: [],
      description:
        'Addresses of vision encoders, host:port; none here or in a registry: images are refused',
    }),
    speechEncoder: Type.Array(Type.String({ minLength: 1 }), {
      meaning: 'address',
      default: [],
      description:
        'Addresses of speech encoders, host:port; none here or in a registry: audio is refused',
    }),
    embeddingCacheMb: Type.Number({
      minimum: 0,
      maximum: 1_048_576,
      default: 512,
      description: 'Embeddings of images and audio kept by content hash, MB; 0 keeps none',
    }),
    sharedMemory: modelOptionFields.sharedMemory,
    gpuRowsMb: modelOptionFields.gpuRowsMb,
    maxEncodeStreams: Type.Integer({
      minimum: 1,
      maximum: 4096,
      default: 16,
      description:
        'Most items that one encoder encodes for this backbone at once; the last eighth is for clients that have few',
    }),
    encodeHedge: Type.Boolean({
      default: false,
      description:
        'Ask a second encoder for items that take longer than 95 % of the last ones, at most 5 % of items',
    }),
    maxRequestMediaMb: Type.Number({
      exclusiveMinimum: 0,
      maximum: 4096,
      default: 64,
      description: 'Most bytes of media in one request, MB',
    }),
    mediaBufferMb: Type.Number({
      exclusiveMinimum: 0,
      maximum: 1_048_576,
      default: 1024,
      description: 'Most bytes of media in all requests together, MB; beyond it they are refused',
    }),
    ...peerOptionFields,
    ...servingOptionFields,
    ...lifeOptionFields,
    ...metricsOptionFields,
    ...otlpOptionFields,
    ...logOptionFields,
  },
  { additionalProperties: false },
);

export type BackboneOptions = Static<typeof backboneOptions>;

/** Returns the configured addresses of a modality's encoders. */
export function encoderAddresses(
  options: BackboneOptions,
  modality: MediaModality,
): readonly string[] {
  return modality === 'image' ? options.visionEncoder : options.speechEncoder;
}

/**
 * Tells whether a modality is offered: there may be encoders of it. A registry may list one later.
 */
export function mayHaveEncoders(options: BackboneOptions, modality: MediaModality): boolean {
  return options.registry !== undefined || encoderAddresses(options, modality).length > 0;
}

/** Refuses combinations of options that the schema cannot express. */
export function checkBackboneOptions(options: BackboneOptions): void {
  checkDeviceWish(options);
  if (options.maxNumBatchedTokens < options.maxNumSeqs) {
    throw new MeshError(
      'INVALID_REQUEST',
      `key "max-num-batched-tokens": ${options.maxNumBatchedTokens} is below max-num-seqs, ${options.maxNumSeqs}; a step must hold one token of each sequence`,
      { param: 'max-num-batched-tokens' },
    );
  }
  parseSpeculativeConfig(options.speculativeConfig);
}

/** The devices that will hold the KV cache, and the memory of all of them, bytes. */
export interface DeviceMemory {
  readonly kind: 'cpu' | 'cuda';
  readonly memoryBytes: number;
}

/**
 * Returns the size in bytes of the KV cache of each of several backbones on one CPU that say none.
 * Together they take at most a quarter of the memory.
 */
export function cpuKvCacheBytes(memoryBytes: number, numBackbones = 1): number {
  return Math.floor(Math.min(4 * GIB, memoryBytes / 10, memoryBytes / 4 / numBackbones));
}

/** The size of a KV cache: so many bytes, or what a share of a GPU's memory leaves. */
export type KvCacheSize =
  | { readonly kvCacheBytes: number }
  | { readonly kvCacheShare: { readonly ofMemory: number; readonly minTokens: number } };

/**
 * Returns the KV cache's size: `kv-cache-gb`, or on a GPU what utilization leaves. That must be room for
 * the longest sequence that is asked for, or for a step.
 */
export function kvCacheSize(options: BackboneOptions, memory: DeviceMemory): KvCacheSize {
  if (options.kvCacheGb !== undefined) return { kvCacheBytes: Math.floor(options.kvCacheGb * GIB) };
  if (memory.kind === 'cpu') return { kvCacheBytes: cpuKvCacheBytes(memory.memoryBytes) };
  const { gpuMemoryUtilization: ofMemory, maxNumBatchedTokens, maxModelLen } = options;
  return { kvCacheShare: { ofMemory, minTokens: maxModelLen ?? maxNumBatchedTokens } };
}
