import { hash, randomBytes } from 'node:crypto';

/**
 * Draws the seeds of requests that bring none: random ones, or a fixed series if there is an
 * instance seed, so that the same requests in the same order get the same answers.
 */
export function createSeedSource(instanceSeed: number | undefined): () => bigint {
  if (instanceSeed === undefined) return () => randomBytes(8).readBigUInt64LE();
  let numDrawn = 0;
  return () => hash('sha256', `${instanceSeed}:${numDrawn++}`, 'buffer').readBigUInt64LE();
}
