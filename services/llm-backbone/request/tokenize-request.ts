import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Vocabulary } from '#backbone/checkpoint/vocabulary.ts';
import { type LengthLimits, tokenizePrompt } from '#backbone/prompt/prompt.ts';
import { MeshError } from '#mesh/errors.ts';
import { contextLength } from '#mesh/prompt/context-overflow.ts';
import { checkPromptSize } from '#mesh/prompt/prompt-limits.ts';
import type {
  PromptLimits,
  TokenizeRequest,
  TokenizeResponse,
} from '#protos/autoglm/llm/v1/llm_backbone.ts';
import type { Prompt } from '#protos/autoglm/llm/v1/prompt.ts';
import type { RequestReader } from './generate-request.ts';

/** Tokens whose texts are made before others have their turn on the event loop. */
const TOKENS_A_TURN = 20_000;

/** Returns the token ids of a prompt, and the text of each where it is asked for. */
export async function readTokens(
  { prompt, returnTokenStrings = true }: TokenizeRequest,
  { prompt: promptReader, promptLimits, limits }: RequestReader,
  signal: AbortSignal,
): Promise<TokenizeResponse> {
  checkPromptSize(prompt, { ...promptLimits, maxModelLen: limits.maxModelLen });
  checkNumIds(prompt, limits);
  const { vocabulary } = promptReader.tokenizer;
  const { tokenIds } = await tokenizePrompt(prompt, promptReader, { client: '', signal });
  const tokens = returnTokenStrings ? await textsOf(tokenIds, vocabulary) : [];
  return { tokenIds: [...tokenIds], maxModelLen: limits.maxModelLen, tokens };
}

async function textsOf(tokenIds: readonly number[], vocabulary: Vocabulary): Promise<string[]> {
  const texts: string[] = [];
  for (const [i, id] of tokenIds.entries()) {
    if (i % TOKENS_A_TURN === TOKENS_A_TURN - 1) await nextTurn();
    texts.push(Buffer.from(vocabulary.bytesOf(id)).toString('utf8'));
  }
  return texts;
}

/** Refuses more token ids than a context holds: they all come back, with the text of each. */
function checkNumIds(prompt: Prompt | undefined, { maxModelLen }: LengthLimits): void {
  if (prompt?.form?.$case !== 'tokens') return;
  const { length } = prompt.form.value.tokenIds;
  if (length <= maxModelLen) return;
  const message = `the prompt has ${length} token ids. ${contextLength(maxModelLen)}; shorten the prompt`;
  throw new MeshError('CONTEXT_LENGTH_EXCEEDED', message, { param: 'prompt.tokens.token_ids' });
}

/** Returns the text of token ids, special tokens included. */
export async function readText(
  tokenIds: readonly number[],
  { prompt, promptLimits }: RequestReader,
): Promise<string> {
  const { vocabulary } = prompt.tokenizer;
  const unknown = tokenIds.find((id) => id >= vocabulary.size);
  if (unknown !== undefined) {
    const message = `token_ids: ${unknown} is not a token id; the vocabulary has ${vocabulary.size} tokens`;
    throw new MeshError('INVALID_REQUEST', message, { param: 'token_ids' });
  }
  checkTextSize(tokenIds, vocabulary, promptLimits);
  const pieces: Buffer[] = [];
  for (let i = 0; i < tokenIds.length; i += TOKENS_A_TURN) {
    const some = tokenIds.slice(i, i + TOKENS_A_TURN);
    pieces.push(Buffer.concat(some.map((id) => vocabulary.bytesOf(id))));
    if (some.length === TOKENS_A_TURN) await nextTurn();
  }
  return Buffer.concat(pieces).toString('utf8');
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
