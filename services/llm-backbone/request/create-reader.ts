import type { ModelFiles } from '#backbone/checkpoint/model-files.ts';
import type { Tokenizer } from '#backbone/checkpoint/tokenizer.ts';
import type { Vocabulary } from '#backbone/checkpoint/vocabulary.ts';
import { GrammarDesk } from '#backbone/grammar/grammar-desk.ts';
import { vocabularyTrie } from '#backbone/grammar/vocabulary-trie.ts';
import { reasoningTags } from '#backbone/output/reasoning-counter.ts';
import type { ToolCallFormat } from '#backbone/output/tool-use.ts';
import { formatOf } from '#backbone/output/tool-use.ts';
import { ChatTemplate } from '#backbone/prompt/chat-template.ts';
import type { ContentFormat } from '#backbone/prompt/content-format.ts';
import type { LengthLimits } from '#backbone/prompt/prompt.ts';
import { PromptDesk } from '#backbone/prompt/prompt-desk.ts';
import type { ContentTokens } from '#backbone/prompt/text-pieces.ts';
import type { PromptLimits } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import type { RequestReader } from './generate-request.ts';
import { samplingDefaults } from './sampling.ts';
import { createSeedSource } from './seed-source.ts';

/** The options of an instance that decide how requests are read. */
export interface ReaderOptions {
  readonly chatTemplateContentFormat: ContentFormat | 'auto';
  readonly generationConfig: 'auto' | 'vllm';
  readonly seed?: number | undefined;
  readonly specialTokensInContent: ContentTokens;
  readonly promptTimeoutS: number;
  readonly maxLargePrompts: number;
  readonly schedulingPolicy: 'fcfs' | 'priority';
  readonly toolCallParser: ToolCallFormat | 'glm47' | 'auto';
  readonly defaultStructuredOutput: 'none' | 'phone_action';
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
  /** Numbers of a hidden state. */
  readonly hiddenSize: number;
  /** Called once for each template argument of requests that has no effect. */
  readonly onUnreadArg?: (name: string) => void;
}

/** Makes the reader for requests of a checkpoint. */
export function createReader(options: ReaderOptions, parts: ReaderParts): RequestReader {
  const { files, tokenizer, promptLimits, limits, hasMrope, numLogits, hiddenSize } = parts;
  const { onUnreadArg } = parts;
  const contentFormat = options.chatTemplateContentFormat;
  const { chatTemplate: template, specialTokens } = files;
  const chatTemplate = template && new ChatTemplate({ ...template, specialTokens, contentFormat });
  return {
    prompt: {
      tokenizer,
      chatTemplate,
      desk: new PromptDesk(tokenizer, chatTemplate, {
        contentTokens: options.specialTokensInContent,
        timeoutMs: options.promptTimeoutS * 1000,
        maxWaiting: options.maxLargePrompts,
        ...(onUnreadArg === undefined ? {} : { onUnreadArg }),
      }),
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
    embedding: { hiddenSize, matryoshka: files.matryoshka },
    forms: {
      desk: new GrammarDesk(grammarTrie(files, tokenizer.vocabulary, numLogits), {
        maxWaiting: options.maxLargePrompts,
      }),
      defaultForm:
        options.defaultStructuredOutput === 'phone_action'
          ? { $case: 'phoneAction', value: {} }
          : null,
    },
    promptLimits,
    limits,
    schedulingPolicy: options.schedulingPolicy,
    toolCallFormat: toolCallFormat(options.toolCallParser, template?.text),
  };
}

function toolCallFormat(
  parser: ReaderOptions['toolCallParser'],
  template: string | undefined,
): ToolCallFormat | null {
  if (parser === 'glm47') return 'glm45';
  if (parser !== 'auto') return parser;
  return template === undefined ? null : formatOf(template);
}

/** Lays the vocabulary out for forms, without what ends an answer or its thoughts. */
function grammarTrie({ eosTokenIds }: ModelFiles, vocabulary: Vocabulary, numLogits: number) {
  const { open, close } = reasoningTags(vocabulary);
  const excludedIds = new Set([...eosTokenIds, open ?? -1, close ?? -1]);
  return vocabularyTrie(vocabulary, { excludedIds, numLogits });
}
