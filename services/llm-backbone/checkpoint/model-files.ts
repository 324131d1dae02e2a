import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Static, type TSchema, Type } from 'typebox';
import Value from 'typebox/value';
import { errorMessage } from '#mesh/error-message.ts';
import { MeshError } from '#mesh/errors.ts';
import type { MediaModality } from '#mesh/modality.ts';
import { readModelFile } from '#mesh/model/model-file.ts';
import { CHECKPOINT_FIELDS, valuesByName } from '#mesh/sampling-fields.ts';
import { type ChosenTemplate, chooseTemplate, type TemplatePlace } from './chat-template-choice.ts';

const EosIds = Type.Union([Type.Integer(), Type.Array(Type.Integer()), Type.Null()]);
const OptionalNumber = Type.Optional(Type.Union([Type.Number(), Type.Null()]));

const GenerationConfig = Type.Object({
  eos_token_id: Type.Optional(EosIds),
  do_sample: Type.Optional(Type.Union([Type.Boolean(), Type.Null()])),
  ...valuesByName(CHECKPOINT_FIELDS, () => OptionalNumber),
});

/** Most MB of a JSON file; a tokenizer_config.json with many added tokens has one or two. */
const MAX_CONFIG_MB = 64;
/** Most MB of a chat template. */
const MAX_TEMPLATE_MB = 4;

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
  is_matryoshka: Type.Optional(Type.Union([Type.Boolean(), Type.Null()])),
  matryoshka_dimensions: Type.Optional(
    Type.Union([Type.Array(Type.Integer({ minimum: 1 })), Type.Null()]),
  ),
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
      Type.Record(Type.String(), Type.String()),
      Type.Null(),
    ]),
  ),
});

/** A file of a processor, of which only the template matters here. */
const ProcessorFile = Type.Object({ chat_template: TokenizerConfig.properties.chat_template });

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
  /** Widths to which embeddings may be cut, or all; null if config.json names none. */
  readonly matryoshka: readonly number[] | 'all' | null;
  /** Null if the checkpoint has none. */
  readonly chatTemplate: ChosenTemplate | null;
  /** `bos_token`, `eos_token` and the like, for the template. */
  readonly specialTokens: Readonly<Record<string, string>>;
}

/** Reads a model directory; `chatTemplate` replaces the checkpoint's own template file. */
export async function readModelFiles(
  directory: string,
  chatTemplate: string | undefined,
): Promise<ModelFiles> {
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
    matryoshka: config.matryoshka_dimensions ?? (config.is_matryoshka === true ? 'all' : null),
    chatTemplate: await readChatTemplate(directory, chatTemplate, tokenizer ?? {}),
    specialTokens: specialTokens(tokenizer ?? {}),
  };
}

function eosIds(ids: Static<typeof EosIds> | undefined): readonly number[] {
  if (ids === undefined || ids === null) return [];
  return typeof ids === 'number' ? [ids] : ids;
}

async function readChatTemplate(
  directory: string,
  override: string | undefined,
  config: Static<typeof TokenizerConfig>,
): Promise<ChosenTemplate | null> {
  if (override !== undefined) {
    const text = await readModelFile(override, MAX_TEMPLATE_MB);
    if (text !== null) return { text, path: override, unused: [] };
    throw new MeshError('INVALID_REQUEST', `key "chat-template": ${override} not found`, {
      param: 'chat-template',
    });
  }
  return chooseTemplate(await templatePlaces(directory, config));
}

/** Returns the places of chat templates in the order of the reference implementation. */
async function templatePlaces(
  directory: string,
  { chat_template }: Static<typeof TokenizerConfig>,
): Promise<TemplatePlace[]> {
  const inFile = async (name: string): Promise<TemplatePlace> => {
    const path = join(directory, name);
    return { path, template: (await readJson(path, ProcessorFile))?.chat_template };
  };
  const path = join(directory, 'chat_template.jinja');
  return [
    { path, template: await readModelFile(path, MAX_TEMPLATE_MB) },
    await additionalTemplates(join(directory, 'additional_chat_templates')),
    await inFile('chat_template.json'),
    await inFile('processor_config.json'),
    { path: join(directory, 'tokenizer_config.json'), template: chat_template },
  ];
}

/** Reads a folder with one template in each file, which has the template's name. */
async function additionalTemplates(path: string): Promise<TemplatePlace> {
  const names = await readdir(path).catch(() => []);
  const files = names.filter((name) => name.endsWith('.jinja')).sort();
  const entries = files.map(async (file) => {
    return [
      file.slice(0, -'.jinja'.length),
      await readModelFile(join(path, file), MAX_TEMPLATE_MB),
    ] as const;
  });
  return { path, template: Object.fromEntries(await Promise.all(entries)) };
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

async function readJson<S extends TSchema>(path: string, schema: S): Promise<Static<S> | null> {
  const text = await readModelFile(path, MAX_CONFIG_MB);
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
    const why = errorMessage(cause);
    throw new MeshError('INVALID_REQUEST', `${path}: not JSON: ${why}`, { cause });
  }
}
