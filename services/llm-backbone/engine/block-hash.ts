import { hash } from 'node:crypto';
import type { PlaceholderRange } from './placeholder-range.ts';

/**
 * Names the contents of one full block and of everything before it: SHA-256 over the previous
 * block's hash, the token ids, and, for each media item with rows in the block, its key and the
 * position of its first row. The key is needed because the token ids of all placeholders are equal.
 * It also decides the grid, and so the rotary positions of all that follows.
 */
export function blockHash(
  previous: string,
  tokenIds: readonly number[],
  placeholders: readonly PlaceholderRange[],
  block: { readonly index: number; readonly size: number },
): string {
  const first = block.index * block.size;
  const end = first + block.size;
  const ids = new Uint32Array(tokenIds.slice(first, end));
  const media = placeholders
    .filter(({ firstToken, numTokens }) => firstToken < end && firstToken + numTokens > first)
    .map(({ firstToken, itemKey }) => `${firstToken}:${itemKey}`);
  const parts = [Buffer.from(`${previous};${media.join(';')};`), Buffer.from(ids.buffer)];
  return hash('sha256', Buffer.concat(parts), 'hex');
}

/** Returns what stands for the previous hash of a first block; only equal salts share blocks. */
export function chainStart(cacheSalt: string): string {
  return cacheSalt === '' ? '' : `salt ${hash('sha256', cacheSalt, 'hex')}`;
}
