import type { TokenConstraint } from './token-constraint.ts';

/**
 * Allows the same ids at every position; choices may share it. `numLogits`: rows of the decoder's
 * head.
 */
export function allowedIds(tokenIds: Iterable<number>, numLogits: number): TokenConstraint {
  const mask = new Uint32Array(Math.ceil(numLogits / 32));
  for (const id of tokenIds) mask[id >>> 5] = (mask[id >>> 5] ?? 0) | (1 << (id & 31));
  return {
    mask: () => mask,
    numAllowed: (draftIds) => {
      const refused = draftIds.findIndex((id) => !hasBit(mask, id));
      return refused === -1 ? draftIds.length : refused;
    },
    accept: () => {},
  };
}

function hasBit(mask: Uint32Array, id: number): boolean {
  return (((mask[id >>> 5] ?? 0) >>> (id & 31)) & 1) === 1;
}
