import type { Vocabulary } from '#backbone/checkpoint/vocabulary.ts';
import { detokenize } from '#backbone/output/detokenizer.ts';
import { type LengthLimits, tokenizePrompt } from '#backbone/prompt/prompt.ts';
import { MeshError } from '#mesh/errors.ts';
import { checkPromptSize } from '#mesh/prompt-limits.ts';
import type { PromptLimits, TokenizeResponse } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import type { Prompt } from '#protos/autoglm/llm/v1/prompt.ts';
import type { RequestReader } from './generate-request.ts';

/** Returns the token ids of a prompt and the text of each. */
export async function readTokens(
  prompt: Prompt | undefined,
  { prompt: promptReader, promptLimits, limits }: RequestReader,
): Promise<TokenizeResponse> {
  checkPromptSize(prompt, promptLimits);
  checkNumIds(prompt, limits);
  const { vocabulary } = promptReader.tokenizer;
  const tokenIds = [...(await tokenizePrompt(prompt, promptReader))];
  const tokens = tokenIds.map((id) => Buffer.from(vocabulary.bytesOf(id)).toString('utf8'));
  return { tokenIds, maxModelLen: limits.maxModelLen, tokens };
}

/** Refuses more token ids than a context holds: they all come back, with the text of each. */
function checkNumIds(prompt: Prompt | undefined, { maxModelLen }: LengthLimits): void {
  if (prompt?.form?.$case !== 'tokens') return;
  const { length } = prompt.form.value.tokenIds;
  if (length <= maxModelLen) return;
  const message = `the prompt has ${length} token ids and this model takes at most ${maxModelLen}; shorten the prompt`;
  throw new MeshError('CONTEXT_LENGTH_EXCEEDED', message, { param: 'prompt.tokens.token_ids' });
}

/** Returns the text of token ids, special tokens included. */
export function readText(
  tokenIds: readonly number[],
  { prompt, promptLimits }: RequestReader,
): string {
  const { vocabulary } = prompt.tokenizer;
  const unknown = tokenIds.find((id) => id >= vocabulary.size);
  if (unknown !== undefined) {
    const message = `token_ids: ${unknown} is not a token id; the vocabulary has ${vocabulary.size} tokens`;
    throw new MeshError('INVALID_REQUEST', message, { param: 'token_ids' });
  }
  checkTextSize(tokenIds, vocabulary, promptLimits);
  return detokenize(vocabulary, tokenIds, { skipSpecialTokens: false });
}

/** Refuses more text than a prompt may have, so that an answer has the bound of a request. */
function checkTextSize(
  tokenIds: readonly number[],
  vocabulary: Vocabulary,
  { maxTextBytes }: PromptLimits,
): void {
  const numBytes = tokenIds.reduce((sum, id) => sum + vocabulary.bytesOf(id).length, 0);
  if (numBytes <= maxTextBytes) return;
  const message = `token_ids: they are ${numBytes} bytes of text, at most ${maxTextBytes} are given (key "max-prompt-mb")`;
  throw new MeshError('PAYLOAD_TOO_LARGE', message, { param: 'token_ids' });
}
