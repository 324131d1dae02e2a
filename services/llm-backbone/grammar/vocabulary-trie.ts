import type { Vocabulary } from '#backbone/checkpoint/vocabulary.ts';
import { createTokenTrie, type TokenTrie } from '#native';

/**
 * Lays a vocabulary out for grammars. `excludedIds` and special tokens are in no text of a grammar:
 * what ends an answer, or tells its thoughts from it. `numLogits`: rows of the decoder's head.
 */
export function vocabularyTrie(
  vocabulary: Vocabulary,
  {
    excludedIds,
    numLogits,
  }: { readonly excludedIds: ReadonlySet<number>; readonly numLogits: number },
): TokenTrie {
  const starts = new Uint32Array(vocabulary.size + 1);
  const texts: Uint8Array[] = [];
  for (let id = 0; id < vocabulary.size; id++) {
    const isText = !vocabulary.isSpecial(id) && !excludedIds.has(id);
    const text = isText ? vocabulary.bytesOf(id) : new Uint8Array(0);
    texts.push(text);
    starts[id + 1] = (starts[id] ?? 0) + text.length;
  }
  return createTokenTrie({ bytes: Buffer.concat(texts), starts, numLogits });
}
