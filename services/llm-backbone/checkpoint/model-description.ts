import { basename } from 'node:path';
import { type BackboneOptions, mayHaveEncoders } from '#backbone/options.ts';
import { MeshError } from '#mesh/errors.ts';
import { bytesOfMb } from '#mesh/megabytes.ts';
import { WIRE_MODALITIES } from '#mesh/modality.ts';
import { fingerprint } from '#mesh/model/fingerprint.ts';
import type { DecoderDescription } from '#native';
import type { GetModelResponse, PromptLimits } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import type { ModelFiles } from './model-files.ts';
import type { Tokenizer } from './tokenizer.ts';

/** The full description that an instance gives of its model. */
export type DescribedModel = GetModelResponse & { readonly promptLimits: PromptLimits };

/** Describes the model of this instance; refuses a tokenizer or limit the decoder cannot follow. */
export async function describeModel(
  options: BackboneOptions,
  decoder: { readonly description: DecoderDescription; readonly device: string },
  checkpoint: { readonly files: ModelFiles; readonly tokenizer: Tokenizer },
): Promise<DescribedModel> {
  const { description, device } = decoder;
  const modelId = basename(options.model);
  return {
    servedNames: options.servedModelName.length > 0 ? [...options.servedModelName] : [modelId],
    modelId,
    fingerprint: await fingerprint(options.model),
    maxModelLen: maxModelLen(options, description),
    hiddenSize: description.hiddenSize,
    vocabSize: vocabSize(checkpoint.tokenizer, description),
    modalities: checkpoint.files.modalities
      .filter((modality) => mayHaveEncoders(options, modality))
      .map((modality) => WIRE_MODALITIES[modality]),
    blockSize: description.blockSize,
    numBlocks: description.numBlocks,
    device,
    dtype: description.weightDtype,
    loadMs: Math.round(description.loadMs),
    createdS: BigInt(Math.floor(Date.now() / 1000)),
    promptLimits: promptLimits(options, checkpoint.tokenizer, description),
  };
}

function promptLimits(
  options: BackboneOptions,
  { vocabulary }: Tokenizer,
  description: DecoderDescription,
): PromptLimits {
  return {
    maxMessages: options.maxMessages,
    maxMessageParts: options.maxMessageParts,
    maxTextBytes: bytesOfMb(options.maxPromptMb),
    maxContextBytes: BigInt(maxModelLen(options, description) * vocabulary.longestTokenBytes),
  };
}

function maxModelLen(options: BackboneOptions, description: DecoderDescription): number {
  const most = description.maxPositionEmbeddings;
  const wanted = options.maxModelLen ?? most;
  if (wanted <= most) return wanted;
  throw new MeshError(
    'INVALID_REQUEST',
    `key "max-model-len": got ${wanted}, the checkpoint has positions for ${most} tokens`,
    { param: 'max-model-len' },
  );
}

function vocabSize({ vocabulary }: Tokenizer, description: DecoderDescription): number {
  if (vocabulary.size <= description.vocabSize) return vocabulary.size;
  throw new MeshError(
    'INVALID_REQUEST',
    `tokenizer.json has ${vocabulary.size} tokens and the decoder rows for ${description.vocabSize}; they are of different models`,
    { param: 'model' },
  );
}
