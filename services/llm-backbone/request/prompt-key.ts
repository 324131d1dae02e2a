import { createHash } from 'node:crypto';

/** Returns a hex hash of everything a prompt brings into a step: its tokens and its media. */
export function promptKey(tokenIds: readonly number[], mediaHashes: readonly Uint8Array[]): string {
  const hash = createHash('sha256').update(Uint32Array.from(tokenIds));
  for (const one of mediaHashes) hash.update(one);
  return hash.digest('hex');
}
