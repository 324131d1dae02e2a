// Wraps the addon's grammars: which tokens of a vocabulary may come next in a text.

import { addon } from './addon.ts';
import type { TokenTrie, TokenTrieOptions } from './grammar-contract.ts';

/** Lays the tokens of a vocabulary out for the grammars of their texts; 100 ms for 150,000. */
export function createTokenTrie(options: TokenTrieOptions): TokenTrie {
  const { TokenTrie: AddonTrie } = addon();
  return new AddonTrie(options);
}
