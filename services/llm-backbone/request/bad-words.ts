import type { Tokenizer } from '#backbone/checkpoint/tokenizer.ts';
import { MeshError } from '#mesh/errors.ts';

/** Most tokens of all words together, which bounds the time to build their automaton. */
const MAX_TOKENS = 65_536;

/**
 * Returns the token lists of words that must not appear. A word inside a text usually has other
 * tokens than at its beginning, so the form with a leading space is added if it has as many tokens,
 * as in vLLM.
 */
export async function badWordTokens(
  words: readonly string[],
  tokenizer: Tokenizer,
): Promise<readonly (readonly number[])[]> {
  const lists = await Promise.all(words.map((word) => tokensOf(word.trimStart(), tokenizer)));
  const tokenLists = lists.flat();
  const numTokens = tokenLists.reduce((sum, { length }) => sum + length, 0);
  if (numTokens <= MAX_TOKENS) return tokenLists;
  const param = 'sampling.bad_words';
  const message = `${param}: they have ${numTokens} tokens, at most ${MAX_TOKENS} are allowed`;
  throw new MeshError('INVALID_REQUEST', message, { param });
}

async function tokensOf(word: string, tokenizer: Tokenizer): Promise<(readonly number[])[]> {
  if (word === '') {
    const param = 'sampling.bad_words';
    throw new MeshError('INVALID_REQUEST', `${param}: a word is empty`, { param });
  }
  const [plain, spaced] = await Promise.all([
    tokenizer.encode(word, { addSpecialTokens: false }),
    tokenizer.encode(` ${word}`, { addSpecialTokens: false }),
  ]);
  const isOtherWord = spaced[0] !== plain[0] && spaced.length === plain.length;
  return isOtherWord ? [plain, spaced] : [plain];
}
