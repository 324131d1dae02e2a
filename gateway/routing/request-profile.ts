import { EXPECTED_ANSWER_TOKENS } from '#mesh/balance/expected-work.ts';
import { hash32 } from '#mesh/balance/hash.ts';
import type { GenerateStart } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import type { ChatMessage, Prompt } from '#protos/autoglm/llm/v1/prompt.ts';

/** UTF-16 units of text that stand for a token, and tokens that stand for a media item. */
const CHARS_PER_TOKEN = 4;
const TOKENS_PER_ITEM = 512;

/** Most of a prompt that decides where it goes: UTF-16 units of text, or token ids. */
const MAX_PREFIX_CHARS = 2048;
const MAX_PREFIX_TOKENS = 256;

/** What the choice of an endpoint depends on. */
export interface RequestProfile {
  /** Work expected, in tokens. */
  readonly work: number;
  /** Hash of the beginning of the prompt, which is the same in all turns of a conversation. */
  readonly affinity: number | undefined;
}

export function profileOf({ prompt, sampling, cacheSalt }: GenerateStart): RequestProfile {
  const numAnswerTokens = Math.min(sampling?.maxTokens ?? Infinity, EXPECTED_ANSWER_TOKENS);
  const numMediaTokens = (prompt?.media.length ?? 0) * TOKENS_PER_ITEM;
  const answers = numAnswerTokens * (sampling?.numChoices ?? 1);
  const prefix = prompt && prefixOf(prompt);
  return {
    work: 1 + promptTokens(prompt) + numMediaTokens + answers,
    affinity: prefix === undefined ? undefined : hash32(`${cacheSalt}\n${prefix}`),
  };
}

function promptTokens(prompt: Prompt | undefined): number {
  switch (prompt?.form?.$case) {
    case 'tokens':
      return prompt.form.value.tokenIds.length;
    case 'text':
      return Math.ceil(prompt.form.value.text.length / CHARS_PER_TOKEN);
    case 'chat': {
      const sizes = prompt.form.value.messages.map((message) => textOf(message).length);
      return Math.ceil(sizes.reduce((sum, size) => sum + size, 0) / CHARS_PER_TOKEN);
    }
    case undefined:
      return 0;
  }
}

/** Returns the text up to the end of the first message of a user. */
function prefixOf({ form }: Prompt): string | undefined {
  switch (form?.$case) {
    case 'tokens':
      return form.value.tokenIds.slice(0, MAX_PREFIX_TOKENS).join();
    case 'text':
      return form.value.text.slice(0, MAX_PREFIX_CHARS);
    case 'chat': {
      const { messages } = form.value;
      const end = messages.findIndex(({ role }) => role === 'user') + 1;
      const texts = messages.slice(0, end === 0 ? undefined : end).map(textOf);
      return texts.map((text) => text.slice(0, MAX_PREFIX_CHARS)).join('\n');
    }
    case undefined:
      return undefined;
  }
}

/** Returns the text of a message without its media, which clients leave out of later turns. */
function textOf({ content }: ChatMessage): string {
  if (content?.$case === 'text') return content.value;
  const parts = content?.value.parts ?? [];
  return parts.map(({ part }) => (part?.$case === 'text' ? part.value : '')).join('');
}
