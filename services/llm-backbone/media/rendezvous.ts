import { hash } from 'node:crypto';

/**
 * Orders addresses by preference for a key: highest random weight, also called rendezvous hashing
 * (Thaler and Ravishankar, "Using name-based mappings to increase hit rates", 1998). Every caller
 * finds the same order; if an address leaves, only the keys that preferred it move.
 */
export function byPreference<Place extends { readonly address: string }>(
  places: readonly Place[],
  key: string,
): Place[] {
  return places
    .map((place) => ({ place, weight: hash('sha256', `${place.address} ${key}`, 'hex') }))
    .sort((a, b) => (a.weight < b.weight ? 1 : -1))
    .map(({ place }) => place);
}
