import { MeshError } from '#mesh/errors.ts';
import type { SamplingParams } from '#protos/autoglm/llm/v1/sampling.ts';

/** Most characters of the lists of all prompts of a request. */
const MAX_CHARS = 16 * 1024 * 1024;
/** Characters of text that take as long to translate as one entry. */
const ENTRY_CHARS = 32;

/**
 * Refuses long lists of sampling parameters together with many prompts, because each prompt is a
 * request of its own to the mesh, which carries all lists.
 */
export function checkRepeatedLists(sampling: SamplingParams, numPrompts: number): void {
  const { logitBias, allowedTokenIds, stopTokenIds, stopStrings, badWords } = sampling;
  const lists = [Object.keys(logitBias), allowedTokenIds, stopTokenIds, stopStrings, badWords];
  const numEntries = lists.reduce((sum, { length }) => sum + length, 0);
  const numChars = numCharsOf(stopStrings) + numCharsOf(badWords) + numEntries * ENTRY_CHARS;
  if (numPrompts * numChars <= MAX_CHARS) return;
  const message =
    `logit_bias, allowed_token_ids, stop_token_ids, stop and bad_words have ${numEntries} entries, ` +
    `too many or too long for ${numPrompts} prompts in one request; send fewer of either`;
  throw new MeshError('PAYLOAD_TOO_LARGE', message, { param: 'prompt' });
}

function numCharsOf(texts: readonly string[]): number {
  return texts.reduce((sum, { length }) => sum + length, 0);
}
