import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Static, type TSchema, Type } from 'typebox';
import Value from 'typebox/value';
import { MeshError } from '#mesh/errors.ts';
import type { MediaModality } from '#mesh/modality.ts';
import { CHECKPOINT_FIELDS, valuesByName } from '#mesh/sampling-fields.ts';

const EosIds = Type.Union([Type.Integer(), Type.Array(Type.Integer()), Type.Null()]);
const OptionalNumber = Type.Optional(Type.Union([Type.Number(), Type.Null()]));

const GenerationConfig = Type.Object({
  eos_token_id: Type.Optional(EosIds),
  do_sample: Type.Optional(Type.Union([Type.Boolean(), Type.Null()])),
  ...valuesByName(CHECKPOINT_FIELDS, () => OptionalNumber),
});

/** Null in the language model's block of a multimodal checkpoint whose top level has the dtype. */
const DtypeName = Type.Optional(Type.Union([Type.String(), Type.Null()]));

const TextConfig = Type.Object({
  eos_token_id: Type.Optional(EosIds),
  max_position_embeddings: Type.Optional(Type.Integer()),
  dtype: DtypeName,
  torch_dtype: DtypeName,
});

const ModelConfig = Type.Object({
  ...TextConfig.properties,
  text_config: Type.Optional(TextConfig),
  vision_config: Type.Optional(
    Type.Object({ spatial_merge_size: Type.Optional(Type.Integer({ minimum: 1 })) }),
  ),
  audio_config: Type.Optional(Type.Object({})),
  image_token_id: Type.Optional(Type.Integer()),
  audio_token_id: Type.Optional(Type.Integer()),
});

const SpecialToken = Type.Union([
  Type.String(),
  Type.Object({ content: Type.String() }),
  Type.Null(),
]);

const TokenizerConfig = Type.Object({
  bos_token: Type.Optional(SpecialToken),
  eos_token: Type.Optional(SpecialToken),
  pad_token: Type.Optional(SpecialToken),
  unk_token: Type.Optional(SpecialToken),
  chat_template: Type.Optional(
    Type.Union([
      Type.String(),
      Type.Array(Type.Object({ name: Type.String(), template: Type.String() })),
    ]),
  ),
});

export type GenerationConfig = Static<typeof GenerationConfig>;

/** Contents of a checkpoint's small files, without weights and tokenizer. */
export interface ModelFiles {
  /** Ids that end an answer. */
  readonly eosTokenIds: readonly number[];
  readonly generationConfig: GenerationConfig;
  /** Kinds of media the checkpoint reads. */
  readonly modalities: readonly MediaModality[];
  /** Token that stands for one row of an item; undefined if config.json does not say. */
  readonly placeholderIds: Readonly<Record<MediaModality, number | undefined>>;
  /** Patches on a side of the square that becomes one row. */
  readonly mergeSize: number;
  /** Type the checkpoint's weights are stored in; "" if it does not say. */
  readonly dtype: string;
  readonly maxPositionEmbeddings: number | undefined;
  /** Null if the checkpoint has none. */
  readonly chatTemplate: { readonly text: string; readonly path: string } | null;
  /** `bos_token`, `eos_token` and the like, for the template. */
  readonly specialTokens: Readonly<Record<string, string>>;
}

/** Reads a model directory; `chatTemplate` replaces the checkpoint's own template file. */
export async function readModelFiles(
  directory: string,
  chatTemplate: string | undefined,
): Promise<ModelFiles> {
  await checkDirectory(directory);
  const config = await readJson(join(directory, 'config.json'), ModelConfig);
  if (config === null) {
    const path = join(directory, 'config.json');
    throw new MeshError('INVALID_REQUEST', `${path}: not found; is it a model directory?`, {
      param: 'model',
    });
  }
  const generation = await readJson(join(directory, 'generation_config.json'), GenerationConfig);
  const tokenizer = await readJson(join(directory, 'tokenizer_config.json'), TokenizerConfig);
  const text = { ...config, ...config.text_config };
  return {
    eosTokenIds: eosIds(generation?.eos_token_id ?? config.eos_token_id ?? text.eos_token_id),
    generationConfig: generation ?? {},
    modalities: [
      ...(config.vision_config === undefined ? [] : (['image'] as const)),
      ...(config.audio_config === undefined ? [] : (['audio'] as const)),
    ],
    placeholderIds: { image: config.image_token_id, audio: config.audio_token_id },
    mergeSize: config.vision_config?.spatial_merge_size ?? 1,
    dtype: config.dtype ?? config.torch_dtype ?? text.dtype ?? text.torch_dtype ?? '',
    maxPositionEmbeddings: text.max_position_embeddings,
    chatTemplate: await readChatTemplate(directory, chatTemplate, tokenizer ?? {}),
    specialTokens: specialTokens(tokenizer ?? {}),
  };
}

async function checkDirectory(directory: string): Promise<void> {
  const found = await stat(directory).catch(() => undefined);
  if (found?.isDirectory()) return;
  throw new MeshError('INVALID_REQUEST', `key "model": ${directory} is not a directory`, {
    param: 'model',
  });
}

function eosIds(ids: Static<typeof EosIds> | undefined): readonly number[] {
  if (ids === undefined || ids === null) return [];
  return typeof ids === 'number' ? [ids] : ids;
}

async function readChatTemplate(
  directory: string,
  override: string | undefined,
  config: Static<typeof TokenizerConfig>,
): Promise<ModelFiles['chatTemplate']> {
  if (override !== undefined) {
    const text = await readText(override);
    if (text !== null) return { text, path: override };
    throw new MeshError('INVALID_REQUEST', `key "chat-template": ${override} not found`, {
      param: 'chat-template',
    });
  }
  const file = join(directory, 'chat_template.jinja');
  const text = await readText(file);
  if (text !== null) return { text, path: file };
  const embedded = config.chat_template;
  const chosen =
    typeof embedded === 'string'
      ? embedded
      : embedded?.find(({ name }) => name === 'default')?.template;
  return chosen === undefined
    ? null
    : { text: chosen, path: join(directory, 'tokenizer_config.json') };
}

function specialTokens(config: Static<typeof TokenizerConfig>): Record<string, string> {
  const { bos_token, eos_token, pad_token, unk_token } = config;
  return Object.fromEntries(
    Object.entries({ bos_token, eos_token, pad_token, unk_token }).flatMap(([name, token]) => {
      if (token === undefined || token === null) return [];
      return [[name, typeof token === 'string' ? token : token.content]];
    }),
  );
}

/** Reads the text of a file; null if it does not exist. */
async function readText(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error: unknown) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}

async function readJson<S extends TSchema>(path: string, schema: S): Promise<Static<S> | null> {
  const text = await readText(path);
  if (text === null) return null;
  const parsed = parseJson(path, text);
  if (Value.Check(schema, parsed)) return parsed;
  const problem = Value.Errors(schema, parsed)[0];
  throw new MeshError(
    'INVALID_REQUEST',
    `${path}: ${problem?.instancePath ?? ''} ${problem?.message ?? 'is malformed'}`,
  );
}

function parseJson(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause: unknown) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new MeshError('INVALID_REQUEST', `${path}: not JSON: ${why}`, { cause });
  }
}
