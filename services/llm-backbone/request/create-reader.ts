import type { ModelFiles } from '#backbone/checkpoint/model-files.ts';
import type { Tokenizer } from '#backbone/checkpoint/tokenizer.ts';
import { ChatTemplate } from '#backbone/prompt/chat-template.ts';
import type { ContentFormat } from '#backbone/prompt/content-format.ts';
import type { LengthLimits } from '#backbone/prompt/prompt.ts';
import type { PromptLimits } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import type { RequestReader } from './generate-request.ts';
import { samplingDefaults } from './sampling.ts';
import { createSeedSource } from './seed-source.ts';

/** The options of an instance that decide how requests are read. */
export interface ReaderOptions {
  readonly chatTemplateContentFormat: ContentFormat | 'auto';
  readonly generationConfig: 'auto' | 'vllm';
  readonly seed?: number | undefined;
}

export interface ReaderParts {
  readonly files: ModelFiles;
  readonly tokenizer: Tokenizer;
  readonly promptLimits: PromptLimits;
  readonly limits: LengthLimits;
  /** Tells whether the decoder's positions have three parts (time, height, width). */
  readonly hasMrope: boolean;
  /** Rows of the decoder's head. */
  readonly numLogits: number;
}

/** Makes the reader for requests of a checkpoint. */
export function createReader(options: ReaderOptions, parts: ReaderParts): RequestReader {
  const { files, tokenizer, promptLimits, limits, hasMrope, numLogits } = parts;
  const contentFormat = options.chatTemplateContentFormat;
  const { chatTemplate: template, specialTokens } = files;
  return {
    prompt: {
      tokenizer,
      chatTemplate: template && new ChatTemplate({ ...template, specialTokens, contentFormat }),
      media: {
        placeholderIds: {
          image: files.placeholderIds.image ?? tokenizer.vocabulary.addedId('<|image|>'),
          audio: files.placeholderIds.audio ?? tokenizer.vocabulary.addedId('<|audio|>'),
        },
        mergeSize: files.mergeSize,
        hasMrope,
      },
    },
    sampling: {
      defaults: samplingDefaults(files.generationConfig, options.generationConfig),
      vocabSize: tokenizer.vocabulary.size,
      numLogits,
      eosTokenIds: files.eosTokenIds,
      drawSeed: createSeedSource(options.seed),
    },
    promptLimits,
    limits,
  };
}
