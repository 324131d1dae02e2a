import { hash32, mix32 } from './hash.ts';

/** A place that keys are spread over. */
export interface Place {
  /** `hash32` of its address. */
  readonly hash: number;
  readonly member: { readonly weight: number };
}

/**
 * Returns the rank of a place for the hash of a key: each place is the first of all for a share of
 * the keys as its weight, every caller finds the same order, and if a place leaves, only the keys
 * move that it was first for. Weighted rendezvous hashing (Thaler and Ravishankar, "Using name-based
 * mappings to increase hit rates", 1998; Schindelhauer and Schomaker, 2005).
 */
export function rankOf({ hash, member }: Place, key: number): number {
  return -member.weight / Math.log((mix32(key, hash) + 1) / (2 ** 32 + 1));
}

/** Orders places by their ranks for a key. */
export function byPreference<P extends Place>(places: readonly P[], key: string): P[] {
  const hash = hash32(key);
  return places
    .map((place) => ({ place, rank: rankOf(place, hash) }))
    .sort((a, b) => b.rank - a.rank)
    .map(({ place }) => place);
}
